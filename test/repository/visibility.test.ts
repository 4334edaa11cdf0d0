/** What a read contains (P3), also of transactions that came very much later than it. */
import { describe, expect, it } from 'vitest'
import { isVisible, parseVisibility, WholeXids } from '../../src/repository/visibility.ts'

const HALF = 2 ** 31

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
    expect(isVisible(visible, new WholeXids(visible.xmax).of(xid))).toBe(isThere)
  })

  it('is not in a read that was taken three thousand million transactions before it', () => {
    const whole = new WholeXids(visible.xmax)
    const step = HALF / 4
    const found = Array.from({ length: 9 }, (_, n) => isVisible(visible, whole.of((14 + n * step) % 2 ** 32)))

    expect(found).toEqual(found.map(() => false))
    expect(whole.of((14 + 8 * step) % 2 ** 32)).toBe(4_294_967_310n + BigInt(8 * step))
  })

  it('that was in progress for long is still the one of then', () => {
    const whole = new WholeXids(visible.xmax)
    whole.of(1_000_000)

    expect(whole.of(7)).toBe(4_294_967_303n)
  })
})
