/** The encoding of tree/key.ts, one field at a time. */

const TAG_NULL: u8 = 0x01
const TAG_INTEGER_ZERO_DIGITS: u32 = 0x40
const TAG_TEXT: u8 = 0x80
const INTEGER_DIGITS_MAX: u32 = 62
const MINUS: u32 = 0x2d
const ZERO: u32 = 0x30
/** `\N` as a little-endian number. */
const NULL_MARK: u16 = 0x4e5c

export function encodeField(start: usize, end: usize, out: usize): usize {
  if (end - start == 2 && load<u16>(start) == NULL_MARK) {
    store<u8>(out, TAG_NULL)
    return out + 1
  }
  return isInteger(start, end) ? encodeInteger(start, end, out) : encodeText(start, end, out)
}

function isInteger(start: usize, end: usize): bool {
  if (start == end) return false
  const negative = load<u8>(start) == MINUS
  const digits = negative ? start + 1 : start
  const count = <u32>(end - digits)
  if (count - 1 >= INTEGER_DIGITS_MAX) return false
  if (load<u8>(digits) == ZERO && (negative || count > 1)) return false
  for (let at = digits; at < end; at += 1) if (<u32>load<u8>(at) - ZERO > 9) return false
  return true
}

function encodeInteger(start: usize, end: usize, out: usize): usize {
  if (load<u8>(start) == MINUS) {
    const count = end - start - 1
    store<u8>(out, TAG_INTEGER_ZERO_DIGITS - <u32>count)
    for (let at: usize = 1; at <= count; at += 1) store<u8>(out + at, 2 * ZERO + 9 - load<u8>(start + at))
    return out + 1 + count
  }
  const count = end - start
  store<u8>(out, TAG_INTEGER_ZERO_DIGITS + <u32>count)
  for (let at: usize = 0; at < count; at += 1) store<u8>(out + 1 + at, load<u8>(start + at))
  return out + 1 + count
}

function encodeText(start: usize, end: usize, out: usize): usize {
  let to = out
  store<u8>(to, TAG_TEXT)
  to += 1
  for (let at = start; at < end; at += 1) {
    const byte = load<u8>(at)
    store<u8>(to, byte)
    to += 1
    if (byte == 0) {
      store<u8>(to, 0xff)
      to += 1
    }
  }
  store<u8>(to, 0x00)
  store<u8>(to, 0x01, 1)
  return to + 2
}
