/**
 * Keys: fields of a row's line as bytes that sort by memcmp.
 *
 *     NULL       01
 *     integer    negative: 40 minus its number of digits, then the digits' complement to '9'
 *                else:     40 plus its number of digits, then the digits
 *     text       80, the field's bytes with 00 as 00 FF, then 00 01
 *
 * An integer is a field that reads `0` or `-?[1-9][0-9]*` with at most 62 digits: what the field *says* decides, not
 * the column's type, so the encoding is a function of the line alone and holds for every database. It is injective on
 * the field's text (P16: `1.0` and `1.00` are two keys), integers sort by value, so the rows of a stay lie in order of
 * their ids. The fields are taken as they stand in the line, COPY's escapes included.
 *
 * A row's key is its anchor's encoding (nothing, for a tree without anchor) and then that of its key fields.
 */

export const TAG_NULL = 0x01
export const TAG_INTEGER_ZERO_DIGITS = 0x40
export const TAG_TEXT = 0x80
export const INTEGER_DIGITS_MAX = 62

const BACKSLASH = 0x5c
const MINUS = 0x2d
const ZERO = 0x30
const NINE = 0x39

/** Bytes that encoding a field of `fieldBytes` may need at most. */
export function encodedBytesMax(fieldBytes: number): number {
  return 2 * fieldBytes + 3
}

/** Encodes `bytes[start, end)`, one field of a line, to `out` at `at`; returns the position behind it. */
export function encodeField(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  if (end - start === 2 && bytes[start] === BACKSLASH && bytes[start + 1] === 0x4e) {
    out[at] = TAG_NULL
    return at + 1
  }
  if (isInteger(bytes, start, end)) return encodeInteger(bytes, start, end, out, at)
  return encodeText(bytes, start, end, out, at)
}

function isInteger(bytes: Uint8Array, start: number, end: number): boolean {
  const negative = bytes[start] === MINUS
  const digitStart = negative ? start + 1 : start
  const digitCount = end - digitStart
  if (digitCount < 1 || digitCount > INTEGER_DIGITS_MAX) return false
  if (bytes[digitStart] === ZERO && (negative || digitCount > 1)) return false
  for (let at = digitStart; at < end; at += 1) {
    const byte = bytes[at] as number
    if (byte < ZERO || byte > NINE) return false
  }
  return true
}

function encodeInteger(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  let to = at
  if (bytes[start] === MINUS) {
    out[to++] = TAG_INTEGER_ZERO_DIGITS - (end - start - 1)
    for (let from = start + 1; from < end; from += 1) out[to++] = ZERO + NINE - (bytes[from] as number)
    return to
  }
  out[to++] = TAG_INTEGER_ZERO_DIGITS + (end - start)
  for (let from = start; from < end; from += 1) out[to++] = bytes[from] as number
  return to
}

function encodeText(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  let to = at
  out[to++] = TAG_TEXT
  for (let from = start; from < end; from += 1) {
    const byte = bytes[from] as number
    out[to++] = byte
    if (byte === 0) out[to++] = 0xff
  }
  out[to++] = 0x00
  out[to++] = 0x01
  return to
}

/** The encoding of fields given as text, for look-ups. */
export function encodeKey(fields: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(fields.reduce((sum, field) => sum + encodedBytesMax(field.length), 0))
  let at = 0
  for (const field of fields) at = encodeField(field, 0, field.length, out, at)
  return out.slice(0, at)
}

/** Where the first encoded field of `key` ends: the anchor, in a tree that has one. */
export function firstFieldEnd(key: Uint8Array): number {
  const tag = key[0]
  if (tag === undefined) return 0
  if (tag === TAG_NULL) return 1
  if (tag < TAG_TEXT) return 1 + Math.abs(tag - TAG_INTEGER_ZERO_DIGITS)
  for (let at = 1; at + 1 < key.length; at += 1) {
    if (key[at] !== 0) continue
    if (key[at + 1] === 0x01) return at + 2
    at += 1
  }
  return key.length
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b)
}
