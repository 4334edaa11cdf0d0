/** What a read contains (P3), also of transactions that came very much later than it. */
import { describe, expect, it } from 'vitest'
import { isUntold, isVisible, parseVisibility, WholeXids } from '../../src/repository/visibility.ts'

const HALF = 2 ** 31
const stamp = (xid: number) => ({ xid, commitLsn: 5n })

describe('a transaction', () => {
  const visible = parseVisibility('4294967300:4294967310:4294967303')

  it.each([
    [2, true],
    [4, true],
    [7, false],
    [13, true],
    [14, false],
    [4_294_967_290, true],
  ])('of 32 bits is the one near the read: %s', (xid, isThere) => {
    expect(isVisible(visible, new WholeXids(visible.xmax).of(stamp(xid)))).toBe(isThere)
  })

  it('is not in a read that was taken three thousand million transactions before it', () => {
    const whole = new WholeXids(visible.xmax)
    const step = HALF / 4
    const found = Array.from({ length: 9 }, (_, n) => isVisible(visible, whole.of(stamp((14 + n * step) % 2 ** 32))))

    expect(found).toEqual(found.map(() => false))
    expect(whole.of(stamp((14 + 8 * step) % 2 ** 32))).toBe(4_294_967_310n + BigInt(8 * step))
  })

  it('that was in progress for long is still the one of then', () => {
    const whole = new WholeXids(visible.xmax)
    whole.of(stamp(1_000_000))

    expect(whole.of(stamp(7))).toBe(4_294_967_303n)
  })

  it('without a number is in a read that stands behind its commit, whatever was before', () => {
    const read = parseVisibility('4398046511104:4398046511104:')
    const whole = new WholeXids(read.xmax)
    const isThere = (commitLsn: bigint) => isVisible(read, whole.of({ xid: 0, commitLsn }))

    expect([2n ** 42n - 1n, 2n ** 42n, 2n ** 63n, 7n].map(isThere)).toEqual([true, false, false, true])
  })

  it('is in no read of which that is not known', () => {
    expect(isUntold('0:0:1767225600000000')).toBe(true)
    expect(isUntold('110:110:')).toBe(false)
    expect(isVisible(parseVisibility('0:0:1767225600000000'), 1n)).toBe(false)
  })
})
