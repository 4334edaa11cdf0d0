/**
 * Where a large transaction waits for its commit: a file without a name, encrypted under a key that is never written
 * anywhere, so that what a crash leaves on the disk is noise.
 *
 * A sibling of `src/repository/build/spill-file.ts`: a source may import nothing of the repository.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { Failure } from '../../../errors.ts'

const TAG_BYTES = 16
const NONCE_BYTES = 12
const FASTEST = { params: { [constants.ZSTD_c_compressionLevel]: -3 } }

interface Place {
  readonly offset: number
  readonly bytes: number
}

export class Spill implements Disposable {
  readonly #file: number
  readonly #key = randomBytes(32)
  readonly #blocks: Place[] = []
  #end = 0
  #isOpen = true

  /** @throws local-disk-full */
  constructor(directory: string) {
    const path = join(directory, `chartkeep-stream-${randomBytes(8).toString('hex')}`)
    this.#file = local(() => openSync(path, 'wx+', 0o600))
    local(() => unlinkSync(path))
  }

  get blockCount(): number {
    return this.#blocks.length
  }

  /** @throws local-disk-full */
  append(plain: Uint8Array): void {
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce(this.#blocks.length))
    const body = cipher.update(zstdCompressSync(plain, FASTEST))
    cipher.final()
    const sealed = Buffer.concat([body, cipher.getAuthTag()])
    for (let written = 0; written < sealed.length; ) {
      written += local(() => writeSync(this.#file, sealed, written, sealed.length - written, this.#end + written))
    }
    this.#blocks.push({ offset: this.#end, bytes: sealed.length })
    this.#end += sealed.length
  }

  /** @throws local-disk-full when the disk did not keep it */
  read(index: number): Buffer {
    const { offset, bytes } = this.#blocks[index]!
    const sealed = Buffer.allocUnsafe(bytes)
    for (let got = 0; got < bytes; ) {
      const more = local(() => readSync(this.#file, sealed, got, bytes - got, offset + got))
      if (more === 0) throw notKept()
      got += more
    }
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce(index), { authTagLength: TAG_BYTES })
    decipher.setAuthTag(sealed.subarray(bytes - TAG_BYTES))
    const plain = decipher.update(sealed.subarray(0, bytes - TAG_BYTES))
    try {
      decipher.final()
    } catch {
      throw notKept()
    }
    return zstdDecompressSync(plain)
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    closeSync(this.#file)
  }
}

function nonce(index: number): Buffer {
  const bytes = Buffer.alloc(NONCE_BYTES)
  bytes.writeUInt32LE(index)
  return bytes
}

function notKept(): Failure {
  return new Failure('local-disk-full', 'a temporary file did not keep what was written to it')
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
