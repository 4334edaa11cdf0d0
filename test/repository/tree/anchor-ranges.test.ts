/** Of a leaf the rows that begin with one of many prefixes, against looking at each row with each prefix. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { selectRows } from '../../../src/repository/tree/anchor-ranges.ts'
import { compareBytes, encodeKey } from '../../../src/repository/tree/key.ts'
import { parseRows, type Rows, rowKey, rowText } from '../../../src/repository/tree/rows.ts'
import { fieldBytes, lineOf, propertyRuns, type Row, row, WARD } from './support.ts'

const distinctRows = fc.uniqueArray(row, { selector: ({ id }) => id, minLength: 1, maxLength: 60 })
/** Anchors, and whole keys, of rows that are there (by number) and of others. */
const wishes = fc.array(fc.oneof(fc.tuple(fc.nat(), fc.boolean()), fc.tuple(fieldBytes, fieldBytes)), { maxLength: 40 })

describe('rows selected in a leaf', () => {
  it('are those that begin with a prefix, in order, once', () => {
    fc.assert(
      fc.property(distinctRows, wishes, (rows, wished) => {
        const leaf = inOrder(rows)
        const prefixes = wished.map(([which, more]) =>
          typeof which === 'number' ? prefixOf(rows[which % rows.length]!, more === true) : encoded(which, `${more}`),
        )
        const wanted = [...new Map(prefixes.map((one) => [one.toString('hex'), one])).values()].sort(compareBytes)
        const apart = wanted.filter((one) => !wanted.some((other) => other !== one && begins(one, other)))

        const selected = selectRows(leaf, apart)

        const all = Array.from({ length: leaf.count }, (_, index) => index)
        expect(selected).toEqual(all.filter((index) => apart.some((prefix) => begins(rowKey(leaf, index), prefix))))
      }),
      propertyRuns(400),
    )
  })
})

function inOrder(rows: readonly Row[]): Rows {
  const leaf = parseRows(WARD, Buffer.from(rows.map(lineOf).join('')))
  const numbers = rows.map((_, index) => index).sort((a, b) => compareBytes(rowKey(leaf, a), rowKey(leaf, b)))
  return parseRows(WARD, Buffer.concat(numbers.map((index) => rowText(leaf, index))))
}

function prefixOf({ anchor, id }: Row, isWhole: boolean): Buffer {
  return isWhole ? encoded(anchor, id) : encoded(anchor)
}

function encoded(...fields: readonly string[]): Buffer {
  return Buffer.from(encodeKey(fields.map((field) => Buffer.from(field))))
}

function begins(key: Uint8Array, prefix: Uint8Array): boolean {
  return Buffer.compare(key.subarray(0, prefix.length), prefix) === 0
}
