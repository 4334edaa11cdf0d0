/**
 * Bytes in memory, many at a time. Whoever calls these owns 16 bytes more than it asks for, on either side of a copy:
 * every region has that slack (memory.ts), so that the last step of a loop need not be a special case.
 */

export const TAB: u32 = 0x09
export const NEWLINE: u32 = 0x0a

/** May write up to 15 bytes behind `to + length`; the regions must not overlap. */
@inline
export function copyLoosely(to: usize, from: usize, length: usize): void {
  v128.store(to, v128.load(from))
  for (let at: usize = 16; at < length; at += 16) v128.store(to + at, v128.load(from + at))
}

@inline
export function loadBigEndian(at: usize): u64 {
  return bswap<u64>(load<u64>(at))
}

/** The eight bytes from `at` as a number that compares as they do; those at `end` and behind it count as 0. */
export function prefixAt(at: usize, end: usize): u64 {
  if (at >= end) return 0
  const word = loadBigEndian(at)
  const bytes = end - at
  return bytes >= 8 ? word : word & (~(<u64>0) << ((8 - bytes) << 3))
}

export function sameBytes(a: usize, b: usize, length: usize): bool {
  let at: usize = 0
  for (; at + 8 <= length; at += 8) if (load<u64>(a + at) != load<u64>(b + at)) return false
  for (; at < length; at += 1) if (load<u8>(a + at) != load<u8>(b + at)) return false
  return true
}

/** As memcmp, and then the shorter first. */
export function compareBytes(a: usize, aEnd: usize, b: usize, bEnd: usize): i32 {
  const aLength = aEnd - a
  const bLength = bEnd - b
  const least = min(aLength, bLength)
  let at: usize = 0
  for (; at + 8 <= least; at += 8) {
    const x = loadBigEndian(a + at)
    const y = loadBigEndian(b + at)
    if (x != y) return x < y ? -1 : 1
  }
  for (; at < least; at += 1) {
    const x = load<u8>(a + at)
    const y = load<u8>(b + at)
    if (x != y) return x < y ? -1 : 1
  }
  return aLength == bLength ? 0 : aLength < bLength ? -1 : 1
}

/** One bit for each of the 16 bytes from `at` that separates fields or lines. */
@inline
export function separators(at: usize): u32 {
  const bytes = v128.load(at)
  const found = v128.or(i8x16.eq(bytes, i8x16.splat(0x09)), i8x16.eq(bytes, i8x16.splat(0x0a)))
  return <u32>i8x16.bitmask(found)
}

@inline
export function newlines(at: usize): u32 {
  return <u32>i8x16.bitmask(i8x16.eq(v128.load(at), i8x16.splat(0x0a)))
}

export function countLines(start: usize, end: usize): u32 {
  let count: u32 = 0
  let at = start
  for (; at + 16 <= end; at += 16) count += popcnt<u32>(newlines(at))
  for (; at < end; at += 1) count += <u32>(load<u8>(at) == NEWLINE)
  return count
}
