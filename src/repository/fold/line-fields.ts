/** Fields of a line as the change log has it: no newline at its end, and `\u` for a field that was not sent. */
import { FIELD_NOT_SENT } from '../change-log/change.ts'

const TAB = 0x09
const UNSENT = Buffer.from(FIELD_NOT_SENT)

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** A view. */
export function fieldOf(line: Buffer, field: number): Buffer {
  let start = 0
  for (let skipped = 0; skipped < field; skipped += 1) start = line.indexOf(TAB, start) + 1
  const end = line.indexOf(TAB, start)
  return line.subarray(start, end < 0 ? line.length : end)
}

export function fieldsOf(line: Buffer): Buffer[] {
  const fields: Buffer[] = []
  let start = 0
  for (let end = line.indexOf(TAB); end >= 0; end = line.indexOf(TAB, start)) {
    fields.push(line.subarray(start, end))
    start = end + 1
  }
  fields.push(line.subarray(start))
  return fields
}

/**
 * Of the line `bytes[from, to)`: fills `bounds` with the start of each field, and one behind the line's end as the start of
 * the next: field i is `[bounds[i], bounds[i + 1] - 1)`. @returns how many fields there are; what `bounds` has no room for
 * is counted alone
 */
export function findFields(bytes: Uint8Array, bounds: Uint32Array, from = 0, to = bytes.length): number {
  let count = 1
  bounds[0] = from
  for (let at = from; at < to; at += 1) {
    if (bytes[at] !== TAB) continue
    bounds[count] = at + 1
    count += 1
  }
  bounds[count] = to + 1
  return count
}

export function isUnsentAt(line: Uint8Array, start: number, end: number): boolean {
  return end - start === 2 && line[start] === UNSENT[0] && line[start + 1] === UNSENT[1]
}

export function isUnsent(field: Buffer): boolean {
  return isUnsentAt(field, 0, field.length)
}

/** Whether any field was not sent. Within a field, a backslash before `u` stands behind another. */
export function hasUnsent(line: Buffer): boolean {
  for (let at = line.indexOf(UNSENT); at >= 0; at = line.indexOf(UNSENT, at + 1)) {
    const end = at + UNSENT.length
    if ((at === 0 || line[at - 1] === TAB) && (end === line.length || line[end] === TAB)) return true
  }
  return false
}

/** `line` with the fields of `before` where its own were not sent. */
export function filled(line: Buffer, before: Buffer): Buffer {
  if (!hasUnsent(line)) return line
  const old = fieldsOf(before)
  return joined(fieldsOf(line).map((field, index) => (isUnsent(field) ? old[index]! : field)))
}

export function joined(fields: readonly Uint8Array[]): Buffer {
  const line = Buffer.allocUnsafe(fields.reduce((sum, field) => sum + field.length + 1, -1))
  let at = 0
  for (const [index, field] of fields.entries()) {
    if (index > 0) line[at++] = TAB
    line.set(field, at)
    at += field.length
  }
  return line
}

export function withNewline(line: Buffer): Buffer {
  const out = Buffer.allocUnsafe(line.length + 1)
  out.set(line)
  out[line.length] = 0x0a
  return out
}
