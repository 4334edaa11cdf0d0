/** What the ward does next, and how often each thing comes. */
import type { Random } from './random.ts'
import { chartingActions } from './ward-charting.ts'
import { correctionActions, deletionActions } from './ward-corrections.ts'
import { documentActions } from './ward-documents.ts'
import { orderActions } from './ward-orders.ts'
import { stayActions } from './ward-stays.ts'
import type { WardAction } from './ward-turn.ts'

/** Everything that the ward does, by name. */
export const wardActions = {
  ...chartingActions,
  ...orderActions,
  ...documentActions,
  ...stayActions,
  ...correctionActions,
  ...deletionActions,
} as const satisfies Readonly<Record<string, WardAction>>

export type WardActionName = keyof typeof wardActions

/** How often each action comes, deletions apart. */
const weights: Readonly<Record<Exclude<WardActionName, keyof typeof deletionActions>, number>> = {
  'chart-vitals': 300,
  'chart-devices': 160,
  'raise-alarm': 30,
  'write-nursing-record': 70,
  'assess-patient': 70,
  'record-fluid': 70,
  'receive-labs': 50,
  'score-patient': 30,
  'give-order': 50,
  'execute-order': 60,
  'finish-execution': 50,
  'change-order': 20,
  'write-document': 15,
  'revise-document': 25,
  'sign-document': 30,
  'admit-patient': 8,
  'move-bed': 6,
  'discharge-patient': 6,
  'update-patient': 5,
  'correct-vital': 20,
  'correct-lab': 8,
  'correct-nursing-record': 8,
  'acknowledge-alarms': 20,
  'recompute-quality': 6,
  'update-dictionary': 4,
}

const weighted = Object.entries(weights) as [WardActionName, number][]
const weightSum = weighted.reduce((sum, [, weight]) => sum + weight, 0)
const deletionNames = Object.keys(deletionActions) as WardActionName[]

export function chooseAction(random: Random, deletionShare: number): WardActionName {
  if (random.chance(deletionShare)) return random.pick(deletionNames)
  let left = random.below(weightSum)
  for (const [name, weight] of weighted) {
    left -= weight
    if (left < 0) return name
  }
  return 'chart-vitals'
}
