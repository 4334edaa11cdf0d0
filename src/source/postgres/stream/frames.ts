/**
 * Takes the messages of a replication stream out of what the socket brings.
 *
 *     socket   d len payload d len pay | load d len payl | oad
 *     next()   payload                 | payload         | payload
 *
 * A payload that lies in one chunk is a range of that chunk, and is valid until the next call; one that is cut is put
 * together in a buffer of its own size, so that a value of many megabytes is copied once and not once for each chunk.
 */

/** Type and length. */
const HEADER_BYTES = 5
const COPY_DATA = 0x64
/** CopyBothResponse, ParameterStatus, NoticeResponse, NotificationResponse: may come, and hold no changes. */
const PASSED_OVER = new Set([0x57, 0x53, 0x4e, 0x41])

const EMPTY = Buffer.alloc(0)

export class FrameReader {
  /** Of the payload that `next` found. */
  bytes: Buffer = EMPTY
  start = 0
  end = 0
  /** Set where the stream ends: the first byte of what is not ours, and what follows it. */
  rest: Buffer | null = null

  #chunk: Buffer = EMPTY
  #at = 0
  /** A message that is not whole yet. */
  #partial: Buffer | null = null
  #partialBytes = 0
  #isPassedOver = false

  /** What was pushed before must have been consumed. */
  push(chunk: Buffer): void {
    const left = this.#chunk.length - this.#at
    this.#chunk = left === 0 ? chunk : Buffer.concat([this.#chunk.subarray(this.#at), chunk])
    this.#at = 0
  }

  /** Whether there is another whole payload. */
  next(): boolean {
    while (this.rest === null) {
      if (this.#partial !== null) {
        if (!this.#fill(this.#partial)) return false
        if (!this.#isPassedOver) return true
        continue
      }
      const chunk = this.#chunk
      const at = this.#at
      if (chunk.length - at < HEADER_BYTES) return false
      const kind = chunk[at]!
      if (kind !== COPY_DATA && !PASSED_OVER.has(kind)) {
        this.rest = Buffer.from(chunk.subarray(at))
        return false
      }
      const length = chunk.readUInt32BE(at + 1) - (HEADER_BYTES - 1)
      const start = at + HEADER_BYTES
      this.#isPassedOver = kind !== COPY_DATA
      if (chunk.length - start < length) {
        this.#partial = Buffer.allocUnsafe(length)
        this.#partialBytes = 0
        this.#at = start
        continue
      }
      this.#at = start + length
      if (this.#isPassedOver) continue
      this.bytes = chunk
      this.start = start
      this.end = this.#at
      return true
    }
    return false
  }

  #fill(partial: Buffer): boolean {
    const taken = Math.min(partial.length - this.#partialBytes, this.#chunk.length - this.#at)
    this.#chunk.copy(partial, this.#partialBytes, this.#at, this.#at + taken)
    this.#at += taken
    this.#partialBytes += taken
    if (this.#partialBytes < partial.length) return false
    this.bytes = partial
    this.start = 0
    this.end = partial.length
    this.#partial = null
    return true
  }
}
