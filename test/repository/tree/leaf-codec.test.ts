/** A leaf's stored form gives back its text, whatever stands in the fields, and refuses to be another leaf. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { COLUMN_CODECS, decodeLeaf, encodeLeaf } from '../../../src/repository/tree/leaf-codec.ts'
import { patternOf } from '../../../src/repository/tree/pattern.ts'
import { tableOfColumns, textOf } from './column-support.ts'
import { fieldBytes, propertyRuns } from './support.ts'

const table = fc
  .integer({ min: 1, max: 5 })
  .chain((columns) =>
    fc.array(fc.array(fieldBytes, { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 30 }),
  )

function roundTrip(rows: readonly (readonly string[])[]): void {
  const text = textOf(rows)
  const columns = rows[0]!.length

  const encoded = encodeLeaf(text, rows.length, columns)
  const decoded = decodeLeaf(encoded, { rows: rows.length, columns, textBytes: text.length, what: 'leaf' })

  expect(decoded.equals(text)).toBe(true)
}

describe('a leaf, encoded and decoded', () => {
  it('is the text it was, of any fields', () => {
    fc.assert(fc.property(table, roundTrip), propertyRuns(500))
  })

  it('is the text it was, of columns with a pattern', () => {
    fc.assert(fc.property(tableOfColumns, roundTrip), propertyRuns(500))
  })

  it('keeps every way to write a number, a moment and a date', () => {
    const odd = [
      ...['1.0', '1.00', '01', '-0', '', '\\N', '1000000000000000', '+1', ' 1', '-0.0', '-0.5', '.5', '5.', '1.2.3'],
      ...['00.5', '-007', '--1', '1e5', 'NaN', '-Infinity', '999999999999999', '-999999999999999', '0.00000000000001'],
      ...[
        '2026-02-29',
        '2024-02-29',
        '0000-01-01',
        '0001-01-01',
        '9999-12-31',
        '2026-13-01',
        '2026-1-1',
        '20260-01-01',
      ],
      ...[
        '0001-01-01 00:00:00',
        '9999-12-31 23:59:59',
        '2026-01-01 24:00:00',
        '2026-01-01 23:59:60',
        '2026-01-01 1:00:00',
      ],
      ...[
        '2026-01-01 00:00:00.5',
        '2026-01-01 00:00:00.50',
        '2026-01-01 00:00:00.000001+00',
        '2026-01-01 00:00:00.1234567',
      ],
      ...[
        '2026-01-01 00:00:00-03:30:10',
        '2026-01-01 00:00:00+00 BC',
        '-2026-01-01',
        '2026-01-011',
        '2026-01-01 00:00:000',
      ],
    ]
    for (const field of odd) roundTrip([['1'], [field], ['2']])
    roundTrip(odd.map((field) => [field, 'x']))
    roundTrip(odd.map((field, index) => [odd[(index * 7) % odd.length]!, field]))
  })

  it('stores numbers as such, with NULL among them, and does without bytes for those that grow evenly', () => {
    const codecOf = (...fields: readonly string[]) =>
      encodeLeaf(textOf(fields.map((field) => [field])), fields.length, 1)[2]
    const ids = Array.from({ length: 500 }, (_, index) => [String(7_000_000 + index), index % 3 ? '\\N' : '5'])

    expect(codecOf('1', '-5', '\\N', '999999999999999')).toBe(COLUMN_CODECS.patterns)
    expect(codecOf('same', 'same')).toBe(COLUMN_CODECS.constant)
    expect(codecOf('a', 'b', 'c', 'd', 'e')).toBe(COLUMN_CODECS.plain)
    expect(encodeLeaf(textOf(ids), 500, 2).length).toBeLessThan(500 + 60)
  })

  it('takes the difference to a column before it where that is smaller', () => {
    const rows = Array.from({ length: 200 }, (_, index) => {
      const ordered = (index * 7_919_513) % 1_000_003
      return [String(ordered), String(ordered + (index % 4))]
    })

    roundTrip(rows)
    expect(encodeLeaf(textOf(rows), 200, 2).length).toBeLessThan(200 * 4 + 60)
  })

  it('of a form that was written before patterns is read, and with any one byte changed is other text or refused', () => {
    const text = textOf([
      ['1', 'a', '37.5'],
      ['2', 'a', '37.25'],
      ['9', 'a', '\\N'],
    ])
    const expected = { rows: 3, columns: 3, textBytes: text.length, what: 'leaf' }
    const columns = [Buffer.of(2, 2, 14), Buffer.from('a'), Buffer.from('37.5\n37.25\n\\N\n')]
    const head = Buffer.of(3, 3, 2, columns[0]!.length, 1, 1, 0, columns[2]!.length)
    const encoded = Buffer.concat([head, ...columns])

    expect(decodeLeaf(encoded, expected).equals(text)).toBe(true)
    for (let at = 0; at < encoded.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const changed = Buffer.from(encoded)
        changed[at]! ^= 1 << bit
        expect(outcome(() => decodeLeaf(changed, expected).equals(text))).not.toBe('true')
      }
      expect(outcome(() => decodeLeaf(encoded.subarray(0, at), expected).equals(text))).toBe('repository-damaged')
    }
  })

  it('with any byte changed, or cut anywhere, is a text of its length or refused as damaged', () => {
    fc.assert(
      fc.property(tableOfColumns, fc.nat(), fc.nat({ max: 255 }), (rows, where, byte) => {
        const text = textOf(rows)
        const expected = { rows: rows.length, columns: rows[0]!.length, textBytes: text.length, what: 'leaf' }
        const encoded = encodeLeaf(text, rows.length, rows[0]!.length)
        const changed = Buffer.from(encoded)
        changed[where % changed.length] = byte

        expect(['true', 'repository-damaged']).toContain(
          outcome(() => decodeLeaf(changed, expected).length === text.length),
        )
        const cut = encoded.subarray(0, where % encoded.length)
        expect(outcome(() => decodeLeaf(cut, expected))).toBe('repository-damaged')
      }),
      propertyRuns(1500),
    )
  })

  it('that claims more text than its parent says is refused before it is written out', () => {
    const word = 'w'.repeat(60_000)
    const column = Buffer.concat([Buffer.of(1), Buffer.from(`${word}\n`)])
    const encoded = Buffer.concat([varint(100_000), Buffer.of(1, 3), varint(column.length), column])
    const expected = { rows: 100_000, columns: 1, textBytes: 200_000, what: 'leaf' }

    expect(outcome(() => decodeLeaf(encoded, expected))).toBe('repository-damaged')
  })
})

describe('a pattern', () => {
  it('of a moment counts seconds as the calendar does', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }), (seconds) => {
        const field = new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')

        expect(patternOf(Buffer.from(field))).toEqual({ template: Buffer.of(0x09, 0x30), numbers: [seconds] })
      }),
      propertyRuns(500),
    )
  })
})

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  return Buffer.of(...bytes, rest)
}

function outcome(work: () => unknown): string {
  try {
    return String(work())
  } catch (error) {
    return (error as { code?: string }).code ?? 'defect'
  }
}
