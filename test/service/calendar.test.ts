/** When something is due: against the plain meaning of its words, on the nights when clocks are moved, and at the edges of months. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { quietHours } from '../../src/service/calendar/quiet-hours.ts'
import { cronSchedule, everySchedule } from '../../src/service/calendar/schedule.ts'
import { WallClock } from '../../src/service/calendar/wall-clock.ts'

const ms = (iso: string) => Date.parse(iso)
const berlin = new WallClock('Europe/Berlin')
const shanghai = new WallClock('Asia/Shanghai')

function duesBetween(cron: string, clock: WallClock, from: string, to: string): string[] {
  const schedule = cronSchedule(cron, clock)
  const dues: string[] = []
  for (let due = schedule.nextDue(ms(from)); due <= ms(to); due = schedule.nextDue(due)) {
    dues.push(new Date(due).toISOString().replace(':00.000Z', 'Z'))
  }
  return dues
}

describe('a schedule of wall times', () => {
  it('is due in the zone of the hospital', () => {
    expect(duesBetween('30 2 * * *', shanghai, '2026-03-01T00:00:00Z', '2026-03-03T00:00:00Z')).toEqual([
      '2026-03-01T18:30Z',
      '2026-03-02T18:30Z',
    ])
  })

  it('whose time never comes is due when the leap is over', () => {
    expect(duesBetween('30 2 * * *', berlin, '2026-03-28T00:00:00Z', '2026-03-30T12:00:00Z')).toEqual([
      '2026-03-28T01:30Z',
      '2026-03-29T01:00Z',
      '2026-03-30T00:30Z',
    ])
  })

  it('whose time comes twice is due once', () => {
    expect(duesBetween('30 2 * * *', berlin, '2026-10-24T12:00:00Z', '2026-10-26T12:00:00Z')).toEqual([
      '2026-10-25T00:30Z',
      '2026-10-26T01:30Z',
    ])
  })

  it('of every hour is due in each hour there is, no more and no less', () => {
    for (const [from, to] of [
      ['2026-10-24T12:00:00Z', '2026-10-25T12:00:00Z'],
      ['2026-03-28T12:00:00Z', '2026-03-29T12:00:00Z'],
    ] as const) {
      const dues = duesBetween('5 * * * *', berlin, from, to).map((due) => ms(due))

      expect(dues).toHaveLength(24)
      expect(dues.slice(1).every((due, index) => due - dues[index]! === 3_600_000)).toBe(true)
    }
  })

  it('knows the ends of months, leap days and New Year', () => {
    expect(duesBetween('0 6 L * *', shanghai, '2028-01-15T00:00:00Z', '2028-04-15T00:00:00Z')).toEqual([
      '2028-01-30T22:00Z',
      '2028-02-28T22:00Z',
      '2028-03-30T22:00Z',
    ])
    expect(duesBetween('0 0 29 2 *', shanghai, '2026-01-01T00:00:00Z', '2033-01-01T00:00:00Z')).toEqual([
      '2028-02-28T16:00Z',
      '2032-02-28T16:00Z',
    ])
    expect(duesBetween('0 0 1 jan *', shanghai, '2026-06-01T00:00:00Z', '2028-06-01T00:00:00Z')).toEqual([
      '2026-12-31T16:00Z',
      '2027-12-31T16:00Z',
    ])
    expect(duesBetween('0 1 31 * *', shanghai, '2026-01-01T00:00:00Z', '2026-06-01T00:00:00Z')).toEqual([
      '2026-01-30T17:00Z',
      '2026-03-30T17:00Z',
      '2026-05-30T17:00Z',
    ])
  })

  it('is due on either kind of day where both are named', () => {
    expect(duesBetween('0 0 13 * fri', new WallClock('UTC'), '2026-11-01T00:00:00Z', '2026-11-21T00:00:00Z')).toEqual([
      '2026-11-06T00:00Z',
      '2026-11-13T00:00Z',
      '2026-11-20T00:00Z',
    ])
  })

  it.each([
    '* * * *',
    '60 * * * *',
    '0 24 * * *',
    '0 0 30 2 *',
    '0 0 0 * *',
    '0 0 * * 8',
    '5-1 * * * *',
    'a * * * *',
  ])('of "%s" is refused', (text) => {
    expect(() => cronSchedule(text, berlin)).toThrow(/schedule/)
  })

  it('names the same times looking back as looking forward', () => {
    const crons = ['30 2 * * *', '5 * * * *', '0 6 L * *', '*/20 1-3 * * *', '15 4 * * sun', '0 3 1 */2 *']
    const spring = ms('2026-03-29T00:00:00Z')
    const autumn = ms('2026-10-25T00:00:00Z')
    const near = fc.oneof(
      fc.integer({ min: spring - 86_400_000, max: spring + 86_400_000 }),
      fc.integer({ min: autumn - 86_400_000, max: autumn + 86_400_000 }),
    )
    const property = fc.property(fc.constantFrom(...crons), near, (cron, at) => {
      const schedule = cronSchedule(cron, berlin)
      const next = schedule.nextDue(at)
      expect(next).toBeGreaterThan(at)
      expect(schedule.latestDue(next)).toBe(next)
      const latest = schedule.latestDue(at)!
      expect(latest).toBeLessThanOrEqual(at)
      expect(schedule.nextDue(latest)).toBe(next)
    })

    fc.assert(property, { numRuns: 30 })
  })
})

describe('a schedule of every so long', () => {
  it('takes no notice of clocks on walls', () => {
    const schedule = everySchedule('15m', 'test')

    expect(schedule.nextDue(ms('2026-10-25T00:50:00Z'))).toBe(ms('2026-10-25T01:00:00Z'))
    expect(schedule.latestDue(ms('2026-10-25T00:50:00Z'))).toBe(ms('2026-10-25T00:45:00Z'))
  })
})

describe('quiet hours', () => {
  it('end when the wall says so, over midnight too, and where two touch', () => {
    const quiet = quietHours(['07:30-09:30', '22:00-05:00', '09:30-10:00'], shanghai)

    expect(quiet.endOf(ms('2026-03-01T00:00:00Z'))).toBe(ms('2026-03-01T02:00:00Z'))
    expect(quiet.endOf(ms('2026-03-01T15:10:30Z'))).toBe(ms('2026-03-01T21:00:00Z'))
    expect(quiet.endOf(ms('2026-03-01T04:00:00Z'))).toBeNull()
  })

  it('that are none are refused', () => {
    expect(() => quietHours(['7-9'], shanghai)).toThrow(/quietHours/)
  })
})
