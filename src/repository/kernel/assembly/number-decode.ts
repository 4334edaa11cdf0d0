/**
 * Numbers from byte planes: tree/number-stream.ts has the form. Every bound is looked at; what is wrong is for the plain
 * TypeScript to say.
 */
import { BYTES_SHIFT, COLUMN, DELTA, RAW, SIGNED } from './number-encode'
import { getVarint, varintEnd } from './varint'

const VALUE_MAX: i64 = 999_999_999_999_999
const BASE_MAX: u64 = 2 * VALUE_MAX
const START_MAX: u64 = 3 * VALUE_MAX
const DIFFERENCE_MAX: u64 = 4 * VALUE_MAX
const FLAGS_USED: u32 = 0b0111_0111

let flags: u32 = 0
let base: i64 = 0
let unit: u64 = 1
let before: i64 = 0
let column: u64 = 0
let planes: usize = 0

/** Reads a stream's head. @returns the end of its planes, or 0 */
export function openNumbers(start: usize, end: usize, count: u32): usize {
  if (start >= end) return 0
  flags = load<u8>(start)
  const mode = flags & 3
  if (flags & ~FLAGS_USED || mode > COLUMN) return 0
  base = fromZigzag(getVarint(start + 1, end))
  if (!varintEnd() || !isWithin(base, BASE_MAX)) return 0
  unit = getVarint(varintEnd(), end)
  if (!varintEnd() || unit == 0 || unit > DIFFERENCE_MAX) return 0
  before = 0
  if (mode == DELTA) {
    before = fromZigzag(getVarint(varintEnd(), end))
    if (!varintEnd() || !isWithin(before, START_MAX)) return 0
  } else if (mode == COLUMN) {
    column = getVarint(varintEnd(), end)
    if (!varintEnd() || column > <u64>i32.MAX_VALUE) return 0
  }
  planes = varintEnd()
  const bytes = <usize>(flags >> BYTES_SHIFT) * <usize>count
  return bytes > end - planes ? 0 : planes + bytes
}

/** The column that the numbers of the opened stream refer to, or -1. */
export function referredColumn(): i32 {
  return (flags & 3) == COLUMN ? <i32>column : -1
}

/**
 * The numbers of the opened stream, eight bytes each; where they refer to a column, `others` are its numbers, as many.
 * They may be written over. @returns whether all are in range
 */
export function readNumbers(count: u32, others: usize, out: usize): bool {
  takePlanes(count, out)
  const end = out + (<usize>count << 3)
  const numberMax = DIFFERENCE_MAX / unit
  const mode = flags & 3
  const signed = (flags & SIGNED) != 0
  let wrong: u32 = 0
  for (let at = out, other = others; at < end; at += 8, other += 8) {
    const number = load<u64>(at)
    const units = signed ? fromZigzag(number) : <i64>number
    const reference = mode == RAW ? 0 : mode == DELTA ? before : load<i64>(other)
    const value = reference + base + <i64>unit * units
    wrong |= <u32>(number > 2 * DIFFERENCE_MAX) | <u32>!isWithin(units, numberMax) | <u32>!isWithin(value, <u64>VALUE_MAX)
    before = value
    store<i64>(at, value)
  }
  return !wrong
}

function takePlanes(count: u32, out: usize): void {
  const bytes = flags >> BYTES_SHIFT
  if (!bytes) return memory.fill(out, 0, <usize>count << 3)
  for (let index: usize = 0; index < <usize>count; index += 1) {
    store<u64>(out + (index << 3), <u64>load<u8>(planes + index))
  }
  for (let plane: u32 = 1; plane < bytes; plane += 1) {
    const from = planes + <usize>plane * <usize>count
    const shift = <u64>plane << 3
    for (let index: usize = 0; index < <usize>count; index += 1) {
      const at = out + (index << 3)
      store<u64>(at, load<u64>(at) | (<u64>load<u8>(from + index) << shift))
    }
  }
}

@inline
function fromZigzag(number: u64): i64 {
  return <i64>(number >> 1) ^ -(<i64>(number & 1))
}

@inline
function isWithin(number: i64, most: u64): bool {
  return <u64>(number < 0 ? -number : number) <= most
}
