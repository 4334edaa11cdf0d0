/**
 * HMAC-SHA-256 (RFC 2104) under one key for many short messages, of which there is one for every patient of every table
 * and for every child of every node: two calls of the one-shot hash, out of memory that is taken once. A `createHmac`
 * of its own takes several times as long.
 */
import { DIGEST_BYTES, sha256, sha256Into } from '../crypto/provider.ts'

const BLOCK_BYTES = 64
const INNER_PAD = 0x36
const OUTER_PAD = 0x5c
/** Most messages are a table's name and a key. */
const MESSAGE_BYTES = 448

export class HmacSha256 {
  /** The key's block stands before the message, and before the inner digest. */
  #inner = new Uint8Array(BLOCK_BYTES + MESSAGE_BYTES)
  readonly #outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES)

  constructor(key: Uint8Array) {
    const [inner, outer] = hmacBlocks(key)
    this.#inner.set(inner)
    this.#outer.set(outer)
  }

  digest(...parts: readonly Uint8Array[]): Uint8Array {
    this.#digestInner(parts)
    return sha256(this.#outer)
  }

  /** As `digest`, into `out` from `at` on. */
  digestInto(out: Buffer, at: number, ...parts: readonly Uint8Array[]): void {
    this.#digestInner(parts)
    sha256Into(this.#outer, out, at)
  }

  #digestInner(parts: readonly Uint8Array[]): void {
    let end = BLOCK_BYTES
    for (const part of parts) {
      if (end + part.length > this.#inner.length) this.#grow(end + part.length)
      this.#inner.set(part, end)
      end += part.length
    }
    sha256Into(this.#inner.subarray(0, end), this.#outer, BLOCK_BYTES)
  }

  #grow(bytes: number): void {
    const larger = new Uint8Array(2 * bytes)
    larger.set(this.#inner)
    this.#inner = larger
  }
}

/** The key's block, once combined with each of the two pads: what stands before a message, and before its digest. */
export function hmacBlocks(key: Uint8Array): readonly [inner: Uint8Array, outer: Uint8Array] {
  const short = key.length > BLOCK_BYTES ? sha256(key) : key
  return [padded(short, INNER_PAD), padded(short, OUTER_PAD)]
}

function padded(key: Uint8Array, pad: number): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES).fill(pad)
  for (const [index, byte] of key.entries()) block[index] = byte ^ pad
  return block
}
