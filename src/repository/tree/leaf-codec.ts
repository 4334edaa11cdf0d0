/**
 * A leaf's rows, stored by column: all first fields, then all second fields … Neighbours of one column are alike, so
 * zstd makes half of what it makes of rows.
 *
 *     varint rows · varint columns · for each column: codec (1 byte), varint length · the columns
 *
 *     codec 0  plain      every field, each ended by 0A
 *     codec 1  constant   the one field that all rows have, without an end
 *     codec 2  integers   zigzag varints: the first value, then the differences. Read, and no longer written
 *     codec 3  patterns   templates and the numbers in them: pattern-column.ts
 *
 * The digest is of the rows' text, so this form can change (a new codec) without changing a root.
 */
import { type ColumnNumbers, decodePatternColumn, encodePatternColumn } from './pattern-column.ts'
import { ByteReader, ByteWriter } from './varint.ts'

export const COLUMN_CODECS = { plain: 0, constant: 1, integers: 2, patterns: 3 } as const

/** A leaf is cut at 128 KiB of text, and a row has a byte at least: bounds what a damaged head can make us allocate. */
const LEAF_ROWS_MAX = 131_072
const TAB = 0x09
const NEWLINE = 0x0a

/** `text` is `rows` lines of `columns` fields each. */
export function encodeLeaf(text: Buffer, rows: number, columns: number): Buffer {
  const bounds = fieldBounds(text, rows, columns)
  const head = new ByteWriter(8 + columns * 4)
  const body = new ByteWriter(text.length)
  const numbers: (ColumnNumbers | null)[] = []
  head.varint(rows)
  head.varint(columns)
  for (let column = 0; column < columns; column += 1) {
    const before = body.length
    const fields = Array.from({ length: rows }, (_, row) => fieldAt(text, bounds, row * columns + column))
    const encoded = encodeColumn(fields, numbers, body)
    numbers.push(encoded.numbers)
    head.byte(encoded.codec)
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
  const decoded: DecodedColumn[] = []
  for (const { codec, bytes } of heads) {
    decoded.push(
      decodeColumn(codec, reader.bytes(bytes), { rows, bytesMax: expected.textBytes, earlier: decoded, reader }),
    )
  }
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

function fieldAt(text: Buffer, bounds: Uint32Array, field: number): Buffer {
  return text.subarray(bounds[field]!, bounds[field + 1]! - 1)
}

function encodeColumn(
  fields: readonly Buffer[],
  earlier: readonly (ColumnNumbers | null)[],
  out: ByteWriter,
): { readonly codec: number; readonly numbers: ColumnNumbers | null } {
  if (fields.every((field) => field.equals(fields[0]!))) {
    out.bytes(fields[0]!)
    return { codec: COLUMN_CODECS.constant, numbers: null }
  }
  const numbers = encodePatternColumn(fields, earlier, out)
  if (numbers) return { codec: COLUMN_CODECS.patterns, numbers }
  for (const field of fields) {
    out.bytes(field)
    out.byte(NEWLINE)
  }
  return { codec: COLUMN_CODECS.plain, numbers: null }
}

interface DecodedColumn {
  readonly bytes: Buffer
  /** rows + 1 entries; field `i` is `bytes[starts[i], starts[i + 1] - 1)`. Null for a constant. */
  readonly starts: Uint32Array | null
  /** What later columns may refer to; of patterns only. */
  readonly values: Float64Array | null
}

interface ColumnPlace {
  readonly rows: number
  readonly bytesMax: number
  readonly earlier: readonly DecodedColumn[]
  readonly reader: ByteReader
}

function decodeColumn(codec: number, bytes: Buffer, { rows, bytesMax, earlier, reader }: ColumnPlace): DecodedColumn {
  if (codec === COLUMN_CODECS.constant) return { bytes: withoutSeparators(bytes, reader), starts: null, values: null }
  if (codec === COLUMN_CODECS.plain) return { bytes, starts: plainStarts(bytes, rows, reader), values: null }
  if (codec === COLUMN_CODECS.integers) return decodeIntegers(bytes, rows)
  if (codec !== COLUMN_CODECS.patterns) {
    throw reader.damaged(`uses column codec ${codec}, which this version does not know`)
  }
  const values = earlier.map((column) => column.values)
  return decodePatternColumn(bytes, rows, values, { bytesMax, what: 'a column of patterns' })
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
  return { bytes: out.done(), starts, values: null }
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
