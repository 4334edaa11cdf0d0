/** Unsigned LEB128, as tree/varint.ts. */

export function putVarint(out: usize, value: u64): usize {
  let rest = value
  let to = out
  while (rest >= 0x80) {
    store<u8>(to, <u8>rest | 0x80)
    rest >>= 7
    to += 1
  }
  store<u8>(to, <u8>rest)
  return to + 1
}

let position: usize = 0

/** Where the varint that was read last ends; 0 when it does not end, or goes beyond 2^53. */
export function varintEnd(): usize {
  return position
}

export function getVarint(start: usize, end: usize): u64 {
  let value: u64 = 0
  let shift: u64 = 0
  for (let at = start; at < end && shift < 56; at += 1) {
    const byte = load<u8>(at)
    value |= <u64>(byte & 0x7f) << shift
    if (byte < 0x80) {
      position = value < (<u64>1) << 53 ? at + 1 : 0
      return value
    }
    shift += 7
  }
  position = 0
  return 0
}
