/**
 * A leaf's text from its columns. Every read is checked, for these bytes may come from a damaged repository; what is
 * wrong with them is for tree/leaf-codec.ts to say, which is asked again when this one refuses.
 */
import { copyLoosely, NEWLINE, separators, TAB } from './bytes'
import { writeInteger } from './integer'
import {
  CODEC, OPEN_ROOM_BYTES, openPatterns, PATTERN_COLUMN_BYTES, setNumberRoom, setOpenRoom, takePattern,
} from './pattern-decode'
import { getVarint, varintEnd } from './varint'

const PLAIN: u8 = 0
const CONSTANT: u8 = 1
const INTEGERS: u8 = 2
const PATTERNS: u8 = 3
const ROWS_MAX: u32 = 131_072
/** Of a column while it is read: where it stands, its end, the value before, its codec; then what patterns need. */
const COLUMN_BYTES: usize = PATTERN_COLUMN_BYTES
/** Of at most 15 digits is what the codec promises; beyond 2^53 other readers would disagree. */
const INTEGER_MAX: i64 = 999_999_999_999_999

export function decodeRoomBytes(rows: u32, columns: u32, textBytes: usize): usize {
  const fields = <usize>rows * <usize>columns
  return <usize>columns * COLUMN_BYTES + OPEN_ROOM_BYTES + ((numbersMax(fields, textBytes) + 2 * fields) << 3)
}

/** Each number is a byte of text at least, and a field has eight at most. */
@inline
function numbersMax(fields: usize, textBytes: usize): usize {
  return min(textBytes, fields << 3)
}

/** `columnRoom`: decodeRoomBytes; `out` has 32 more than `textBytes`. @returns whether it is such a leaf */
export function decodeLeaf(
  encoded: usize, encodedEnd: usize, rows: u32, columns: u32, textBytes: usize, columnRoom: usize, out: usize,
): bool {
  if (<usize>rows > textBytes || rows > ROWS_MAX || columns == 0) return false
  if (!takeHeads(encoded, encodedEnd, rows, columns, textBytes, columnRoom)) return false
  const outEnd = out + textBytes
  const columnsEnd = columnRoom + <usize>columns * COLUMN_BYTES
  let to = out
  for (let row: u32 = 0; row < rows; row += 1) {
    for (let column = columnRoom; column < columnsEnd; column += COLUMN_BYTES) {
      to = takeField(column, row, to, outEnd)
      if (to == 0 || to >= outEnd) return false
      store<u8>(to, TAB)
      to += 1
    }
    store<u8>(to - 1, NEWLINE)
  }
  return to == outEnd && isReadWhole(columnRoom, columnsEnd)
}

function takeHeads(
  encoded: usize, encodedEnd: usize, rows: u32, columns: u32, textBytes: usize, columnRoom: usize,
): bool {
  if (getVarint(encoded, encodedEnd) != rows || !varintEnd()) return false
  if (getVarint(varintEnd(), encodedEnd) != columns || !varintEnd()) return false
  const openRoom = columnRoom + <usize>columns * COLUMN_BYTES
  const fields = <usize>rows * <usize>columns
  setOpenRoom(openRoom)
  setNumberRoom(openRoom + OPEN_ROOM_BYTES, numbersMax(fields, textBytes), 2 * fields)
  let at = varintEnd()
  let bodyBytes: u64 = 0
  for (let column: usize = columnRoom; column < columnRoom + <usize>columns * COLUMN_BYTES; column += COLUMN_BYTES) {
    if (at >= encodedEnd) return false
    const codec = load<u8>(at)
    const bytes = getVarint(at + 1, encodedEnd)
    at = varintEnd()
    if (!at || codec > PATTERNS || bytes > <u64>(encodedEnd - encoded)) return false
    store<u32>(column, <u32>bytes)
    store<u64>(column, 0, 8)
    store<u32>(column, codec, CODEC)
    bodyBytes += bytes
  }
  if (bodyBytes != <u64>(encodedEnd - at)) return false
  for (let column: usize = columnRoom; column < columnRoom + <usize>columns * COLUMN_BYTES; column += COLUMN_BYTES) {
    const bytes = load<u32>(column)
    store<u32>(column, <u32>at)
    at += bytes
    store<u32>(column, <u32>at, 4)
    const codec = load<u32>(column, CODEC)
    if (codec == CONSTANT && holdsSeparator(at - bytes, at)) return false
    if (codec != PATTERNS) continue
    if (!openPatterns(column, at - bytes, at, rows, columnRoom, COLUMN_BYTES, PATTERNS)) return false
  }
  return true
}

function holdsSeparator(start: usize, end: usize): bool {
  for (let at = start; at < end; at += 16) {
    const mask = separators(at)
    if (mask && at + ctz<u32>(mask) < end) return true
  }
  return false
}

/** One field to `to`. @returns its end, or 0 */
function takeField(column: usize, row: u32, to: usize, outEnd: usize): usize {
  const codec = load<u32>(column, CODEC)
  if (codec == PATTERNS) return takePattern(column, row, to, outEnd)
  const at: usize = load<u32>(column)
  const end: usize = load<u32>(column, 4)
  if (codec == CONSTANT) {
    const bytes = end - at
    if (to + bytes >= outEnd) return 0
    copyLoosely(to, at, bytes)
    return to + bytes
  }
  if (codec == INTEGERS) return takeInteger(column, at, end, to)
  return takePlain(column, at, end, to, outEnd)
}

/** Writes at most 24 bytes: the slack behind the text bears it, and the caller looks. */
function takeInteger(column: usize, at: usize, end: usize, to: usize): usize {
  const zigzag = getVarint(at, end)
  const next = varintEnd()
  if (!next) return 0
  const value = load<i64>(column, 8) + (<i64>(zigzag >> 1) ^ -(<i64>(zigzag & 1)))
  if (value > INTEGER_MAX || value < -INTEGER_MAX) return 0
  store<i64>(column, value, 8)
  store<u32>(column, <u32>next)
  return writeInteger(value, to)
}

/** Copies sixteen bytes at a time, and finds the newline in them while they are there; a tab is none of a field's. */
function takePlain(column: usize, start: usize, end: usize, out: usize, outEnd: usize): usize {
  let at = start
  let to = out
  while (at < end) {
    if (to >= outEnd) return 0
    v128.store(to, v128.load(at))
    const mask = separators(at)
    if (mask) {
      const bytes = <usize>ctz<u32>(mask)
      if (at + bytes >= end || load<u8>(at + bytes) != NEWLINE) return 0
      store<u32>(column, <u32>(at + bytes + 1))
      return to + bytes
    }
    at += 16
    to += 16
  }
  return 0
}

function isReadWhole(columnRoom: usize, columnsEnd: usize): bool {
  for (let column = columnRoom; column < columnsEnd; column += COLUMN_BYTES) {
    const codec = load<u32>(column, CODEC)
    if (codec == CONSTANT || codec == PATTERNS) continue
    if (load<u32>(column) != load<u32>(column, 4)) return false
  }
  return true
}
