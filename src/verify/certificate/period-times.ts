/** When a change of a period was committed, by the source's clock. */
import type { Period } from './steps.ts'
import type { ChangeMoment } from './table-walk.ts'

export type { Period } from './steps.ts'

/** Microseconds since 1970. */
export function commitUsOf({ steps }: Period, at: ChangeMoment): number {
  const step = steps[at.step]!
  return step.transactions?.commitUs[at.transaction] ?? step.untilUs
}

/** Between which moments the change lies: one moment where the log tells it. */
export function spanOf(period: Period, at: ChangeMoment | null): { readonly fromUs: number; readonly untilUs: number } {
  if (at === null) return { fromUs: period.steps[0]!.fromUs, untilUs: period.steps.at(-1)!.untilUs }
  const us = commitUsOf(period, at)
  return { fromUs: us, untilUs: us }
}
