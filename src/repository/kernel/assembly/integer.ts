/** Integers of a leaf's columns: the canonical ones of at most 15 digits (tree/leaf-codec.ts). */

const DIGITS_MAX: usize = 15
const MINUS: u32 = 0x2d
const ZERO: u32 = 0x30

export function isSmallInteger(start: usize, end: usize): bool {
  if (start == end) return false
  const negative = load<u8>(start) == MINUS
  const digits = negative ? start + 1 : start
  const count = end - digits
  if (count - 1 >= DIGITS_MAX) return false
  if (load<u8>(digits) == ZERO && (count > 1 || negative)) return false
  for (let at = digits; at < end; at += 1) if (<u32>load<u8>(at) - ZERO > 9) return false
  return true
}

export function smallInteger(start: usize, end: usize): i64 {
  const negative = load<u8>(start) == MINUS
  let value: i64 = 0
  for (let at = negative ? start + 1 : start; at < end; at += 1) value = value * 10 + <i64>(load<u8>(at) - ZERO)
  return negative ? -value : value
}

/** Needs 24 bytes at `out`. @returns the end */
export function writeInteger(value: i64, out: usize): usize {
  let rest = <u64>(value < 0 ? -value : value)
  let to = out
  if (value < 0) {
    store<u8>(to, MINUS)
    to += 1
  }
  const end = to + digitsOf(rest)
  let at = end
  do {
    at -= 1
    const tenth = rest / 10
    store<u8>(at, ZERO + <u32>(rest - tenth * 10))
    rest = tenth
  } while (rest)
  return end
}

function digitsOf(value: u64): usize {
  let digits: usize = 1
  for (let power: u64 = 10; value >= power && digits < 19; power *= 10) digits += 1
  return digits
}
