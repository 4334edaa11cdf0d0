/** Log sequence numbers of 80 bits as positions of 64, and back. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { formatLsn, parseLsn } from '../../../../src/repository/lsn.ts'
import { behind, fromDecimal, packLsn, shownLsn, unpackLsn } from '../../../../src/source/sqlserver/changes/lsn.ts'

const hex = (digits: number, bits: number) =>
  fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n }).map((n) => n.toString(16).toUpperCase().padStart(digits, '0'))
const lsn = fc.tuple(hex(8, 24), hex(8, 28), hex(4, 12)).map((parts) => parts.join(''))

it('come back, and are in the order of the log', () => {
  fc.assert(
    fc.property(lsn, lsn, (a, b) => {
      expect(unpackLsn(packLsn(a))).toBe(a)
      expect(parseLsn(formatLsn(packLsn(a)))).toBe(packLsn(a))
      expect(packLsn(a) < packLsn(b)).toBe(a < b)
      expect(behind(a) <= packLsn(b)).toBe(a < b)
      expect(packLsn(a) < 2n ** 64n).toBe(true)
    }),
  )
})

it.each([
  '010000000000000000000',
  '0000002A10000000' + '0001',
  '0000002A000001301000',
  'FFFFFFFF000000000000',
])('beyond their bits are refused, not cut: %s', (beyond) => {
  const twenty = beyond.slice(-20)
  expect(() => packLsn(twenty)).toThrow(expect.objectContaining({ code: 'cannot-capture' }))
})

// learn.microsoft.com, "sys.database_recovery_status": fork_point_lsn is numeric(25,0).
it('are read in decimal, too', () => {
  expect(fromDecimal('42000000030400003')).toBe('0000002A000001300003')
  expect(shownLsn('0000002A000001300003')).toBe('0000002A:00000130:0003')
})
