/** Keys sort as bytes the way their fields should, and no two lists of fields have one key. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeKey, firstFieldEnd } from '../../../src/repository/tree/key.ts'
import { fieldBytes, propertyRuns } from './support.ts'

const fields = (...texts: readonly string[]) => encodeKey(texts.map((text) => Buffer.from(text)))

describe('a key', () => {
  it('is of its fields alone: other fields, another key', () => {
    const list = fc.array(fieldBytes, { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(list, list, (a, b) => {
        const sameFields =
          a.length === b.length && a.every((text, index) => Buffer.from(text).equals(Buffer.from(b[index]!)))

        expect(Buffer.compare(fields(...a), fields(...b)) === 0).toBe(sameFields)
      }),
      propertyRuns(2000),
    )
  })

  it('of one list never begins the key of another of as many fields', () => {
    fc.assert(
      fc.property(fieldBytes, fieldBytes, (a, b) => {
        fc.pre(a !== b)
        const [keyA, keyB] = [fields(a), fields(b)]

        expect(Buffer.from(keyB.subarray(0, keyA.length)).equals(keyA)).toBe(false)
      }),
      propertyRuns(2000),
    )
  })

  it('of integers sorts by value, up to 62 digits', () => {
    const integer = fc.bigInt({ min: -(10n ** 62n) + 1n, max: 10n ** 62n - 1n })
    fc.assert(
      fc.property(fc.oneof(integer, fc.bigInt({ min: -300n, max: 300n })), integer, (a, b) => {
        const order = Buffer.compare(fields(String(a)), fields(String(b)))

        expect(order).toBe(a < b ? -1 : a > b ? 1 : 0)
      }),
      propertyRuns(1000),
    )
  })

  it('of text sorts by its bytes', () => {
    const text = fc.string({ unit: 'binary', maxLength: 12 }).map((value) => `t${value.replaceAll(/[\t\n]/g, '')}`)
    fc.assert(
      fc.property(text, text, (a, b) => {
        const order = Buffer.compare(fields(a), fields(b))

        expect(order).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
      }),
      propertyRuns(1000),
    )
  })

  it('puts NULL before integers, and integers before text; what only looks like an integer is text', () => {
    const order = ['\\N', '-10', '-9', '0', '9', '10']
    const texts = ['', '-0', '00', '1.0', '1.00', '+1', '-', `1${'0'.repeat(62)}`, 'N', '\\\\N']

    const keys = [...order, ...texts].map((text) => fields(text))

    expect(keys.slice(0, order.length).toSorted(Buffer.compare)).toEqual(keys.slice(0, order.length))
    for (const key of keys.slice(order.length)) expect(key[0]).toBe(0x80)
  })

  it('tells where its first field ends, whatever stands in it', () => {
    fc.assert(
      fc.property(fieldBytes, fieldBytes, (anchor, rest) => {
        expect(firstFieldEnd(fields(anchor, rest))).toBe(fields(anchor).length)
      }),
      propertyRuns(1000),
    )
  })
})
