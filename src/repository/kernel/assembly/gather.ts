/** Lines of the merge, one after the other, for a block that will be spilled; and what reading it back will need. */
import { keyStart, lineStart, positionOf, rowAt, rowsOf, setPosition } from './block'
import { copyLoosely } from './bytes'
import { leastBlock, leastMoved, mergeSize } from './merge'

let rows: u32 = 0
let keyBytes: usize = 0
let longestKey: usize = 0

export function beginGather(): void {
  rows = 0
  keyBytes = 0
  longestKey = 0
}

export function rowsGathered(): u32 { return rows }
export function keyBytesGathered(): usize { return keyBytes }
export function longestKeyGathered(): usize { return longestKey }

/** Until the room is full, the merge is over, or a block has no more rows. @returns the end of what was written */
export function gather(out: usize, outEnd: usize): usize {
  let to = out
  while (mergeSize() > 0) {
    const block = leastBlock()
    const position = positionOf(block)
    if (position == rowsOf(block)) return to
    const row = rowAt(block, position)
    const line = lineStart(block, row)
    const bytes = lineStart(block, row + 1) - line
    if (to + bytes > outEnd) return to
    copyLoosely(to, line, bytes)
    to += bytes
    const key = keyStart(block, row + 1) - keyStart(block, row)
    keyBytes += key
    longestKey = max(longestKey, key)
    rows += 1
    setPosition(block, position + 1)
    if (position + 1 < rowsOf(block)) leastMoved()
  }
  return to
}
