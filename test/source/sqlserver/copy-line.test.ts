/** Lines of COPY text from fields of the driver and back; PostgreSQL's own reader of fields is the second opinion. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { unescapeField } from '../../../src/source/postgres/copy-field.ts'
import type { Field } from '../../../src/source/sqlserver/connect.ts'
import { bytesOf, fieldsOf, isLargeRow, lineOf, linePieces } from '../../../src/source/sqlserver/copy-line.ts'

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('\\', '\t', '\n', '\r', '\b', '\f', '\v', 'N', '0', '中', '😀', ' ') }),
)

describe('a line', () => {
  it('gives back every text, and NULL apart from empty', () => {
    fc.assert(
      fc.property(fc.array(fc.option(text), { minLength: 1 }), (fields) => {
        const line = lineOf(fields) as string

        expect(line.endsWith('\n')).toBe(true)
        expect(line.slice(0, -1)).not.toMatch(/[\n\r]/)
        expect(fieldsOf(line.slice(0, -1))).toEqual(fields)
      }),
      { numRuns: 500 },
    )
  })

  it('holds fields that PostgreSQL reads as the same text', () => {
    fc.assert(
      fc.property(text, (field) => {
        const line = (lineOf([field]) as string).slice(0, -1)

        expect(unescapeField(Buffer.from(line)).toString()).toBe(field)
      }),
      { numRuns: 500 },
    )
  })

  it('holds bytes as 0x and capitals, empty ones too', () => {
    const fields: Field[] = [Buffer.from([0, 0xab, 0xff]), Buffer.alloc(0)]
    const line = lineOf(fields) as string

    expect(line).toBe('0x00ABFF\t0x\n')
    expect(fieldsOf(line.slice(0, -1)).map((field) => bytesOf(field ?? ''))).toEqual(fields)
  })

  it('of large fields comes in pieces, none of which ends within a character', () => {
    const large = ['😀', '\t', 'x\\', '中'].map((piece) => `y${piece.repeat(100_000)}`)
    const fields: Field[] = [...large, null, Buffer.alloc(200_001, 7), 'small', `${'z'.repeat(65_535)}😀`]
    const pieces = [...linePieces(fields)].map(String)

    expect(isLargeRow(fields)).toBe(true)
    expect(isLargeRow(['small', null, Buffer.alloc(9)])).toBe(false)
    expect(pieces.every((piece) => piece.isWellFormed() && piece.length <= 4 * 64 * 1024)).toBe(true)
    expect(pieces.join('') === lineOf(fields)).toBe(true)
    const back = fieldsOf(pieces.join('').slice(0, -1))
    expect(large.every((field, position) => back[position] === field)).toBe(true)
  })

  it('refuses half a surrogate pair, and says in which field', () => {
    expect([...linePieces(['😀', null, 'x\ud83d'])].at(-1)).toEqual({ unpaired: 2 })
    expect(lineOf(['😀', null, 'x\ud83d'])).toEqual({ unpaired: 2 })
  })
})
