/**
 * One row of a table, as a stretch of the bytes that it came in: fifty thousand of them are a patient, and a view, a list
 * of fields and a copy for each would cost more than all that is asked of them.
 */
import { findFields } from '../../repository/fold/line-fields.ts'
import type { TableManifest } from '../../repository/manifest.ts'
import { tableSpec } from '../../repository/table-spec.ts'
import { encodedBytesMax, encodeField } from '../../repository/tree/key.ts'
import type { Rows } from '../../repository/tree/rows.ts'
import type { TakeField } from '../../source/row-contract.ts'

const TAB = 0x09
const NEWLINE = 0x0a
const BACKSLASH = 0x5c
const BIG_N = 0x4e

export class StoredRow {
  readonly table: TableManifest
  /** Which row it is: its key's fields as they stand in the line, tabs between; of a table without a key, the line. Latin1. */
  readonly key: string
  /** The line, without its newline, is `[start, end)` of it. */
  readonly bytes: Buffer
  readonly start: number
  readonly end: number

  constructor(table: TableManifest, key: string, bytes: Buffer, start: number, end: number) {
    this.table = table
    this.key = key
    this.bytes = bytes
    this.start = start
    this.end = end
  }

  /** Without the newline: a view, made anew. */
  get line(): Buffer {
    return this.bytes.subarray(this.start, this.end)
  }
}

/**
 * @param text a line, with its newline or without; it is kept
 * @param fieldCount another one than the table's in a locator, whose rows are asked for no key
 */
export function storedRow(table: TableManifest, text: Buffer, fieldCount = table.columns.length): StoredRow {
  const end = text.at(-1) === NEWLINE ? text.length - 1 : text.length
  const key = fieldCount === table.columns.length ? keyIn(keyPlaceOf(table), text, 0, end, null, 0) : ''
  return new StoredRow(table, key, text, 0, end)
}

/** From so many on, the text of all is made in one go, and keys are cut out of it. */
const TOGETHER_ROWS_MIN = 8

/** Some rows of a leaf, ascending; its text is kept. */
export function storedRowsOf(
  table: TableManifest,
  { text, textStart }: Rows,
  selected: readonly number[],
): StoredRow[] {
  const place = keyPlaceOf(table)
  const [first, last] = [selected[0] ?? 0, selected.at(-1) ?? 0]
  const from = textStart[first]!
  const isTogether = selected.length >= TOGETHER_ROWS_MIN
  const letters = isTogether ? text.toString('latin1', from, textStart[last + 1]) : null
  return selected.map((row) => {
    const start = textStart[row]!
    const end = textStart[row + 1]! - 1
    return new StoredRow(table, keyIn(place, text, start, end, letters, from), text, start, end)
  })
}

/** The fields of the row that was looked at last: one after the other is asked for, of one row after the other. */
const looked: { row: StoredRow | null; starts: Uint32Array } = { row: null, starts: new Uint32Array(64) }

/** Field `i` is `bytes[starts[i], starts[i + 1] - 1)`; good until another row is looked at. */
function startsOf(row: StoredRow): Uint32Array {
  if (looked.row === row) return looked.starts
  const { bytes, start, end } = row
  const room = row.table.columns.length + 1
  if (looked.starts.length < room) looked.starts = new Uint32Array(room)
  looked.row = row
  findFields(bytes, looked.starts, start, end)
  return looked.starts
}

/** Lines up to here are compared byte by byte before calling for help takes less. */
const SHORT_LINE_BYTES = 256

export function isSameLine(row: StoredRow, other: StoredRow): boolean {
  const length = row.end - row.start
  if (length !== other.end - other.start) return false
  if (length > SHORT_LINE_BYTES) return row.line.equals(other.line)
  for (let at = 0; at < length; at += 1) {
    if (row.bytes[row.start + at] !== other.bytes[other.start + at]) return false
  }
  return true
}

/** A field's bytes as they stand in the line, COPY's escapes included. */
export function fieldOf(row: StoredRow, field: number): Buffer {
  const starts = startsOf(row)
  return row.bytes.subarray(starts[field], starts[field + 1]! - 1)
}

/** As `fieldOf`, without a view of it. */
export function giveField({ bytes, start, end }: StoredRow, field: number, take: TakeField): void {
  const first = behindFields(bytes, start, end, field)
  take(bytes, first, fieldEnd(bytes, first, end))
}

export function isNull(field: Uint8Array): boolean {
  return field.length === 2 && field[0] === BACKSLASH && field[1] === BIG_N
}

export function encodedField(row: StoredRow, field: number): Buffer {
  const bytes = fieldOf(row, field)
  const out = Buffer.allocUnsafe(encodedBytesMax(bytes.length))
  return out.subarray(0, encodeField(bytes, 0, bytes.length, out, 0))
}

