/**
 * Numbers from byte planes: tree/number-stream.ts has the form. Every bound is looked at; what is wrong is for the plain
 * TypeScript to say.
 */
import { BYTES_SHIFT, COLUMN, DELTA, RAW, SIGNED } from './number-encode'
import { getVarint, varintEnd } from './varint'

/**
 * A stream: where its planes begin, how many numbers, how many were taken, its flags, the column it refers to; base,
 * unit, the number before, and how far a number may go.
 */
export const STREAM_BYTES: usize = 56

const VALUE_MAX: i64 = 999_999_999_999_999
const BASE_MAX: u64 = 2 * VALUE_MAX
const START_MAX: u64 = 3 * VALUE_MAX
const DIFFERENCE_MAX: u64 = 4 * VALUE_MAX
const FLAGS_USED: u32 = 0b0111_0111

/** Reads a stream's head. @returns the end of its planes, or 0 */
export function openNumbers(stream: usize, start: usize, end: usize, count: u32): usize {
  if (start >= end) return 0
  const flags = <u32>load<u8>(start)
  const mode = flags & 3
  if (flags & ~FLAGS_USED || mode > COLUMN) return 0
  const base = fromZigzag(getVarint(start + 1, end))
  if (!varintEnd() || !isWithin(base, BASE_MAX)) return 0
  const unit = getVarint(varintEnd(), end)
  if (!varintEnd() || unit == 0 || unit > DIFFERENCE_MAX) return 0
  let before: i64 = 0
  let column: u64 = 0
  if (mode == DELTA) {
    before = fromZigzag(getVarint(varintEnd(), end))
    if (!varintEnd() || !isWithin(before, START_MAX)) return 0
  } else if (mode == COLUMN) {
    column = getVarint(varintEnd(), end)
    if (!varintEnd() || column > 0xffff) return 0
  }
  const planes = varintEnd()
  const bytes = <usize>(flags >> BYTES_SHIFT) * <usize>count
  if (bytes > end - planes) return 0
  store<u32>(stream, <u32>planes)
  store<u32>(stream, count, 4)
  store<u32>(stream, 0, 8)
  store<u32>(stream, flags, 12)
  store<u32>(stream, <u32>column, 16)
  store<i64>(stream, base, 24)
  store<u64>(stream, unit, 32)
  store<i64>(stream, before, 40)
  store<u64>(stream, DIFFERENCE_MAX / unit, 48)
  return planes + bytes
}

/** The column that its numbers refer to, or -1. */
export function referenceOf(stream: usize): i32 {
  return (load<u32>(stream, 12) & 3) == COLUMN ? <i32>load<u32>(stream, 16) : -1
}

/** No number of a column goes so far. */
export const OUT_OF_RANGE: i64 = i64.MIN_VALUE

/** The next number; `other` is the one that the column referred to has had last. */
@inline
export function nextNumber(stream: usize, other: i64): i64 {
  const flags = load<u32>(stream, 12)
  const count: usize = load<u32>(stream, 4)
  const taken = load<u32>(stream, 8)
  store<u32>(stream, taken + 1, 8)
  let at: usize = <usize>load<u32>(stream) + <usize>taken
  let number: u64 = 0
  const bits = <u64>(flags >> BYTES_SHIFT) << 3
  for (let shift: u64 = 0; shift < bits; shift += 8) {
    number |= <u64>load<u8>(at) << shift
    at += count
  }
  const units = flags & SIGNED ? fromZigzag(number) : <i64>number
  if (number > 2 * DIFFERENCE_MAX || !isWithin(units, load<u64>(stream, 48))) return OUT_OF_RANGE
  const mode = flags & 3
  const reference = mode == RAW ? 0 : mode == DELTA ? load<i64>(stream, 40) : other
  const value = reference + load<i64>(stream, 24) + load<i64>(stream, 32) * units
  if (!isWithin(value, <u64>VALUE_MAX)) return OUT_OF_RANGE
  store<i64>(stream, value, 40)
  return value
}

@inline
function fromZigzag(number: u64): i64 {
  return <i64>(number >> 1) ^ -(<i64>(number & 1))
}

@inline
function isWithin(number: i64, most: u64): bool {
  return <u64>(number < 0 ? -number : number) <= most
}
