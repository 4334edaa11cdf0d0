/**
 * A parsed block of one leaf as a reader must see it: which neighbouring rows are a group of one anchor, and whether
 * the rows stand where their tree says. src/verify/leaf-rows.ts is the same in plain TypeScript, and says it in words.
 */
import { anchorLength, keyStart, lineStart, rowsOf, textOf } from './block'
import { compareBytes, copyLoosely, newlines, sameBytes } from './bytes'
import { xxh64 } from './hash'
import { GROUP_BYTES, isCutAt, ORDINAL_BYTES } from './leaf'
import { isBag } from './parse'

export const IN_PLACE: i32 = 0
export const OUT_OF_ORDER: i32 = 1
/** The rule cuts before the leaf's end. */
export const CUT_WITHIN: i32 = 2
/** The rule does not cut where the leaf ends. */
export const NOT_CUT: i32 = 3

let rowAt: u32 = 0
let key: usize = 0
let keyBytes: usize = 0

/** The row that is not in its place, from 0. */
export function checkedRow(): u32 { return rowAt }
/** The last row's key, in a bag with its ordinal. */
export function checkedKey(): usize { return key }
export function checkedKeyBytes(): usize { return keyBytes }

/** Groups as leaf.ts has them; `groups` has room for one a row. @returns how many */
export function groupRows(block: usize, groups: usize): u32 {
  const rows = rowsOf(block)
  let to = groups
  let anchor: usize = 0
  let length: u32 = 0
  for (let row: u32 = 0; row < rows; row += 1) {
    const from = keyStart(block, row)
    const bytes = anchorLength(block, row)
    if (row > 0 && bytes == length && sameBytes(anchor, from, bytes)) continue
    anchor = from
    length = bytes
    store<u32>(to, <u32>(lineStart(block, row) - textOf(block)))
    store<u32>(to, <u32>anchor, 4)
    store<u32>(to, length, 8)
    to += GROUP_BYTES
  }
  return <u32>((to - groups) / GROUP_BYTES)
}

/**
 * `after` is the full key before the first row; 0: there is none. `room`, for a bag only: twice the longest key, and
 * twice 32.
 */
export function checkRows(block: usize, after: usize, afterBytes: usize, isLast: bool, room: usize, roomBytes: usize): i32 {
  const rows = rowsOf(block)
  const bag = isBag()
  key = after
  keyBytes = afterBytes
  let size: usize = 0
  let spare = room
  let next = room + roomBytes
  for (rowAt = 0; rowAt < rows; rowAt += 1) {
    let from = keyStart(block, rowAt)
    let bytes = keyStart(block, rowAt + 1) - from
    if (bag) {
      putOrdinal(from, bytes, spare)
      from = spare
      bytes += ORDINAL_BYTES
      spare = next
      next = from
    }
    if (key && compareBytes(key, key + keyBytes, from, from + bytes) >= 0) return OUT_OF_ORDER
    const line = lineStart(block, rowAt + 1) - lineStart(block, rowAt)
    size += line
    const cut = isCutAt(size, line, from, bytes)
    if (rowAt + 1 < rows) {
      if (cut) return CUT_WITHIN
    } else if (!cut && !isLast) return NOT_CUT
    key = from
    keyBytes = bytes
  }
  return IN_PLACE
}

/** A bag's key with which of the equal rows it is, told by the full key before it. */
function putOrdinal(from: usize, bytes: usize, to: usize): void {
  copyLoosely(to, from, bytes)
  const repeated = key != 0 && keyBytes == bytes + ORDINAL_BYTES && sameBytes(key, from, bytes)
  store<u32>(to + bytes, repeated ? bswap<u32>(bswap<u32>(load<u32>(key + bytes)) + 1) : 0)
}

/** Sum of the hashes of all lines without their newlines, modulo 2^64. The text ends with a newline, or is empty. */
export function sumLines(start: usize, end: usize, seed: u64): u64 {
  let sum: u64 = 0
  let line = start
  for (let base = start; base < end; base += 16) {
    let mask = newlines(base)
    while (mask) {
      const position = base + ctz<u32>(mask)
      mask &= mask - 1
      if (position >= end) break
      sum += xxh64(line, position - line, seed)
      line = position + 1
    }
  }
  return sum
}
