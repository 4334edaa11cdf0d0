/**
 * A leaf's rows, stored by column: all first fields, then all second fields … Neighbours of one column are alike, so
 * zstd makes half of what it makes of rows.
 *
 *     varint rows · varint columns · for each column: codec (1 byte), varint length · the columns
 *
 *     codec 0  plain      every field, each ended by 0A
 *     codec 1  constant   the one field that all rows have, without an end
 *     codec 2  integers   zigzag varints: the first value, then the differences. Only when every field is a canonical
 *                         integer of at most 15 digits, so that the text comes back as it was
 *
 * The digest is of the rows' text, so this form can change (a new codec) without changing a root.
 */
import { ByteReader, ByteWriter } from './varint.ts'

export const COLUMN_CODECS = { plain: 0, constant: 1, integers: 2 } as const

/** A leaf is cut at 128 KiB of text, and a row has a byte at least: bounds what a damaged head can make us allocate. */
const LEAF_ROWS_MAX = 131_072
/** Below 2^53 with a margin for differences of two. */
const INTEGER_DIGITS_MAX = 15
const TAB = 0x09
const NEWLINE = 0x0a
const MINUS = 0x2d
const ZERO = 0x30

/** `text` is `rows` lines of `columns` fields each. */
export function encodeLeaf(text: Buffer, rows: number, columns: number): Buffer {
  const bounds = fieldBounds(text, rows, columns)
  const head = new ByteWriter(8 + columns * 4)
  const body = new ByteWriter(text.length)
  head.varint(rows)
  head.varint(columns)
  for (let column = 0; column < columns; column += 1) {
    const before = body.length
    head.byte(encodeColumn({ text, bounds, rows, columns, column }, body))
    head.varint(body.length - before)
  }
  return Buffer.concat([head.done(), body.done()])
}

/** What the parent and the table say of a leaf: it bounds what we allocate. */
export interface ExpectedLeaf {
  readonly rows: number
  readonly columns: number
  readonly textBytes: number
  /** Names it in errors. */
  readonly what: string
}

/** @throws repository-damaged when the bytes are not a leaf of that many rows, columns and bytes of text */
export function decodeLeaf(encoded: Uint8Array, expected: ExpectedLeaf): Buffer {
  const reader = new ByteReader(encoded, expected.what)
  const rows = reader.varint()
  const columns = reader.varint()
  if (rows !== expected.rows) throw reader.damaged(`holds ${rows} rows, its parent says ${expected.rows}`)
  if (columns !== expected.columns) throw reader.damaged(`has ${columns} columns, its table has ${expected.columns}`)
  if (rows > LEAF_ROWS_MAX) throw reader.damaged(`claims ${rows} rows, no leaf has more than ${LEAF_ROWS_MAX}`)
  if (rows > expected.textBytes) throw reader.damaged('claims more rows than bytes')

  const heads: { codec: number; bytes: number }[] = []
  for (let column = 0; column < columns; column += 1) heads.push({ codec: reader.byte(), bytes: reader.varint() })
  const decoded = heads.map((head) => decodeColumn(head.codec, reader.bytes(head.bytes), rows, reader))
  reader.end()
  const textBytes = joinedBytes(decoded, rows)
  if (textBytes !== expected.textBytes) {
    throw reader.damaged(`holds ${textBytes} bytes of text, its parent says ${expected.textBytes}`)
  }
  return joinColumns(decoded, rows, textBytes)
}

/** Start of each field, row by row; one more entry than fields. A field ends one before the next one's start. */
function fieldBounds(text: Buffer, rows: number, columns: number): Uint32Array {
  const bounds = new Uint32Array(rows * columns + 1)
  let field = 1
  for (let at = 0; at < text.length; at += 1) {
    const byte = text[at]
    if (byte === TAB || byte === NEWLINE) bounds[field++] = at + 1
  }
  if (field !== bounds.length) throw new Error('a leaf was given rows of unequal width')
  return bounds
}

interface ColumnView {
  readonly text: Buffer
  readonly bounds: Uint32Array
  readonly rows: number
  readonly columns: number
  readonly column: number
}

function encodeColumn(view: ColumnView, out: ByteWriter): number {
  if (isConstant(view)) {
    out.bytes(fieldAt(view, 0))
    return COLUMN_CODECS.constant
  }
  const values = integerValues(view)
  if (values) {
    let previous = 0
    for (const value of values) {
      const difference = value - previous
      out.varint(difference < 0 ? -2 * difference - 1 : 2 * difference)
      previous = value
    }
    return COLUMN_CODECS.integers
  }
  for (let row = 0; row < view.rows; row += 1) {
    out.bytes(fieldAt(view, row))
    out.byte(NEWLINE)
  }
  return COLUMN_CODECS.plain
}

