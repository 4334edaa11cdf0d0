/** Lines of COPY text from fields of the driver and back; PostgreSQL's own reader of fields is the second opinion. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { unescapeField } from '../../../src/source/postgres/copy-field.ts'
import type { Field } from '../../../src/source/sqlserver/connect.ts'
import { bytesOf, fieldsOf, lineOf } from '../../../src/source/sqlserver/copy-line.ts'

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

  it('refuses half a surrogate pair, and says in which field', () => {
    expect(lineOf(['😀', null, 'x\ud83d'])).toEqual({ unpaired: 2 })
  })
})
