/** The least row of several sorted blocks: a heap of them by the key that each stands at. */
import { compareRows } from './sort'
import { keyStart, positionOf, rowAt, rowsOf } from './block'
import { prefixAt } from './bytes'

let heap: usize = 0
let size: u32 = 0

/** `room`: four bytes for each block that will be added. */
export function beginMerge(room: usize): void {
  heap = room
  size = 0
}

export function mergeSize(): u32 {
  return size
}

/** Address of the block that has the least row. */
export function leastBlock(): usize {
  return at(0)
}

export function leastIsEmpty(): bool {
  return positionOf(at(0)) == rowsOf(at(0))
}

@inline
function at(index: u32): usize {
  return load<u32>(heap + (<usize>index << 2))
}

@inline
function put(index: u32, block: usize): void {
  store<u32>(heap + (<usize>index << 2), <u32>block)
}

/** A block of at least one row, at its first. */
export function addBlock(block: usize): void {
  noteKey(block)
  put(size, block)
  size += 1
  let index = size - 1
  while (index > 0) {
    const above = (index - 1) >> 1
    if (!isBefore(at(index), at(above))) return
    const moved = at(index)
    put(index, at(above))
    put(above, moved)
    index = above
  }
}

/** The least block stands at another row now. */
export function leastMoved(): void {
  noteKey(at(0))
  sink()
}

/** The least block has no more rows. */
export function dropLeast(): void {
  size -= 1
  put(0, at(size))
  sink()
}

function noteKey(block: usize): void {
  const row = rowAt(block, positionOf(block))
  const key = keyStart(block, row)
  const end = keyStart(block, row + 1)
  store<u64>(block, prefixAt(key, end), 32)
  store<u64>(block, prefixAt(key + 8, end), 40)
}

function isBefore(a: usize, b: usize): bool {
  const aHigh = load<u64>(a, 32)
  const bHigh = load<u64>(b, 32)
  if (aHigh != bHigh) return aHigh < bHigh
  const aLow = load<u64>(a, 40)
  const bLow = load<u64>(b, 40)
  if (aLow != bLow) return aLow < bLow
  return compareRows(a, rowAt(a, positionOf(a)), b, rowAt(b, positionOf(b))) < 0
}

function sink(): void {
  let index: u32 = 0
  for (;;) {
    const left: u32 = 2 * index + 1
    if (left >= size) return
    const right = left + 1
    const child = right < size && isBefore(at(right), at(left)) ? right : left
    if (!isBefore(at(child), at(index))) return
    const moved = at(index)
    put(index, at(child))
    put(child, moved)
    index = child
  }
}
