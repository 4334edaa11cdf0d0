/** A year of hourly snapshots under all rules, again and again with others missed: what `npm test` does for three weeks. */

import { simulateHistory } from '../../test/backup/retention/history.ts'
import { DAY_MS, rulesOf } from '../../test/backup/retention/retention-sim.ts'
import type { SoakPart, SoakRun, SoakTally } from './part.ts'

export const retention: SoakPart = { name: 'retention', run }

const RULES = rulesOf({ last: 3, hourly: 24, daily: 14, weekly: 8, monthly: 12, yearly: 3, windowMs: 14 * DAY_MS })
const YEAR = { days: 365, everyHours: 1, everyDays: 7 }

async function run({ seed, isOver }: SoakRun): Promise<SoakTally> {
  const failures: string[] = []
  let figures: Record<string, number> = {}
  let tried = 0
  do {
    const ofYear = seed + tried
    tried += 1
    try {
      figures = { ...(await simulateHistory({ ...YEAR, rules: RULES, seed: ofYear })) }
      if (figures.slowestPruneMs! > 60_000) failures.push(`seed ${ofYear}: a prune took ${figures.slowestPruneMs} ms`)
    } catch (error) {
      failures.push(`seed ${ofYear}: ${error instanceof Error ? error.message.slice(0, 300) : 'of no known kind'}`)
    }
  } while (!isOver() && failures.length === 0)
  return { tried, failures, figures }
}
