/** Weeks of snapshots under all rules at once; `npm run soak -- retention` runs the year. */
import { expect, test } from 'vitest'
import { simulateHistory } from './history.ts'
import { DAY_MS, rulesOf } from './retention-sim.ts'

test('of three weeks of snapshots what is kept is what the rules say, all of it reads back, and what was freed is what the plan said (I7)', async () => {
  const rules = rulesOf({ last: 3, hourly: 12, daily: 7, weekly: 3, monthly: 2, yearly: 1, windowMs: 2 * DAY_MS })
  const figures = await simulateHistory({ days: 20, everyHours: 3, everyDays: 4, rules, seed: 1 })

  expect(figures.kept).toBeGreaterThan(15)
  expect(figures.forgotten).toBeGreaterThan(100)
  expect(figures.bytesFreed).toBeGreaterThan(0)
  expect(figures.deadBytes).toBeGreaterThan(0)
  expect(figures.slowestPruneMs).toBeLessThan(60_000)
}, 120_000)
