/** Numbers of a column as byte planes: tree/number-stream.ts has the form and the choice, and this makes the same. */
import { putVarint } from './varint'

export const RAW: u32 = 0
export const DELTA: u32 = 1
export const COLUMN: u32 = 2
export const SIGNED: u32 = 4
export const BYTES_SHIFT: u32 = 4

let values: usize = 0
let count: u32 = 0
/** Of the way that is looked at: mode, what is before the first, and the other column's numbers by row. */
let mode: u32 = RAW
let start: i64 = 0
let others: usize = 0
let otherRows: usize = 0

let bestBits: u64 = 0
let bestMode: u32 = RAW
let bestSigned: bool = false
let bestBase: i64 = 0
let bestColumn: u32 = 0
let bestOthers: usize = 0

/** `rowList`: of each number, its row; for references only. */
export function beginNumbers(numbers: usize, numberCount: u32, rowList: usize): void {
  values = numbers
  count = numberCount
  otherRows = rowList
  mode = RAW
  bestBits = u64.MAX_VALUE
  lookUnsigned(leastValue(), 0)
  mode = DELTA
  start = count > 1 ? 2 * valueAt(0) - valueAt(1) : 0
  lookBothWays(0)
}

/** `byRow`: eight bytes for each row. */
export function addReference(column: u32, byRow: usize): void {
  mode = COLUMN
  others = byRow
  lookBothWays(column)
}

/** `scratch`: eight bytes for each number. */
export function putNumbers(out: usize, scratch: usize): usize {
  mode = bestMode
  others = bestOthers
  const unit = commonUnit()
  const most = takeNumbers(unit, scratch)
  const bytes = <u32>((71 - clz<u64>(most)) >> 3)
  store<u8>(out, bestMode | (bestSigned ? SIGNED : 0) | (bytes << BYTES_SHIFT))
  let to = putVarint(out + 1, zigzag(bestBase))
  to = putVarint(to, unit)
  if (mode == DELTA) to = putVarint(to, zigzag(start))
  if (mode == COLUMN) to = putVarint(to, <u64>bestColumn)
  for (let plane: u32 = 0; plane < bytes; plane += 1) {
    const shift = <u64>plane << 3
    for (let index: u32 = 0; index < count; index += 1) {
      store<u8>(to + index, <u8>(load<u64>(scratch + (<usize>index << 3)) >> shift))
    }
    to += count
  }
  return to
}

@inline
function valueAt(index: u32): i64 {
  return load<i64>(values + (<usize>index << 3))
}

@inline
function differenceAt(index: u32): i64 {
  const value = valueAt(index)
  if (mode == RAW) return value
  if (mode == DELTA) return value - (index == 0 ? start : valueAt(index - 1))
  return value - load<i64>(others + (<usize>load<u32>(otherRows + (<usize>index << 2)) << 3))
}

@inline
function zigzag(number: i64): u64 {
  return <u64>((number << 1) ^ (number >> 63))
}

@inline
function bitLength(number: u64): u64 {
  return 64 - clz<u64>(number)
}

function lookBothWays(column: u32): void {
  let base = differenceAt(0)
  let signed: u64 = 0
  for (let index: u32 = 0; index < count; index += 1) {
    const difference = differenceAt(index)
    base = min(base, difference)
    signed += bitLength(zigzag(difference))
  }
  lookUnsigned(base, column)
  if (signed < bestBits) keep(signed, true, 0, column)
}

function lookUnsigned(base: i64, column: u32): void {
  let bits: u64 = 0
  for (let index: u32 = 0; index < count; index += 1) bits += bitLength(<u64>(differenceAt(index) - base))
  if (bits < bestBits) keep(bits, false, base, column)
}

function leastValue(): i64 {
  let least = valueAt(0)
  for (let index: u32 = 1; index < count; index += 1) least = min(least, valueAt(index))
  return least
}

function keep(bits: u64, signed: bool, base: i64, column: u32): void {
  bestBits = bits
  bestMode = mode
  bestSigned = signed
  bestBase = base
  bestColumn = column
  bestOthers = others
}

function commonUnit(): u64 {
  let unit: u64 = 0
  for (let index: u32 = 0; index < count && unit != 1; index += 1) {
    const difference = differenceAt(index) - bestBase
    let rest = <u64>(difference < 0 ? -difference : difference)
    while (rest) {
      const next = unit % rest
      unit = rest
      rest = next
    }
  }
  return max(unit, 1)
}

/** @returns the largest */
function takeNumbers(unit: u64, scratch: usize): u64 {
  let most: u64 = 0
  for (let index: u32 = 0; index < count; index += 1) {
    const units = unit == 1 ? differenceAt(index) - bestBase : (differenceAt(index) - bestBase) / <i64>unit
    const number = bestSigned ? zigzag(units) : <u64>units
    store<u64>(scratch + (<usize>index << 3), number)
    most = max(most, number)
  }
  return most
}