function fieldAt(view: ColumnView, row: number): Buffer {
  const field = row * view.columns + view.column
  return view.text.subarray(view.bounds[field]!, view.bounds[field + 1]! - 1)
}

function isConstant(view: ColumnView): boolean {
  const { text, bounds, columns } = view
  const first = bounds[view.column]!
  const length = bounds[view.column + 1]! - first
  for (let row = 1; row < view.rows; row += 1) {
    const start = bounds[row * columns + view.column]!
    if (bounds[row * columns + view.column + 1]! - start !== length) return false
    for (let at = 0; at < length; at += 1) if (text[first + at] !== text[start + at]) return false
  }
  return true
}

function integerValues(view: ColumnView): Float64Array | null {
  const { text, bounds, columns, column } = view
  const values = new Float64Array(view.rows)
  for (let row = 0; row < view.rows; row += 1) {
    const field = row * columns + column
    const value = canonicalInteger(text, bounds[field]!, bounds[field + 1]! - 1)
    if (Number.isNaN(value)) return null
    values[row] = value
  }
  return values
}

/** NaN for anything that would not be printed again exactly as it stands. */
function canonicalInteger(text: Buffer, start: number, end: number): number {
  const negative = text[start] === MINUS
  const digits = negative ? start + 1 : start
  const count = end - digits
  if (count < 1 || count > INTEGER_DIGITS_MAX) return Number.NaN
  if (text[digits] === ZERO && (count > 1 || negative)) return Number.NaN
  let value = 0
  for (let at = digits; at < end; at += 1) {
    const digit = text[at]! - ZERO
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return negative ? -value : value
}

interface DecodedColumn {
  readonly bytes: Buffer
  /** rows + 1 entries; field `i` is `bytes[starts[i], starts[i + 1] - 1)`. Null for a constant. */
  readonly starts: Uint32Array | null
}

function decodeColumn(codec: number, bytes: Buffer, rows: number, reader: ByteReader): DecodedColumn {
  if (codec === COLUMN_CODECS.constant) return { bytes: withoutSeparators(bytes, reader), starts: null }
  if (codec === COLUMN_CODECS.plain) return { bytes, starts: plainStarts(bytes, rows, reader) }
  if (codec === COLUMN_CODECS.integers) return decodeIntegers(bytes, rows)
  throw reader.damaged(`uses column codec ${codec}, which this version does not know`)
}

/** A field that held one would make the rows' text mean something else. */
function withoutSeparators(field: Buffer, reader: ByteReader): Buffer {
  if (field.includes(TAB) || field.includes(NEWLINE)) throw reader.damaged('has a separator within a field')
  return field
}

function plainStarts(bytes: Buffer, rows: number, reader: ByteReader): Uint32Array {
  const starts = new Uint32Array(rows + 1)
  let row = 0
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) {
    row += 1
    if (row > rows) break
    starts[row] = at + 1
  }
  if (row !== rows || starts[rows] !== bytes.length) throw reader.damaged('has a column of another length')
  return starts
}

function decodeIntegers(bytes: Buffer, rows: number): DecodedColumn {
  const values = new ByteReader(bytes, 'a column of integers')
  if (rows > bytes.length) throw values.damaged('ends early')
  const out = new ByteWriter(rows * 8)
  const starts = new Uint32Array(rows + 1)
  let previous = 0
  for (let row = 0; row < rows; row += 1) {
    const zigzag = values.varint()
    previous += zigzag % 2 === 1 ? -(zigzag + 1) / 2 : zigzag / 2
    out.bytes(Buffer.from(String(previous), 'latin1'))
    out.byte(NEWLINE)
    starts[row + 1] = out.length
  }
  values.end()
  return { bytes: out.done(), starts }
}

/** Known before anything is joined: what is allocated is what the columns really hold. */
function joinedBytes(columns: readonly DecodedColumn[], rows: number): number {
  return columns.reduce((sum, { bytes, starts }) => sum + (starts ? bytes.length : rows * (bytes.length + 1)), 0)
}

function joinColumns(columns: readonly DecodedColumn[], rows: number, textBytes: number): Buffer {
  const text = Buffer.allocUnsafe(textBytes)
  let at = 0
  for (let row = 0; row < rows; row += 1) {
    for (const { bytes, starts } of columns) {
      const start = starts ? starts[row]! : 0
      const end = starts ? starts[row + 1]! - 1 : bytes.length
      at += bytes.copy(text, at, start, end)
      text[at++] = TAB
    }
    text[at - 1] = NEWLINE
  }
  return text
}
