/**
 * Collects chunks into packs and stores each with one put. A chunk's place is known as soon as it is added; it is
 * durable only once `flush` has returned (I1): nothing may name it in a manifest before.
 */
import { hash } from 'node:crypto'
import { assert } from '../../errors.ts'
import { aes256Gcm, TAG_BYTES } from '../crypto/provider.ts'
import { packKey } from '../layout.ts'
import type { SealKey } from '../sealed-object.ts'
import type { Store } from '../store/contract.ts'
import type { ChunkPlace } from '../tree/node-codec.ts'
import { PACK_ID_BYTES } from '../tree/node-codec.ts'
import type { ChunkType } from './chunk.ts'
import {
  chunkAssociated,
  chunkNonce,
  DIRECTORY_NONCE,
  encodeDirectory,
  encodePackHeader,
  PACK_END,
  type PackedChunk,
  packCipherKey,
} from './pack-format.ts'

/** One put each. Large enough that a base of a terabyte of rows is some ten thousand objects. */
const PACK_BYTES_TARGET = 16 * 1024 * 1024
/** A pack's memory to begin with; it doubles. */
const OBJECT_BYTES_MIN = 256 * 1024
/** Puts under way at once: one is being sent while the next is being filled. */
const PUTS_MAX = 2

/** What the index says of a pack. */
export interface PackRecord {
  readonly packId: string
  readonly bytes: number
  readonly chunks: number
  /** Lower-case hex of the whole object: `sha256sum` checks a pack without any key. */
  readonly sha256: string
}

export interface PackWriterOptions {
  readonly store: Store
  readonly dataKey: SealKey
  readonly random: (bytes: number) => Uint8Array
  readonly bytesTarget?: number
}

export class PackWriter {
  readonly #options: PackWriterOptions
  readonly #written: PackRecord[] = []
  readonly #puts = new Set<Promise<void>>()
  /** Packs on their way to being put. */
  readonly #closings = new Set<Promise<void>>()
  #open: OpenPack | null = null
  #failure: unknown = null

  constructor(options: PackWriterOptions) {
    this.#options = options
  }

  /** Resolves at once unless PUTS_MAX puts are under way: then it waits for one. @throws what a put threw */
  async add(type: ChunkType, digest: Uint8Array, payload: Uint8Array): Promise<ChunkPlace> {
    this.#open ??= new OpenPack(this.#options)
    const place = this.#open.add(type, digest, payload)
    if (this.#open.bytes >= (this.#options.bytesTarget ?? PACK_BYTES_TARGET)) await this.#closePack()
    this.#throwFailure()
    return place
  }

  /**
   * When it returns, every chunk added before is durable; others may be added meanwhile.
   * @returns every pack written so far
   */
  async flush(): Promise<readonly PackRecord[]> {
    await this.#closePack()
    // A pack that is full may still wait for its turn, with chunks of whoever asks.
    await Promise.all(this.#closings)
    await Promise.all(this.#puts)
    this.#throwFailure()
    return this.#written
  }

  async #closePack(): Promise<void> {
    const pack = this.#open
    this.#open = null
    if (!pack) return
    const closing = this.#beginPut(pack).finally(() => this.#closings.delete(closing))
    this.#closings.add(closing)
    await closing
  }

  async #beginPut(pack: OpenPack): Promise<void> {
    while (this.#puts.size >= PUTS_MAX) await Promise.race(this.#puts)
    const { record, bytes } = pack.close()
    const put = this.#options.store
      .put(packKey(record.packId), bytes)
      .then(
        () => {
          this.#written.push(record)
        },
        (error) => {
          this.#failure ??= error
        },
      )
      .finally(() => this.#puts.delete(put))
    this.#puts.add(put)
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure
  }
}

class OpenPack {
  readonly #packId: string
  readonly #header: Buffer
  readonly #key: Uint8Array
  readonly #chunks: PackedChunk[] = []
  #object = Buffer.allocUnsafeSlow(OBJECT_BYTES_MIN)
  bytes = 0

  constructor(options: PackWriterOptions) {
    this.#packId = Buffer.from(options.random(PACK_ID_BYTES)).toString('hex')
    this.#header = encodePackHeader(aes256Gcm, options.dataKey.number, this.#packId)
    this.#key = packCipherKey(options.dataKey.key, this.#packId)
    this.#append(this.#header)
  }

  add(type: ChunkType, digest: Uint8Array, payload: Uint8Array): ChunkPlace {
    const offset = this.bytes
    const nonce = chunkNonce(offset)
    const associated = chunkAssociated(this.#header, type, digest)
    this.#reserve(payload.length + TAG_BYTES)
    const storedBytes = aes256Gcm.sealInto(this.#key, nonce, associated, payload, this.#object, offset)
    this.bytes += storedBytes
    // A cipher that went wrong must fail the backup, not the restore (F27): what the pack holds is opened again.
    const opened = aes256Gcm.open(this.#key, nonce, associated, this.#object.subarray(offset, this.bytes))
    assert(opened !== null && Buffer.compare(opened, payload) === 0, 'a chunk decrypts to what was encrypted')
    this.#chunks.push({ type, digest, offset, storedBytes })
    return { packId: this.#packId, offset, storedBytes }
  }

  close(): { record: PackRecord; bytes: Uint8Array } {
    const plain = encodeDirectory(this.#chunks)
    const directory = aes256Gcm.seal(this.#key, DIRECTORY_NONCE, this.#header, plain)
    const opened = aes256Gcm.open(this.#key, DIRECTORY_NONCE, this.#header, directory)
    assert(opened !== null && Buffer.compare(opened, plain) === 0, 'a directory decrypts to what was encrypted')
    const trailer = Buffer.alloc(4)
    trailer.writeUInt32LE(directory.length)
    for (const part of [directory, trailer, PACK_END]) this.#append(part)
    const bytes = this.#object.subarray(0, this.bytes)
    const sha256 = hash('sha256', bytes, 'hex')
    return { record: { packId: this.#packId, bytes: bytes.length, chunks: this.#chunks.length, sha256 }, bytes }
  }

  #append(part: Uint8Array): void {
    this.#reserve(part.length)
    this.#object.set(part, this.bytes)
    this.bytes += part.length
  }

  #reserve(bytes: number): void {
    const end = this.bytes + bytes
    if (end <= this.#object.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#object.length))
    this.#object.copy(larger, 0, 0, this.bytes)
    this.#object = larger
  }
}
