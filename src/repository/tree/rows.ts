/**
 * Rows in order, as one buffer of lines with their keys beside them. Everything between the database and a chunk works
 * on these flat arrays: an object for each row would cost more than the row.
 */
import { Failure } from '../../errors.ts'
import { sha256 } from '../crypto/provider.ts'
import { encodedBytesMax, encodeField } from './key.ts'
import type { TreeSpec } from './spec.ts'

export interface Rows {
  readonly count: number
  /** The lines, each ended by 0x0A. */
  readonly text: Buffer
  /** count + 1 entries: line `i` with its newline is `text[textStart[i], textStart[i + 1])`. */
  readonly textStart: Uint32Array
  readonly keys: Buffer
  /** count + 1 entries, as for text. */
  readonly keyStart: Uint32Array
  /** Length of the anchor's encoding at the head of each key; 0 in a tree without anchor. */
  readonly anchorBytes: Uint32Array
}

export function rowText(rows: Rows, row: number): Buffer {
  return rows.text.subarray(rows.textStart[row], rows.textStart[row + 1])
}

export function rowKey(rows: Rows, row: number): Buffer {
  return rows.keys.subarray(rows.keyStart[row], rows.keyStart[row + 1])
}

export function rowAnchor(rows: Rows, row: number): Buffer {
  const start = rows.keyStart[row] as number
  return rows.keys.subarray(start, start + (rows.anchorBytes[row] as number))
}

const TAB = 0x09
const NEWLINE = 0x0a
/** In a bag, the digest of the line stands for the key it has not got. */
export const BAG_DIGEST_BYTES = 16
/** Behind it, which of the equal rows this is; big-endian, so that order holds. */
export const BAG_ORDINAL_BYTES = 4

/**
 * Finds lines and keys in `text`, which ends with a newline (or is empty). A bag's keys come without ordinals: these
 * are given after sorting.
 * @throws source-failed when a line has another number of fields than `spec` says
 */
export function parseRows(spec: TreeSpec, text: Buffer): Rows {
  const count = countLines(text)
  const textStart = new Uint32Array(count + 1)
  const keyStart = new Uint32Array(count + 1)
  const anchorBytes = new Uint32Array(count)
  const fields = new Uint32Array(spec.fieldCount + 1)
  let keys: Buffer = Buffer.allocUnsafe(Math.max(64, Math.min(text.length, count * 48)))
  let keyAt = 0
  let start = 0

  for (let row = 0; row < count; row += 1) {
    const end = splitLine(spec, text, start, fields)
    const keyMax = keyBytesMax(spec, fields)
    if (keyAt + keyMax > keys.length) keys = grow(keys, keyAt, keyAt + keyMax)
    keyStart[row] = keyAt
    if (spec.anchor !== null) {
      const anchorEnd = encodeField(text, fields[spec.anchor]!, fields[spec.anchor + 1]! - 1, keys, keyAt)
      anchorBytes[row] = anchorEnd - keyAt
      keyAt = anchorEnd
    }
    for (const field of spec.key) keyAt = encodeField(text, fields[field]!, fields[field + 1]! - 1, keys, keyAt)
    if (spec.key.length === 0) keyAt = appendBagDigest(text.subarray(start, end), keys, keyAt)
    textStart[row] = start
    start = end + 1
  }
  textStart[count] = start
  keyStart[count] = keyAt
  return { count, text, textStart, keys: keys.subarray(0, keyAt), keyStart, anchorBytes }
}

function countLines(text: Buffer): number {
  let count = 0
  for (let at = text.indexOf(NEWLINE); at >= 0; at = text.indexOf(NEWLINE, at + 1)) count += 1
  return count
}

/** Fills `fields` with each field's start (and one past the end's separator); returns the newline's position. */
function splitLine(spec: TreeSpec, text: Buffer, start: number, fields: Uint32Array): number {
  let field = 1
  let at = start
  fields[0] = start
  for (;;) {
    const byte = text[at]
    if (byte === NEWLINE || byte === undefined) break
    if (byte === TAB) {
      if (field < spec.fieldCount) fields[field] = at + 1
      field += 1
    }
    at += 1
  }
  if (field !== spec.fieldCount) throw wrongFieldCount(spec, field)
  fields[spec.fieldCount] = at + 1
  return at
}

function keyBytesMax(spec: TreeSpec, fields: Uint32Array): number {
  let bytes = spec.key.length === 0 ? BAG_DIGEST_BYTES : 0
  if (spec.anchor !== null) bytes += encodedBytesMax(fields[spec.anchor + 1]! - fields[spec.anchor]!)
  for (const field of spec.key) bytes += encodedBytesMax(fields[field + 1]! - fields[field]!)
  return bytes
}

function appendBagDigest(line: Uint8Array, keys: Buffer, at: number): number {
  keys.set(sha256(line).subarray(0, BAG_DIGEST_BYTES), at)
  return at + BAG_DIGEST_BYTES
}

export function grow(buffer: Buffer, used: number, needed: number): Buffer {
  const larger = Buffer.allocUnsafe(Math.max(needed, buffer.length * 2))
  buffer.copy(larger, 0, 0, used)
  return larger
}

function wrongFieldCount(spec: TreeSpec, found: number): Failure {
  return new Failure('source-failed', `a row of ${spec.name} has ${found} fields, its table has ${spec.fieldCount}`, {
    context: { table: spec.name },
  })
}
