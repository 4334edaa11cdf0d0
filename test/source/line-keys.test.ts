/** Keys of lines: as text, as views, and as places in the line. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { LineKeys } from '../../src/source/line-keys.ts'

const COLUMNS = ['a', 'b', 'c', 'd']

it('finds the fields of a key in its order, wherever they stand, in one line after the other', () => {
  const field = fc.string({ unit: fc.constantFrom('x', '\\', '\xe9', ' '), maxLength: 6 })
  const lines = fc.array(fc.array(field, { minLength: 4, maxLength: 4 }), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(fc.shuffledSubarray(COLUMNS, { minLength: 1 }), lines, (key, rows) => {
      const keys = new LineKeys(COLUMNS, key)
      for (const fields of rows) {
        const line = Buffer.from(fields.join('\t'), 'latin1')
        const wanted = key.map((column) => fields[COLUMNS.indexOf(column)]!)
        expect(keys.text(line)).toBe(wanted.join('\t'))
        expect(keys.fields(line).map((view) => view.toString('latin1'))).toEqual(wanted)
        const given: string[] = []
        for (const position of key.keys()) {
          keys.give(line, position, (bytes, start, end) => {
            given.push(Buffer.from(bytes.subarray(start, end)).toString('latin1'))
          })
        }
        expect(given).toEqual(wanted)
      }
    }),
  )
})
