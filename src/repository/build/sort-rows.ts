/**
 * The order of one run of rows by key, in memory.
 *
 * Keys of one table begin alike, so the eight bytes behind their common prefix are compared as two numbers, and only
 * equal ones byte by byte. Rows that already are in order (a table read in the order of its key) cost one pass. Where
 * keys are equal, which only a bag has, the lines decide, so that the order does not depend on how the rows came.
 */
import type { Rows } from '../tree/rows.ts'

/** Row numbers in order. */
export function sortedOrder(rows: Rows): Uint32Array {
  const order = new Uint32Array(rows.count)
  for (let row = 0; row < rows.count; row += 1) order[row] = row
  const prefix = commonPrefix(rows)
  const high = prefixWords(rows, prefix)
  const low = prefixWords(rows, prefix + 4)

  const compare = (a: number, b: number): number => {
    if (high[a] !== high[b]) return high[a]! < high[b]! ? -1 : 1
    if (low[a] !== low[b]) return low[a]! < low[b]! ? -1 : 1
    return compareRows(rows, a, rows, b)
  }

  let inOrder = true
  for (let row = 1; inOrder && row < rows.count; row += 1) inOrder = compare(row - 1, row) <= 0
  return inOrder ? order : order.sort(compare)
}

/** By key, then by line. */
export function compareRows(a: Rows, rowA: number, b: Rows, rowB: number): number {
  const byKey = compareKeys(a, rowA, b, rowB)
  if (byKey !== 0) return byKey
  return a.text.compare(b.text, b.textStart[rowB], b.textStart[rowB + 1], a.textStart[rowA], a.textStart[rowA + 1])
}

export function compareKeys(a: Rows, rowA: number, b: Rows, rowB: number): number {
  return a.keys.compare(b.keys, b.keyStart[rowB], b.keyStart[rowB + 1], a.keyStart[rowA], a.keyStart[rowA + 1])
}

function commonPrefix(rows: Rows): number {
  if (rows.count === 0) return 0
  const { keys, keyStart } = rows
  let prefix = keyStart[1]! - keyStart[0]!
  for (let row = 1; row < rows.count && prefix > 0; row += 1) {
    const start = keyStart[row]!
    const most = Math.min(prefix, keyStart[row + 1]! - start)
    let same = 0
    while (same < most && keys[same] === keys[start + same]) same += 1
    prefix = same
  }
  return prefix
}

/** Four bytes of every key from `offset`, as a big-endian number; bytes behind the key's end count as 0. */
function prefixWords(rows: Rows, offset: number): Uint32Array {
  const words = new Uint32Array(rows.count)
  for (let row = 0; row < rows.count; row += 1) {
    const end = rows.keyStart[row + 1]!
    let word = 0
    for (let at = rows.keyStart[row]! + offset, count = 0; count < 4; at += 1, count += 1) {
      word = (word << 8) | (at < end ? rows.keys[at]! : 0)
    }
    words[row] = word >>> 0
  }
  return words
}
