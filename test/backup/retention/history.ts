/** So many days of hourly snapshots, with forget and prune every few days, judged by the model each time. */
import { expect } from 'vitest'
import type { KeepRules } from '../../../src/backup/retention/keep-rules.ts'
import type { PrunePlan } from '../../../src/backup/retention/prune-plan.ts'
import { checkRepository } from '../../../src/verify/check.ts'
import { seededRandom } from '../../repository/tree/support.ts'
import { HOUR_MS, modelKept, RetentionSim } from './retention-sim.ts'

export interface HistoryRequest {
  readonly days: number
  /** Between two snapshots. */
  readonly everyHours: number
  /** Between two runs of forget and prune. */
  readonly everyDays: number
  readonly rules: KeepRules
  /** Which snapshots are missed. */
  readonly seed: number
}

export interface HistoryFigures {
  readonly kept: number
  readonly forgotten: number
  readonly bytesFreed: number
  readonly bytesLeft: number
  /** Most that ever stayed beside what was needed in the same pack. */
  readonly deadBytes: number
  readonly slowestPruneMs: number
  readonly slowestForgetMs: number
}

/** @throws when something is not as the model says */
export async function simulateHistory({
  days,
  everyHours,
  everyDays,
  rules,
  seed,
}: HistoryRequest): Promise<HistoryFigures> {
  const sim = await RetentionSim.makeLong()
  const random = seededRandom(seed)
  const tally = { forgotten: 0, bytesFreed: 0, deadBytes: 0, slowestPruneMs: 0, slowestForgetMs: 0 }
  let hours: number[] = []
  for (let day = 1; day <= days; day += 1) {
    for (let hour = 0; hour < 24; hour += everyHours) {
      // Now and then a backup is missed.
      if (random() < 0.03) sim.nowMs += everyHours * HOUR_MS
      else {
        hours.push(sim.hour)
        await sim.backUp({ hours: everyHours })
      }
    }
    if (day % everyDays !== 0) continue
    const expected = modelKept(hours, rules)
    tally.slowestForgetMs = Math.max(tally.slowestForgetMs, await timed(() => sim.forget(rules)))
    tally.forgotten += hours.length - expected.size
    hours = hours.filter((hour) => expected.has(hour))
    const left = (await sim.repository.snapshotIds()).map((id) => sim.hours.get(id))
    expect(left).toEqual(hours)
    const before = new Map([...sim.store.objects].map(([key, bytes]) => [key, bytes.length]))
    let freed = 0
    const ms = await timed(async () => {
      const plan = await sim.prune(rules)
      const gone = [...before].filter(([key]) => !sim.store.objects.has(key))
      freed = plan.bytesFreed
      tally.deadBytes = Math.max(tally.deadBytes, deadBytes(plan.stays))
      expect(gone.map(([key]) => key).sort()).toEqual(plan.removes.map(({ object }) => object).sort())
      expect(gone.reduce((sum, [, bytes]) => sum + bytes, 0)).toBe(plan.bytesFreed)
    })
    tally.slowestPruneMs = Math.max(tally.slowestPruneMs, ms)
    tally.bytesFreed += freed
    await sim.assertAllRead()
  }
  const signal = new AbortController().signal
  const found = await checkRepository({ repository: sim.repository, signal, nowMs: () => sim.nowMs })
  expect(found.findings).toEqual([])
  return { kept: hours.length, bytesLeft: sim.bytes(), ...tally }
}

function deadBytes(stays: PrunePlan['stays']): number {
  return stays.reduce((sum, stay) => sum + stay.deadBytes, 0)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}
