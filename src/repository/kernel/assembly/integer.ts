/** Integers as text. */

const MINUS: u32 = 0x2d
const ZERO: u32 = 0x30
const POINT: u32 = 0x2e

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

/** `places` digits stand behind the point, one at least before it. Needs 24 bytes at `out`. @returns the end */
export function writeDecimal(value: i64, places: usize, out: usize): usize {
  if (places == 0) return writeInteger(value, out)
  let rest = <u64>(value < 0 ? -value : value)
  let to = out
  if (value < 0) {
    store<u8>(to, MINUS)
    to += 1
  }
  const end = to + max(digitsOf(rest), places + 1) + 1
  const point = end - 1 - places
  for (let at = end; at > to;) {
    at -= 1
    if (at == point) {
      store<u8>(at, POINT)
      continue
    }
    const tenth = rest / 10
    store<u8>(at, ZERO + <u32>(rest - tenth * 10))
    rest = tenth
  }
  return end
}

function digitsOf(value: u64): usize {
  let digits: usize = 1
  for (let power: u64 = 10; value >= power && digits < 19; power *= 10) digits += 1
  return digits
}
