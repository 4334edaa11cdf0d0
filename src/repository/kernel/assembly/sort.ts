/**
 * The order of a block's rows by key, and by line where keys are equal, which only a bag has.
 *
 * Eight bytes of every key, behind what all have in common, are sorted by radix (stable, least byte first, bytes that
 * are the same everywhere passed over); rows that agree in these are a part of their own, sorted the same way by what
 * follows. A table mostly comes in the order of its key, or of its time, so parts that are in order already are looked
 * at once and left alone. Few rows, and equal keys, are sorted by comparing.
 */
import { compareBytes, prefixAt } from './bytes'
import { keyStart, lineStart, rowsOf, setOrder, setPosition } from './block'

const FEW: u32 = 24
/** Recursion ends here for keys made to go deep; comparing sorts the rest. */
const DEPTH_MAX: u32 = 40
const RADIX: usize = 256

let sorted: usize = 0
let order: usize = 0
let orderSpare: usize = 0
let words: usize = 0
let wordsSpare: usize = 0
let counts: usize = 0

/** `room`: 24 bytes for each row, and 1 KiB. Its first four bytes a row become the order. */
export function sort(block: usize, room: usize): void {
  const rows = rowsOf(block)
  sorted = block
  setPosition(block, 0)
  setOrder(block, 0)
  order = room
  orderSpare = room + (<usize>rows << 2)
  words = room + (<usize>rows << 3)
  wordsSpare = words + (<usize>rows << 3)
  counts = wordsSpare + (<usize>rows << 3)
  for (let row: u32 = 0; row < rows; row += 1) store<u32>(order + (<usize>row << 2), row)
  if (isInOrder(0, rows)) return
  sortPart(0, rows, 0, 0)
  setOrder(block, order)
}

@inline
function at(position: u32): u32 {
  return load<u32>(order + (<usize>position << 2))
}

@inline
function put(position: u32, row: u32): void {
  store<u32>(order + (<usize>position << 2), row)
}

export function compareRows(blockA: usize, a: u32, blockB: usize, b: u32): i32 {
  const byKey = compareBytes(keyStart(blockA, a), keyStart(blockA, a + 1), keyStart(blockB, b), keyStart(blockB, b + 1))
  if (byKey) return byKey
  return compareBytes(lineStart(blockA, a), lineStart(blockA, a + 1), lineStart(blockB, b), lineStart(blockB, b + 1))
}

function isInOrder(start: u32, end: u32): bool {
  for (let position = start + 1; position < end; position += 1) {
    if (compareRows(sorted, at(position - 1), sorted, at(position)) > 0) return false
  }
  return true
}

/** Positions [start, end), whose keys agree before `offset`. */
function sortPart(start: u32, end: u32, offset: usize, depth: u32): void {
  if (end - start <= FEW) return insertionSort(start, end)
  if (isInOrder(start, end)) return
  const common = commonBytes(start, end, offset)
  const varying = takeWords(start, end, common)
  // Keys that differ nowhere, or only deep inside: what is left is for comparing.
  if (varying == 0 || depth >= DEPTH_MAX) return mergeSort(start, end)
  radixSort(start, end, varying)

  let partStart = start
  for (let position = start + 1; position <= end; position += 1) {
    if (position < end && wordAt(position) == wordAt(partStart)) continue
    // Words of parts to come lie behind: the recursion overwrites only those of its own part.
    if (position - partStart > 1) sortPart(partStart, position, common + 8, depth + 1)
    partStart = position
  }
}

@inline
function wordAt(position: u32): u64 {
  return load<u64>(words + (<usize>position << 3))
}

/** How far all keys of the part agree. */
function commonBytes(start: u32, end: u32, offset: usize): usize {
  const first = keyStart(sorted, at(start))
  let common = keyStart(sorted, at(start) + 1) - first
  for (let position = start + 1; position < end; position += 1) {
    const row = at(position)
    const key = keyStart(sorted, row)
    const most = min(common, keyStart(sorted, row + 1) - key)
    let same = offset
    while (same < most && load<u8>(first + same) == load<u8>(key + same)) same += 1
    common = same
    if (common <= offset) return offset
  }
  return common
}

/** @returns the bits in which the words are not all the same */
function takeWords(start: u32, end: u32, offset: usize): u64 {
  let varying: u64 = 0
  let first: u64 = 0
  for (let position = start; position < end; position += 1) {
    const row = at(position)
    const word = prefixAt(keyStart(sorted, row) + offset, keyStart(sorted, row + 1))
    store<u64>(words + (<usize>position << 3), word)
    if (position == start) first = word
    varying |= word ^ first
  }
  return varying
}

function radixSort(start: u32, end: u32, varying: u64): void {
  for (let shift: u64 = 0; shift < 64; shift += 8) if ((varying >> shift) & 0xff) radixPass(start, end, shift)
}

function radixPass(start: u32, end: u32, shift: u64): void {
  memory.fill(counts, 0, RADIX << 2)
  for (let position = start; position < end; position += 1) {
    const slot = counts + ((<usize>(wordAt(position) >> shift) & 0xff) << 2)
    store<u32>(slot, load<u32>(slot) + 1)
  }
  let next = start
  for (let digit: usize = 0; digit < RADIX; digit += 1) {
    const slot = counts + (digit << 2)
    const count = load<u32>(slot)
    store<u32>(slot, next)
    next += count
  }
  for (let position = start; position < end; position += 1) {
    const word = wordAt(position)
    const slot = counts + ((<usize>(word >> shift) & 0xff) << 2)
    const to = load<u32>(slot)
    store<u32>(slot, to + 1)
    store<u64>(wordsSpare + (<usize>to << 3), word)
    store<u32>(orderSpare + (<usize>to << 2), at(position))
  }
  const rows = <usize>(end - start)
  memory.copy(words + (<usize>start << 3), wordsSpare + (<usize>start << 3), rows << 3)
  memory.copy(order + (<usize>start << 2), orderSpare + (<usize>start << 2), rows << 2)
}

function insertionSort(start: u32, end: u32): void {
  for (let position = start + 1; position < end; position += 1) {
    const row = at(position)
    let to = position
    while (to > start && compareRows(sorted, at(to - 1), sorted, row) > 0) {
      put(to, at(to - 1))
      to -= 1
    }
    put(to, row)
  }
}

function mergeSort(start: u32, end: u32): void {
  if (end - start <= FEW) return insertionSort(start, end)
  const middle = start + ((end - start) >> 1)
  mergeSort(start, middle)
  mergeSort(middle, end)
  memory.copy(orderSpare + (<usize>start << 2), order + (<usize>start << 2), <usize>(middle - start) << 2)
  let left = start
  let right = middle
  for (let to = start; left < middle; to += 1) {
    const leftRow = load<u32>(orderSpare + (<usize>left << 2))
    if (right < end && compareRows(sorted, at(right), sorted, leftRow) < 0) {
      put(to, at(right))
      right += 1
    } else {
      put(to, leftRow)
      left += 1
    }
  }
}
