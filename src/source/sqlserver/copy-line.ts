/**
 * Lines of COPY text (docs/FORMAT.md, "Rows"), from fields as the driver gives them, and back. The same escapes as
 * PostgreSQL writes, so that one row has one line whichever database it is of.
 */
import type { Field } from './connect.ts'

const NEEDS_ESCAPE = /[\\\b\f\n\r\t\v]/
const NEEDS_ESCAPES = /[\\\b\f\n\r\t\v]/g
const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}
const MEANINGS: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }
const NULL = '\\N'

/**
 * With its newline.
 * @returns the number of the field that holds half a surrogate pair instead: UTF-8 has no form for it
 */
export function lineOf(fields: readonly Field[]): string | { readonly unpaired: number } {
  let line = ''
  for (const [position, field] of fields.entries()) {
    if (typeof field === 'string' && !field.isWellFormed()) return { unpaired: position }
    line += (position === 0 ? '' : '\t') + fieldText(field)
  }
  return `${line}\n`
}

/** @param line without its newline. Bytes stand as `0x…` in the text of their field. */
export function fieldsOf(line: string): (string | null)[] {
  return line.split('\t').map((field) => (field === NULL ? null : unescaped(field)))
}

export function bytesOf(field: string): Buffer {
  return Buffer.from(field.slice(2), 'hex')
}

function fieldText(field: Field): string {
  if (field === null) return NULL
  if (typeof field !== 'string') return `0x${field.toString('hex').toUpperCase()}`
  return NEEDS_ESCAPE.test(field) ? field.replaceAll(NEEDS_ESCAPES, (character) => ESCAPES[character]!) : field
}

function unescaped(field: string): string {
  if (!field.includes('\\')) return field
  return field.replaceAll(/\\(.)/gs, (_, character: string) => MEANINGS[character] ?? character)
}
