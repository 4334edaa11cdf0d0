/**
 * Lines of COPY text (docs/FORMAT.md, "Rows"), from fields as the driver gives them, and back. The same escapes as
 * PostgreSQL writes, so that one row has one line whichever database it is of.
 */
import { type Field, hexOf } from './connect.ts'

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

/** Characters: what is made at once of a value of hundreds of megabytes. */
const PIECE = 64 * 1024
/** A row is put back from one text, by a thread that holds it several times: what was measured to fit (docs/TESTED.md). */
export const LINE_CHARACTERS_MAX = 2 ** 26

/** Whether `linePieces` is for them: anything smaller is made at once. */
export function isLargeRow(fields: readonly Field[]): boolean {
  return fields.some((field) => field !== null && field.length > PIECE)
}

/** As `lineOf`, in pieces: whatever else the process has to do comes to its turn in between. No piece ends within a character. */
export function* linePieces(fields: readonly Field[]): Generator<ReturnType<typeof lineOf>, void> {
  for (const [position, field] of fields.entries()) {
    if (typeof field === 'string' && !field.isWellFormed()) return yield { unpaired: position }
    if (position > 0) yield '\t'
    if (field === null) yield NULL
    else if (typeof field === 'string') yield* textPieces(field)
    else {
      yield '0x'
      for (let at = 0; at < field.length; at += PIECE) yield hexOf(field.subarray(at, at + PIECE))
    }
  }
  yield '\n'
}

function* textPieces(field: string): Generator<string> {
  for (let at = 0; at < field.length; ) {
    const end = at + PIECE
    const stop = isHighSurrogate(field.charCodeAt(end - 1)) ? end - 1 : end
    yield fieldText(field.slice(at, stop))
    at = stop
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00
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
  if (typeof field !== 'string') return `0x${hexOf(field)}`
  return NEEDS_ESCAPE.test(field) ? field.replaceAll(NEEDS_ESCAPES, (character) => ESCAPES[character]!) : field
}

/** All places of a large text at once would be many times its size. */
function unescapedPieces(field: string): string {
  const pieces: string[] = []
  for (let at = 0; at < field.length; ) {
    let end = Math.min(at + PIECE, field.length)
    let slashes = 0
    while (end - slashes > at && field[end - slashes - 1] === '\\') slashes += 1
    // The last of an odd number begins an escape.
    if (slashes % 2 === 1) end -= 1
    pieces.push(unescaped(field.slice(at, end)))
    at = end
  }
  return pieces.join('')
}

function unescaped(field: string): string {
  if (!field.includes('\\')) return field
  if (field.length > PIECE) return unescapedPieces(field)
  return field.replaceAll(/\\(.)/gs, (_, character: string) => MEANINGS[character] ?? character)
}