/** As text, latin1; null where NULL. */
export function fieldText(row: StoredRow, field: number): string | null {
  const { bytes } = row
  const isLookedAt = looked.row === row
  const start = isLookedAt ? looked.starts[field]! : behindFields(bytes, row.start, row.end, field)
  const end = isLookedAt ? looked.starts[field + 1]! - 1 : fieldEnd(bytes, start, row.end)
  if (end - start === 2 && bytes[start] === BACKSLASH && bytes[start + 1] === BIG_N) return null
  return end - start > REPEATED_BYTES_MAX ? bytes.toString('latin1', start, end) : repeatedText(bytes, start, end)
}

const REPEATED_BYTES_MAX = 24
const REPEATED_TEXTS = 256
/** By a sum of their bytes. */
const repeated: (string | undefined)[] = Array.from({ length: REPEATED_TEXTS }, () => undefined)

/** Fifty thousand rows refer to one stay and a few codes: what was looked at lately is not made once more. */
function repeatedText(bytes: Buffer, start: number, end: number): string {
  let sum = end - start
  for (let at = start; at < end; at += 1) sum = (Math.imul(sum, 31) + bytes[at]!) | 0
  const slot = sum & (REPEATED_TEXTS - 1)
  const known = repeated[slot]
  if (known !== undefined && isText(known, bytes, start, end)) return known
  const text = bytes.toString('latin1', start, end)
  repeated[slot] = text
  return text
}

function isText(text: string, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false
  for (let at = start; at < end; at += 1) if (text.charCodeAt(at - start) !== bytes[at]) return false
  return true
}

/** With tabs between; null when one of them is NULL, which refers to nothing. */
export function fieldsText(row: StoredRow, fields: readonly number[]): string | null {
  if (fields.length === 1) return fieldText(row, fields[0]!)
  let text = ''
  for (let index = 0; index < fields.length; index += 1) {
    const field = fieldText(row, fields[index]!)
    if (field === null) return null
    text = index === 0 ? field : `${text}\t${field}`
  }
  return text
}

/** What somebody types, as it stands in a line. */
export function fieldOfText(text: string): Buffer {
  const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }
  return Buffer.from(text.replace(/[\\\t\n\r]/g, (found) => escapes[found]!))
}

/** Which fields of a line are its key; `count` 0: the line is. */
interface KeyPlace {
  readonly fields: readonly number[]
  /** Where they stand one behind the other in the line, they are one stretch of it. */
  readonly isStretch: boolean
}

const keyPlaces = new WeakMap<TableManifest, KeyPlace>()

/** `tableSpec` looks for columns by name: once for a table and not for each row. */
function keyPlaceOf(table: TableManifest): KeyPlace {
  const known = keyPlaces.get(table)
  if (known) return known
  const { key: fields } = tableSpec(table)
  const place = { fields, isStretch: fields.every((field, index) => field === fields[0]! + index) }
  keyPlaces.set(table, place)
  return place
}

/** Of the line `bytes[start, end)`. @param letters what stands in `bytes` from `from` on, latin1; null where nobody made it */
function keyIn(
  { fields, isStretch }: KeyPlace,
  bytes: Buffer,
  start: number,
  end: number,
  letters: string | null,
  from: number,
): string {
  const text = (first: number, last: number) =>
    letters === null ? bytes.toString('latin1', first, last) : letters.slice(first - from, last - from)
  if (fields.length === 0) return text(start, end)
  let at = behindFields(bytes, start, end, fields[0]!)
  let last = fieldEnd(bytes, at, end)
  if (isStretch) {
    for (let more = 1; more < fields.length; more += 1) last = fieldEnd(bytes, last + 1, end)
    return text(at, last)
  }
  let key = text(at, last)
  for (let index = 1; index < fields.length; index += 1) {
    const [before, field] = [fields[index - 1]!, fields[index]!]
    // Usually farther on in the line.
    at =
      field > before ? behindFields(bytes, last + 1, end, field - before - 1) : behindFields(bytes, start, end, field)
    last = fieldEnd(bytes, at, end)
    key += `\t${text(at, last)}`
  }
  return key
}

/** Where the next field begins, `count` fields after `start`. */
function behindFields(bytes: Buffer, start: number, end: number, count: number): number {
  let at = start
  for (let left = count; left > 0 && at < end; at += 1) if (bytes[at] === TAB) left -= 1
  return at
}

/** Of the field that begins at `start`. */
function fieldEnd(bytes: Buffer, start: number, end: number): number {
  let at = start
  while (at < end && bytes[at] !== TAB) at += 1
  return at
}
