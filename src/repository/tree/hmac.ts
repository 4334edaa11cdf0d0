/**
 * HMAC-SHA-256 (RFC 2104) under one key for many short messages: two calls of the one-shot hash take 6 µs, where a
 * `createHmac` of its own takes 36 µs, and there is a salt for every patient of every table.
 */
import { hash } from 'node:crypto'

const BLOCK_BYTES = 64
const INNER_PAD = 0x36
const OUTER_PAD = 0x5c

export class HmacSha256 {
  readonly #inner: Uint8Array
  readonly #outer: Uint8Array

  constructor(key: Uint8Array) {
    const short = key.length > BLOCK_BYTES ? hash('sha256', key, 'buffer') : key
    this.#inner = padded(short, INNER_PAD)
    this.#outer = padded(short, OUTER_PAD)
  }

  digest(...parts: readonly Uint8Array[]): Uint8Array {
    const inner = hash('sha256', Buffer.concat([this.#inner, ...parts]), 'buffer')
    return hash('sha256', Buffer.concat([this.#outer, inner]), 'buffer')
  }
}

function padded(key: Uint8Array, pad: number): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES).fill(pad)
  for (const [index, byte] of key.entries()) block[index] = byte ^ pad
  return block
}
