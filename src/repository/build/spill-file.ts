/**
 * Sorted rows that did not fit into memory, in a temporary file: compressed, and encrypted under a key that is never
 * written anywhere, so that what a crash leaves on the disk is noise. The file has no name once it is open.
 *
 * A block: stored bytes (4), then sealed: rows, text bytes, key bytes (4 each), text starts, key starts, anchor
 * lengths, keys, text.
 */
import { randomBytes } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { Failure } from '../../errors.ts'
import { aes256Gcm, KEY_BYTES } from '../crypto/provider.ts'
import type { Rows } from '../tree/rows.ts'

const FASTEST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
const NO_DATA = new Uint8Array()

interface Block {
  readonly offset: number
  readonly storedBytes: number
  readonly number: number
}

export class SpillFile implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #key = randomBytes(KEY_BYTES)
  #end = 0
  #blocks = 0

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** @throws local-disk-full */
  static async create(directory: string): Promise<SpillFile> {
    const path = join(directory, `chartkeep-spill-${randomBytes(8).toString('hex')}`)
    const file = await open(path, 'wx+', 0o600).catch(throwLocal)
    await unlink(path).catch(throwLocal)
    return new SpillFile(file)
  }

  /** @throws local-disk-full */
  async append(rows: Rows): Promise<Block> {
    const number = this.#blocks
    this.#blocks += 1
    const sealed = aes256Gcm.seal(this.#key, nonce(number), NO_DATA, zstdCompressSync(serialise(rows), FASTEST))
    const offset = this.#end
    this.#end += sealed.length
    let written = 0
    while (written < sealed.length) {
      const result = await this.#file
        .write(sealed, written, sealed.length - written, offset + written)
        .catch(throwLocal)
      written += result.bytesWritten
    }
    return { offset, storedBytes: sealed.length, number }
  }

  async read(block: Block): Promise<Rows> {
    const sealed = Buffer.allocUnsafe(block.storedBytes)
    let read = 0
    while (read < sealed.length) {
      const { bytesRead } = await this.#file.read(sealed, read, sealed.length - read, block.offset + read)
      if (bytesRead === 0) break
      read += bytesRead
    }
    const plain = aes256Gcm.open(this.#key, nonce(block.number), NO_DATA, sealed)
    if (!plain) throw new Failure('local-disk-full', 'a temporary file did not keep what was written to it')
    return deserialise(zstdDecompressSync(plain))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}

export type SpillBlock = Block

function nonce(number: number): Uint8Array {
  const bytes = Buffer.alloc(12)
  bytes.writeBigUInt64LE(BigInt(number))
  return bytes
}

function serialise(rows: Rows): Buffer {
  const head = Uint32Array.of(rows.count, rows.text.length, rows.keys.length)
  const numbers = [head, rows.textStart, rows.keyStart, rows.anchorBytes]
  const parts = numbers.map((array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength))
  return Buffer.concat([...parts, rows.keys, rows.text])
}

function deserialise(bytes: Buffer): Rows {
  const copy = Uint8Array.from(bytes)
  const [count = 0, textBytes = 0, keyBytes = 0] = new Uint32Array(copy.buffer, 0, 3)
  let at = 12
  const numbers = (length: number): Uint32Array => {
    const array = new Uint32Array(copy.buffer, at, length)
    at += length * 4
    return array
  }
  const textStart = numbers(count + 1)
  const keyStart = numbers(count + 1)
  const anchorBytes = numbers(count)
  const keys = Buffer.from(copy.buffer, at, keyBytes)
  const text = Buffer.from(copy.buffer, at + keyBytes, textBytes)
  return { count, text, textStart, keys, keyStart, anchorBytes }
}

function throwLocal(error: unknown): never {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  throw new Failure('local-disk-full', `cannot write a temporary file (${code})`, {
    hints: ['Free space in the temporary directory, or name another one with TMPDIR, and run the command again.'],
    cause: error,
  })
}
