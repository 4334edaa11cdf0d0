/** A week of the service at a simulated clock, with faults at random hours (F18, F28, F29, F31). Many more: soak `service-weeks`. */
import { describe, expect, it } from 'vitest'
import { runWeek } from './week/run-week.ts'

describe('a week of the service', () => {
  it.each([1, 2, 3])('with faults of seed %i: what had to happen happened, or somebody was told', async (seed) => {
    const { broken, jobs } = await runWeek(seed)

    expect(broken).toEqual([])
    expect(jobs).toBeGreaterThan(100)
  })
})
