/** A leaf's text by column: tree/leaf-codec.ts has the form and says why. */
import { copyLoosely, NEWLINE, sameBytes, separators } from './bytes'
import { encodePatterns, noNumbers, setPatternRoom } from './pattern-encode'
import { putVarint } from './varint'

const PLAIN: u8 = 0
const CONSTANT: u8 = 1
const PATTERNS: u8 = 3

/** Starts of all fields, row by row, and the end of the last one; each ends one before the next. */
let bounds: usize = 0
let rows: u32 = 0
let columns: u32 = 0

/**
 * `boundsRoom`: four bytes for each field, and four; `patternRoom`: patternRoomBytes; `head`: 16 bytes, and 11 for each
 * column; `body`: the text, and for each column of patterns what leaf-codec.ts says. @returns the body's end, or 0 when the rows are not all as wide
 */
export function encodeLeaf(
  text: usize, textEnd: usize, rowCount: u32, columnCount: u32,
  boundsRoom: usize, patternRoom: usize, head: usize, body: usize,
): usize {
  bounds = boundsRoom
  rows = rowCount
  columns = columnCount
  if (!findBounds(text, textEnd)) return 0
  setPatternRoom(patternRoom, bounds, rows, columns)
  let to = body
  headAt = putVarint(putVarint(head, rows), columns)
  for (let column: u32 = 0; column < columns; column += 1) {
    const before = to
    to = encodeColumn(column, to)
    store<u8>(headAt, codec)
    headAt = putVarint(headAt + 1, <u64>(to - before))
  }
  return to
}

let headAt: usize = 0
let codec: u8 = 0
export function headEnd(): usize { return headAt }

function findBounds(text: usize, textEnd: usize): bool {
  const fields = rows * columns
  let field: u32 = 1
  store<u32>(bounds, <u32>text)
  for (let base = text; base < textEnd; base += 16) {
    let mask = separators(base)
    while (mask) {
      const position = base + ctz<u32>(mask)
      mask &= mask - 1
      if (position >= textEnd) break
      if (field > fields) return false
      store<u32>(bounds + (<usize>field << 2), <u32>position + 1)
      field += 1
    }
  }
  return field == fields + 1
}

@inline
function boundAt(field: u32): usize {
  return load<u32>(bounds + (<usize>field << 2))
}

function encodeColumn(column: u32, out: usize): usize {
  const first = boundAt(column)
  const length = boundAt(column + 1) - first
  if (isConstant(column, first, length)) {
    codec = CONSTANT
    noNumbers(column)
    copyLoosely(out, first, length - 1)
    return out + length - 1
  }
  const end = encodePatterns(column, out)
  if (end) {
    codec = PATTERNS
    return end
  }
  codec = PLAIN
  let to = out
  for (let row: u32 = 0, field = column; row < rows; row += 1, field += columns) {
    const start = boundAt(field)
    const bytes = boundAt(field + 1) - start - 1
    copyLoosely(to, start, bytes)
    store<u8>(to + bytes, NEWLINE)
    to += bytes + 1
  }
  return to
}

/** `length` with the separator, which is another at the end of a line than within it, but not within a column. */
function isConstant(column: u32, first: usize, length: usize): bool {
  for (let row: u32 = 1, field = column + columns; row < rows; row += 1, field += columns) {
    const start = boundAt(field)
    if (boundAt(field + 1) - start != length || !sameBytes(first, start, length - 1)) return false
  }
  return true
}
