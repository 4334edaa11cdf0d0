import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  CALENDAR_RULES,
  type DatedSnapshot,
  type KeepRules,
  keepSnapshots,
} from '../../../src/backup/retention/keep-rules.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

function rules(parts: Partial<KeepRules['calendar']> & Partial<Omit<KeepRules, 'calendar'>>): KeepRules {
  const { last = 0, windowMs = 0, timeZone = 'Asia/Shanghai', ...calendar } = parts
  const none = { hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 }
  return { last, windowMs, timeZone, calendar: { ...none, ...calendar } }
}

function at(...times: string[]): DatedSnapshot[] {
  return times.map((time, index) => ({ snapshotId: `s${String(index).padStart(6, '0')}`, timeMs: Date.parse(time) }))
}

/** Every hour from `from`, so many. */
function hourly(from: string, count: number): DatedSnapshot[] {
  return at(...Array.from({ length: count }, (_, hour) => new Date(Date.parse(from) + hour * HOUR_MS).toISOString()))
}

function kept(snapshots: readonly DatedSnapshot[], keep: KeepRules): string[] {
  const found = keepSnapshots(snapshots, keep, [], 0).filter(({ reasons }) => reasons.length > 0)
  return found.map(({ timeMs }) => new Date(timeMs).toISOString())
}

describe('rules of retention', () => {
  it('keep the newest, and the last of each period of the calendar', () => {
    const snapshots = hourly('2026-01-01T00:30:00+08:00', 24 * 60)
    expect(kept(snapshots, rules({ last: 2 }))).toEqual(['2026-03-01T15:30:00.000Z', '2026-03-01T14:30:00.000Z'])
    expect(kept(snapshots, rules({ monthly: 3 }))).toEqual([
      '2026-03-01T15:30:00.000Z',
      '2026-02-28T15:30:00.000Z',
      '2026-01-31T15:30:00.000Z',
    ])
  })

  it("count days by the hospital's calendar", () => {
    const snapshots = at('2026-03-01T23:50:00+08:00', '2026-03-02T00:10:00+08:00')
    expect(kept(snapshots, rules({ daily: 7 }))).toHaveLength(2)
    expect(kept(snapshots, rules({ daily: 7, timeZone: 'UTC' }))).toHaveLength(1)
  })

  it('count weeks as ISO 8601 does, across the end of a year', () => {
    // 2026-12-28 to 2027-01-03 are one week, W53.
    const snapshots = at('2026-12-27T12:00:00Z', '2026-12-28T12:00:00Z', '2027-01-03T12:00:00Z', '2027-01-04T12:00:00Z')
    const weeks = keepSnapshots(snapshots, rules({ weekly: 9, timeZone: 'UTC' }), [], 0).flatMap(({ reasons }) =>
      reasons.map((reason) => ('period' in reason ? reason.period : '')),
    )
    expect(weeks).toEqual(['2027-W01', '2026-W53', '2026-W52'])
  })

  it('tell the two hours apart that come twice when clocks go back', () => {
    const snapshots = at('2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z')
    expect(kept(snapshots, rules({ hourly: 9, timeZone: 'Europe/Berlin' }))).toHaveLength(2)
  })

  it('keep what the recovery window begins at, which lies before it', () => {
    const snapshots = at('2026-03-01T00:00:00Z', '2026-03-02T00:00:00Z', '2026-03-03T00:00:00Z', '2026-03-04T00:00:00Z')
    expect(kept(snapshots, rules({ windowMs: 1.5 * DAY_MS }))).toEqual([
      '2026-03-04T00:00:00.000Z',
      '2026-03-03T00:00:00.000Z',
      '2026-03-02T00:00:00.000Z',
    ])
  })

  it('go by the order in which snapshots were taken where a clock was set back (F28)', () => {
    const snapshots = at('2026-03-01T10:00:00Z', '2026-03-01T11:00:00Z', '2026-03-01T09:00:00Z')
    expect(kept(snapshots, rules({ last: 1 }))).toEqual(['2026-03-01T09:00:00.000Z'])
  })

  it('let nothing go by waiting: a source that is not backed up any more loses no snapshot', () => {
    const snapshots = hourly('2020-01-01T00:00:00Z', 100)
    const keep = rules({ last: 3, daily: 2 })
    expect(keepSnapshots(snapshots, keep, [], Date.parse('2030-01-01T00:00:00Z'))).toEqual(
      keepSnapshots(snapshots, keep, [], Date.parse('2020-01-05T04:00:00Z')),
    )
  })

  it('keep what is held, until the hold ends', () => {
    const snapshots = at('2026-03-01T00:00:00Z', '2026-03-02T00:00:00Z')
    const hold = { snapshotId: 's000000', reason: 'dispute 17', endsMs: Date.parse('2026-06-01T00:00:00Z') }
    const reasonsAt = (now: string) =>
      keepSnapshots(snapshots, rules({ last: 1 }), [hold], Date.parse(now)).find((one) => one.snapshotId === 's000000')
        ?.reasons
    expect(reasonsAt('2026-05-31T23:59:59Z')).toEqual([{ kind: 'hold', reason: 'dispute 17', endsMs: hold.endsMs }])
    expect(reasonsAt('2026-06-01T00:00:00Z')).toEqual([])
  })

  it('that keep nothing are refused, and so is a time zone that nobody knows', () => {
    expect(() => keepSnapshots([], rules({}), [], 0)).toThrow('keep no snapshot at all')
    expect(() => keepSnapshots([], rules({ last: 1, timeZone: 'Asia/Peking2' }), [], 0)).toThrow("zone 'Asia/Peking2'")
  })

  it('always keep the newest snapshot, and never more of a kind than they say', () => {
    const times = fc.array(fc.integer({ min: 0, max: 3 * 365 * 24 }), { minLength: 1, maxLength: 200 })
    const counts = fc.record({
      last: fc.nat(3),
      hourly: fc.nat(5),
      daily: fc.nat(5),
      weekly: fc.nat(5),
      monthly: fc.nat(5),
      yearly: fc.integer({ min: 1, max: 3 }),
    })
    fc.assert(
      fc.property(times, counts, (hours, count) => {
        const sorted = [...hours].sort((a, b) => a - b)
        const snapshots = at(...sorted.map((hour) => new Date(1_700_000_000_000 + hour * HOUR_MS).toISOString()))
        const found = keepSnapshots(snapshots, rules(count), [], 0)
        expect(found[0]?.reasons.length).toBeGreaterThan(0)
        for (const rule of CALENDAR_RULES) {
          const periods = found.flatMap(({ reasons }) =>
            reasons.flatMap((reason) => (reason.kind === rule ? [reason.period] : [])),
          )
          expect(new Set(periods).size).toBe(periods.length)
          expect(periods.length).toBeLessThanOrEqual(count[rule])
          // The latest ones, without leaving any out.
          expect(periods).toEqual([...periods].sort().reverse())
        }
      }),
      { numRuns: 100 },
    )
  })
})
