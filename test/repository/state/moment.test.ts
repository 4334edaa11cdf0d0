import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChangeId } from '../../../src/repository/history/change-id.ts'
import { formatTimeUs, type Moment, parseMoment, timeUsOf } from '../../../src/repository/state/moment.ts'

const SNAPSHOT = '20260301T060000Z-1f2e3d4c'

function before(change: ChangeId): Moment {
  return { kind: 'before', change }
}

describe('what --at takes', () => {
  test.each([
    ['latest', { kind: 'latest' }],
    ['now', { kind: 'now' }],
    ['20260301T060000Z-1f2e3d4c', { kind: 'snapshot', snapshotId: '20260301T060000Z-1f2e3d4c' }],
    ['16/B3772A10', { kind: 'position', lsn: 0x16_b3772a10n }],
    ['0/15e8000', { kind: 'position', lsn: 0x15e8000n }],
    ['1970-01-01T00:00:01Z', { kind: 'time', timeUs: 1_000_000n }],
    ['1970-01-01 08:00+08:00', { kind: 'time', timeUs: 0n }],
    ['1970-01-01T00:00:00-0130', { kind: 'time', timeUs: 5_400_000_000n }],
    ['2026-03-01T10:15:00.000007+08:00', { kind: 'time', timeUs: 1_772_331_300_000_007n }],
    ['2026-03-01T10:15:00.25+08:00', { kind: 'time', timeUs: 1_772_331_300_250_000n }],
    [
      'before:1f2e3d4c-16/B3772A10-742',
      before({ kind: 'transaction', log: '1f2e3d4c', lsn: 0x16_b3772a10n, xid: 742 }),
    ],
    [`before:1f2e3d4c-0/10..${SNAPSHOT}`, before({ kind: 'position', log: '1f2e3d4c', lsn: 16n })],
    [
      `before:20260301T050000Z-00000001..${SNAPSHOT}`,
      before({ kind: 'snapshot', snapshotId: '20260301T050000Z-00000001' }),
    ],
  ])('%s', (text, moment) => {
    expect(parseMoment(text)).toEqual(moment)
  })

  test.each([
    '',
    'yesterday',
    '2026-03-01T10:15:00',
    '2026-03-01',
    '2026-02-30T10:15:00Z',
    '2026-03-01T25:15:00Z',
    '2026-03-01T10:15:00+99:00',
    '2026-03-01T10:15:00.1234567Z',
    '16/B3772A10F',
    '/1',
    'before:',
    'before:1f2e3d4c-16/B3772A10',
    'before:1f2e3d4c-16/B3772A10-99999999999',
    `before:1f2e3d4c-16/B3772A10-742..${SNAPSHOT}`,
    `before:${SNAPSHOT}`,
    '1f2e3d4c-16/B3772A10-742',
  ])('is not %j', (text) => {
    expect(() => parseMoment(text)).toThrow(expect.objectContaining({ code: 'bad-usage' }))
  })
})

test('a time that is written is the time that is read, to the microsecond', () => {
  fc.assert(
    fc.property(fc.bigInt(-1_000_000_000_000_000n, 4_000_000_000_000_000n), (timeUs) => {
      expect(timeUsOf(formatTimeUs(timeUs))).toBe(timeUs)
    }),
  )
})
