/** Rows as stretches of a leaf: their keys and fields are those of the line, wherever the key stands in it. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TableManifest } from '../../../src/repository/manifest.ts'
import { tableSpec } from '../../../src/repository/table-spec.ts'
import { parseRows } from '../../../src/repository/tree/rows.ts'
import {
  fieldOf,
  fieldsText,
  fieldText,
  giveField,
  isSameLine,
  storedRow,
  storedRowsOf,
} from '../../../src/restore/patient/stored-row.ts'

const COLUMNS = ['a', 'b', 'c', 'd', 'e']

function tableOf(primaryKey: readonly string[]): TableManifest {
  const columns = COLUMNS.map((name) => ({ name, type: 'text', notNull: false }))
  return { name: 'public.t', columns, primaryKey: [...primaryKey], anchor: null } as unknown as TableManifest
}

const field = fc.oneof(
  fc.constantFrom('', '\\N', '1', 'Ã©', '\\\\t', '2026-05-12 01:12:00+00'),
  fc.string({ unit: fc.constantFrom('x', 'y', '\xe9', '\\'), maxLength: 40 }),
)
const lines = fc.array(fc.array(field, { minLength: 5, maxLength: 5 }), { minLength: 1, maxLength: 40 })
const key = fc.shuffledSubarray(COLUMNS)

describe('stored rows', () => {
  it('have the key that the table says, its fields in its order, one by one and many together', () => {
    fc.assert(
      fc.property(key, lines, fc.infiniteStream(fc.boolean()), (primaryKey, rows, chosen) => {
        const table = tableOf(primaryKey)
        const text = Buffer.from(rows.map((fields) => `${fields.join('\t')}\n`).join(''), 'latin1')
        const leaf = parseRows(tableSpec(table), text)
        const selected = rows.flatMap((_, row) => (chosen.next().value ? [row] : []))
        const found = storedRowsOf(table, leaf, selected)
        expect(found.map(({ line }) => line.toString('latin1'))).toEqual(selected.map((row) => rows[row]!.join('\t')))
        for (const [index, row] of selected.entries()) {
          const fields = rows[row]!
          const wanted = primaryKey.map((name) => fields[COLUMNS.indexOf(name)]!)
          expect(found[index]!.key).toBe((wanted.length === 0 ? fields : wanted).join('\t'))
          expect(storedRow(table, Buffer.from(`${fields.join('\t')}\n`, 'latin1')).key).toBe(found[index]!.key)
        }
      }),
    )
  })

  it('give each field, in any order, whatever was asked before', () => {
    fc.assert(
      fc.property(lines, fc.array(fc.nat(4), { maxLength: 12 }), (rows, asked) => {
        const table = tableOf(['a'])
        const stored = rows.map((fields) => storedRow(table, Buffer.from(fields.join('\t'), 'latin1')))
        for (const number of asked) {
          for (const [index, row] of stored.entries()) {
            const text = rows[index]![number]!
            const shown = text === '\\N' ? null : text
            expect(fieldText(row, number)).toBe(shown)
            expect(fieldOf(row, number).toString('latin1')).toBe(text)
            expect(fieldText(row, number)).toBe(shown)
            giveField(row, number, (bytes, start, end) => {
              expect(Buffer.from(bytes.subarray(start, end)).toString('latin1')).toBe(text)
            })
            const both = [text, rows[index]![0]!]
            expect(fieldsText(row, [number, 0])).toBe(both.includes('\\N') ? null : both.join('\t'))
          }
        }
      }),
    )
  })

  it('are the same line when no byte differs, however long', () => {
    const table = tableOf(['a'])
    const row = (text: string) => storedRow(table, Buffer.from(text))
    for (const length of [0, 1, 200, 257, 5_000]) {
      const line = `1\t2\t3\t4\t${'v'.repeat(length)}`
      expect(isSameLine(row(line), row(`${line}\n`))).toBe(true)
      expect(isSameLine(row(line), row(`${line}v`))).toBe(false)
      expect(isSameLine(row(`${line}v`), row(`${line}w`))).toBe(false)
      expect(isSameLine(row(line), row(`2${line.slice(1)}`))).toBe(false)
    }
  })
})
