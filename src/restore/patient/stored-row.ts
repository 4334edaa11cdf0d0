/**
 * One row of a table, as a stretch of the bytes that it came in: fifty thousand of them are a patient, and a view, a list
 * of fields and a copy for each would cost more than all that is asked of them.
 */
import { findFields } from '../../repository/fold/line-fields.ts'
import type { TableManifest } from '../../repository/manifest.ts'
import { tableSpec } from '../../repository/table-spec.ts'
import { encodedBytesMax, encodeField } from '../../repository/tree/key.ts'
import type { TreeSpec } from '../../repository/tree/spec.ts'

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

  /** @param fieldCount another one than the table's in a locator, whose rows are asked for no key */
  constructor(table: TableManifest, bytes: Buffer, start: number, end: number, fieldCount = table.columns.length) {
    this.table = table
    this.bytes = bytes
    this.start = start
    this.end = end
    this.key = fieldCount === table.columns.length ? keyOf(this) : ''
  }

  /** Without the newline: a view, made anew. */
  get line(): Buffer {
    return this.bytes.subarray(this.start, this.end)
  }
}

/** @param text a line, with its newline or without; it is kept. @param fieldCount as of `StoredRow` */
export function storedRow(table: TableManifest, text: Buffer, fieldCount?: number): StoredRow {
  return new StoredRow(table, text, 0, text.at(-1) === NEWLINE ? text.length - 1 : text.length, fieldCount)
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

/** A field's bytes as they stand in the line, COPY's escapes included. */
export function fieldOf(row: StoredRow, field: number): Buffer {
  const starts = startsOf(row)
  return row.bytes.subarray(starts[field], starts[field + 1]! - 1)
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
  const starts = startsOf(row)
  const start = starts[field]!
  const end = starts[field + 1]! - 1
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

function keyOf(row: StoredRow): string {
  const { key } = specOf(row.table)
  if (key.length === 0) return row.bytes.toString('latin1', row.start, row.end)
  const starts = startsOf(row)
  let text = ''
  for (let index = 0; index < key.length; index += 1) {
    const field = row.bytes.toString('latin1', starts[key[index]!], starts[key[index]! + 1]! - 1)
    text = index === 0 ? field : `${text}\t${field}`
  }
  return text
}

const specs = new WeakMap<TableManifest, TreeSpec>()

/** `tableSpec`, which looks for columns by name, once for a table and not for each row. */
function specOf(table: TableManifest): TreeSpec {
  const known = specs.get(table)
  if (known) return known
  const spec = tableSpec(table)
  specs.set(table, spec)
  return spec
}
