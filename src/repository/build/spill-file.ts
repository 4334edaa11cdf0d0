/**
 * Sorted rows that did not fit into memory, in a temporary file: compressed, and encrypted under a key that is never
 * written anywhere, so that what a crash leaves on the disk is noise. The file has no name once it is open.
 *
 * Written and read at once: who sorts has nothing to do meanwhile, and the disk's cache takes a block in less time
 * than a turn of the event loop.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '../../errors.ts'
import { aes256Gcm, KEY_BYTES, TAG_BYTES } from '../crypto/provider.ts'
import { compressPassing, decompressToView } from '../pack/zstd.ts'

const NO_DATA = new Uint8Array()

export interface SpillBlock {
  readonly offset: number
  readonly storedBytes: number
  readonly bytes: number
  readonly number: number
}

export class SpillFile implements Disposable {
  readonly #file: number
  readonly #key = randomBytes(KEY_BYTES)
  #end = 0
  #blocks = 0
  /** Of the block that was written or read last; one serves them all. */
  #sealed = Buffer.alloc(0)

  /** @throws local-disk-full */
  constructor(directory: string) {
    const path = join(directory, `chartkeep-spill-${randomBytes(8).toString('hex')}`)
    this.#file = local(() => openSync(path, 'wx+', 0o600))
    local(() => unlinkSync(path))
  }

  /** @throws local-disk-full */
  append(bytes: Uint8Array): SpillBlock {
    const number = this.#blocks
    this.#blocks += 1
    const sealed = this.#seal(number, compressPassing(bytes))
    const offset = this.#end
    this.#end += sealed.length
    for (let written = 0; written < sealed.length; ) {
      written += local(() => writeSync(this.#file, sealed, written, sealed.length - written, offset + written))
    }
    return { offset, storedBytes: sealed.length, bytes: bytes.length, number }
  }

  /** A view, until the next call. @throws local-disk-full when the disk did not keep it */
  read(block: SpillBlock): Uint8Array {
    const sealed = this.#room(block.storedBytes)
    for (let read = 0; read < sealed.length; ) {
      const bytes = local(() => readSync(this.#file, sealed, read, sealed.length - read, block.offset + read))
      if (bytes === 0) break
      read += bytes
    }
    const plain = aes256Gcm.open(this.#key, nonce(block.number), NO_DATA, sealed)
    if (!plain) throw new Failure('local-disk-full', 'a temporary file did not keep what was written to it')
    return decompressToView(plain, block.bytes)
  }

  #seal(number: number, plain: Uint8Array): Buffer {
    const sealed = this.#room(plain.length + TAG_BYTES)
    aes256Gcm.sealInto(this.#key, nonce(number), NO_DATA, plain, sealed, 0)
    return sealed
  }

  #room(bytes: number): Buffer {
    if (this.#sealed.length < bytes) this.#sealed = Buffer.allocUnsafeSlow(2 * bytes)
    return this.#sealed.subarray(0, bytes)
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}

function nonce(number: number): Uint8Array {
  const bytes = Buffer.alloc(12)
  bytes.writeBigUInt64LE(BigInt(number))
  return bytes
}

function local<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new Failure('local-disk-full', `cannot write a temporary file (${code})`, {
      hints: ['Free space in the temporary directory, or name another one with TMPDIR, and run the command again.'],
      cause: error,
    })
  }
}
