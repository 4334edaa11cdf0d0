/** A leaf's stored form gives back its text, whatever stands in the fields, and refuses to be another leaf. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { COLUMN_CODECS, decodeLeaf, encodeLeaf } from '../../../src/repository/tree/leaf-codec.ts'
import { fieldBytes, propertyRuns } from './support.ts'

const table = fc
  .integer({ min: 1, max: 5 })
  .chain((columns) =>
    fc.array(fc.array(fieldBytes, { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 30 }),
  )

function textOf(rows: readonly (readonly string[])[]): Buffer {
  return Buffer.from(rows.map((fields) => `${fields.join('\t')}\n`).join(''))
}

describe('a leaf, encoded and decoded', () => {
  it('is the text it was', () => {
    fc.assert(
      fc.property(table, (rows) => {
        const text = textOf(rows)
        const columns = rows[0]!.length

        const encoded = encodeLeaf(text, rows.length, columns)
        const decoded = decodeLeaf(encoded, { rows: rows.length, columns, textBytes: text.length, what: 'leaf' })

        expect(decoded.equals(text)).toBe(true)
      }),
      propertyRuns(500),
    )
  })

  it('keeps every way to write a number: only canonical integers of at most 15 digits are stored as such', () => {
    const columnOf = (...fields: readonly string[]) =>
      encodeLeaf(textOf(fields.map((field) => [field])), fields.length, 1)[2]

    expect(columnOf('1', '-5', '0', '999999999999999')).toBe(COLUMN_CODECS.integers)
    for (const other of ['1.0', '01', '-0', '', '\\N', '1000000000000000', '+1', ' 1']) {
      expect(columnOf('1', other)).toBe(COLUMN_CODECS.plain)
    }
    expect(columnOf('same', 'same')).toBe(COLUMN_CODECS.constant)
  })

  it('with any one byte changed, or cut anywhere, decodes to other text or is refused', () => {
    const text = textOf([
      ['1', 'a', '37.5'],
      ['2', 'a', '37.25'],
      ['9', 'a', '\\N'],
    ])
    const expected = { rows: 3, columns: 3, textBytes: text.length, what: 'leaf' }
    const encoded = encodeLeaf(text, 3, 3)

    for (let at = 0; at < encoded.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const changed = Buffer.from(encoded)
        changed[at]! ^= 1 << bit
        expect(outcome(() => decodeLeaf(changed, expected).equals(text))).not.toBe('true')
      }
      expect(outcome(() => decodeLeaf(encoded.subarray(0, at), expected).equals(text))).toBe('repository-damaged')
    }
  })
})

function outcome(work: () => unknown): string {
  try {
    return String(work())
  } catch (error) {
    return (error as { code?: string }).code ?? 'defect'
  }
}
