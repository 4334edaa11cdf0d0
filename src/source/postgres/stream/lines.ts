/**
 * Rows of the stream as COPY lines. The text is the same (P15), only its dress differs: pgoutput gives each field with
 * its length, COPY separates by tabs and escapes. Written byte by byte into a large buffer that many rows share; no
 * object is made for a field.
 */
import { Failure } from '../../../errors.ts'

const ARENA_BYTES = 256 * 1024
/** A row larger than this gets a buffer of its own. */
const SHARED_ROW_BYTES_MAX = 32 * 1024
/** `n` becomes `\N` and a tab. */
const GROWTH_MAX = 3
/** Longer fields are searched for what must be escaped, and copied in pieces. */
const SHORT_FIELD_BYTES = 48

const TAB = 0x09
const BACKSLASH = 0x5c
const CAPITAL_N = 0x4e
const SMALL_U = 0x75
const KIND_NULL = 0x6e
const KIND_UNCHANGED = 0x75
const KIND_TEXT = 0x74

/** What stands behind the backslash for a byte that COPY escapes, or 0. */
const ESCAPES = new Uint8Array(256)
for (const [byte, letter] of ['\bb', '\tt', '\nn', '\vv', '\ff', '\rr', '\\\\'].map((pair) => Buffer.from(pair))) {
  ESCAPES[byte!] = letter!
}

export class LineWriter {
  /** Behind the tuple that was read last. */
  at = 0
  #arena = Buffer.allocUnsafeSlow(ARENA_BYTES)
  #used = 0

  /**
   * Reads the TupleData at `at`, within `bytes` until `end`.
   * @param known where it is 0, the field is given as not sent; all fields are taken as they come when null
   */
  read(bytes: Buffer, at: number, end: number, known: Uint8Array | null): Uint8Array {
    const most = (end - at) * GROWTH_MAX
    if (end - at > SHARED_ROW_BYTES_MAX) {
      const own = Buffer.allocUnsafeSlow(most)
      return Buffer.from(own.subarray(0, this.#write({ bytes, at, end, known, into: own, to: 0 })))
    }
    if (this.#arena.length - this.#used < most) {
      this.#arena = Buffer.allocUnsafeSlow(ARENA_BYTES)
      this.#used = 0
    }
    const start = this.#used
    this.#used = this.#write({ bytes, at, end, known, into: this.#arena, to: start })
    return this.#arena.subarray(start, this.#used)
  }

  #write({ bytes, at, end, known, into, to }: Writing): number {
    const fields = bytes.readUInt16BE(at)
    let from = at + 2
    let out = to
    for (let field = 0; field < fields; field += 1) {
      if (field > 0) into[out++] = TAB
      const kind = bytes[from]
      from += 1
      if (kind === KIND_TEXT) {
        const length = bytes.readUInt32BE(from)
        from += 4
        if (from + length > end) throw malformed()
        if (known === null || known[field] !== 0) out = escapeField(bytes, from, from + length, into, out)
        else out = writePair(into, out, SMALL_U)
        from += length
      } else if (kind === KIND_UNCHANGED || (known !== null && known[field] === 0)) {
        out = writePair(into, out, SMALL_U)
      } else if (kind === KIND_NULL) {
        out = writePair(into, out, CAPITAL_N)
      } else throw malformed()
    }
    if (from > end) throw malformed()
    this.at = from
    return out
  }
}

interface Writing {
  readonly bytes: Buffer
  readonly at: number
  readonly end: number
  readonly known: Uint8Array | null
  readonly into: Buffer
  readonly to: number
}

function writePair(into: Buffer, out: number, letter: number): number {
  into[out] = BACKSLASH
  into[out + 1] = letter
  return out + 2
}

function escapeField(bytes: Buffer, start: number, end: number, into: Buffer, to: number): number {
  let out = to
  if (end - start > SHORT_FIELD_BYTES) return escapeLongField(bytes, start, end, into, to)
  for (let from = start; from < end; from += 1) {
    const byte = bytes[from]!
    const letter = ESCAPES[byte]!
    if (letter === 0) into[out++] = byte
    else out = writePair(into, out, letter)
  }
  return out
}

function escapeLongField(bytes: Buffer, start: number, end: number, into: Buffer, to: number): number {
  let out = to
  let copied = start
  for (let from = start; from < end; from += 1) {
    const letter = ESCAPES[bytes[from]!]!
    if (letter === 0) continue
    out += bytes.copy(into, out, copied, from)
    out = writePair(into, out, letter)
    copied = from + 1
  }
  return out + bytes.copy(into, out, copied, end)
}

export function malformed(): Failure {
  return new Failure('source-failed', 'the server sent a message of logical replication that is not as documented')
}
