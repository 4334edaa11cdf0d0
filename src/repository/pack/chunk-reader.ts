/**
 * Reads chunks by their place, and whole packs. Nothing leaves here unopened: a chunk that was altered, moved or
 * passed off as another is an error (I3 begins here; the digest of the rows is checked by whoever decodes them).
 */
import { Failure } from '../../errors.ts'
import { cipherById } from '../crypto/provider.ts'
import { packKey } from '../layout.ts'
import type { SealKey } from '../sealed-object.ts'
import type { Store } from '../store/contract.ts'
import type { ChunkPlace } from '../tree/node-codec.ts'
import { type ChunkType, unpackPayload } from './chunk.ts'
import {
  chunkAssociated,
  chunkNonce,
  DIRECTORY_NONCE,
  decodeDirectory,
  decodePackHeader,
  PACK_END,
  PACK_FORMAT_VERSION,
  PACK_HEADER_BYTES,
  PACK_TRAILER_BYTES,
  type PackedChunk,
  packCipherKey,
} from './pack-format.ts'

/** A range request costs a round trip; reading this much more than asked is cheaper than asking twice. */
const GAP_BYTES_MAX = 64 * 1024
const RANGE_BYTES_MAX = 4 * 1024 * 1024

export interface ChunkRequest {
  readonly type: ChunkType
  readonly digest: Uint8Array
  readonly place: ChunkPlace
}

/** The key and header of a pack: the header is bound into every chunk's tag. */
interface PackAccess {
  readonly header: Buffer
  readonly key: Uint8Array
  readonly cipherId: number
}

export class ChunkReader {
  readonly #store: Store
  readonly #dataKeys: readonly SealKey[]
  readonly #packs = new Map<string, Promise<PackAccess>>()
  bytesRead = 0

  constructor(store: Store, dataKeys: readonly SealKey[]) {
    this.#store = store
    this.#dataKeys = dataKeys
  }

  /** The decompressed chunk. @throws object-missing, repository-damaged, repository-format, store-… */
  async read(request: ChunkRequest): Promise<Uint8Array> {
    const { packId, offset, storedBytes } = request.place
    const access = await this.#access(packId)
    const sealed = await this.#range(packId, offset, offset + storedBytes)
    return openChunk(access, request, sealed)
  }

  /**
   * The decompressed chunks in the order asked for; neighbours in a pack are fetched with one request, and with what
   * lies between them, where that is no more than `gapBytesMax`.
   * @throws as `read`
   */
  async *readMany(requests: readonly ChunkRequest[], gapBytesMax = GAP_BYTES_MAX): AsyncGenerator<Uint8Array> {
    for (const run of contiguousRuns(requests, gapBytesMax)) {
      const packId = run[0]!.place.packId
      const start = run[0]!.place.offset
      const end = Math.max(...run.map(({ place }) => place.offset + place.storedBytes))
      const access = await this.#access(packId)
      const bytes = await this.#range(packId, start, end)
      for (const request of run) {
        const at = request.place.offset - start
        yield openChunk(access, request, bytes.subarray(at, at + request.place.storedBytes))
      }
    }
  }

  async #range(packId: string, start: number, end: number): Promise<Uint8Array> {
    const bytes = await this.#store.getRange(packKey(packId), start, end)
    this.bytesRead += bytes.length
    return bytes
  }

  #access(packId: string): Promise<PackAccess> {
    let access = this.#packs.get(packId)
    if (!access) {
      access = this.#loadAccess(packId)
      this.#packs.set(packId, access)
      access.catch(() => this.#packs.delete(packId))
    }
    return access
  }

  async #loadAccess(packId: string): Promise<PackAccess> {
    return packAccess(Buffer.from(await this.#range(packId, 0, PACK_HEADER_BYTES)), packId, this.#dataKeys)
  }
}

function packAccess(header: Buffer, packId: string, dataKeys: readonly SealKey[]): PackAccess {
  const decoded = decodePackHeader(header)
  if (!decoded) throw damagedPack(packId, 'has no header')
  if (decoded.formatVersion < 1 || decoded.formatVersion > PACK_FORMAT_VERSION) {
    throw new Failure(
      'repository-format',
      `pack ${packId} has format ${decoded.formatVersion}, this version reads 1 to ${PACK_FORMAT_VERSION}`,
      {
        hints: ['Use the version of chartkeep that wrote this repository, or a later one.'],
        context: { pack: packId },
      },
    )
  }
  if (decoded.packId !== packId) throw damagedPack(packId, `holds pack ${decoded.packId}`)
  const dataKey = dataKeys.find((key) => key.number === decoded.keyNumber)
  if (!dataKey) throw damagedPack(packId, `names data key ${decoded.keyNumber}, which the repository does not have`)
  const cipher = cipherById(decoded.cipherId)
  return {
    header: Buffer.from(header),
    key: packCipherKey(dataKey.key, packId),
    cipherId: cipher.id,
  }
}

function openChunk(access: PackAccess, request: ChunkRequest, sealed: Uint8Array): Uint8Array {
  return unpackPayload(decrypt(access, request, sealed), shownChunk(request))
}

function shownChunk({ digest, place: { packId, offset } }: ChunkRequest): string {
  return `chunk ${Buffer.from(digest).toString('hex').slice(0, 16)} at ${offset} of pack ${packId}`
}

function decrypt(access: PackAccess, request: ChunkRequest, sealed: Uint8Array): Uint8Array {
  const { packId, offset } = request.place
  const associated = chunkAssociated(access.header, request.type, request.digest)
  const payload = cipherById(access.cipherId).open(access.key, chunkNonce(offset), associated, sealed)
  if (!payload) {
    throw new Failure('repository-damaged', `${shownChunk(request)} does not decrypt: altered or moved`, {
      context: { pack: packId, offset },
      hints: ['Run `chartkeep scrub` to see everything that is damaged, and what it affects.'],
    })
  }
  return payload
}

function contiguousRuns(requests: readonly ChunkRequest[], gapBytesMax: number): ChunkRequest[][] {
  const runs: ChunkRequest[][] = []
  for (const request of requests) {
    const run = runs.at(-1)
    if (run && continuesRun(run, request.place, gapBytesMax)) run.push(request)
    else runs.push([request])
  }
  return runs
}

function continuesRun(run: readonly ChunkRequest[], place: ChunkPlace, gapBytesMax: number): boolean {
  const first = run[0]!.place
  const last = run.at(-1)!.place
  const gap = place.offset - (last.offset + last.storedBytes)
  if (place.packId !== first.packId || gap < 0 || gap > gapBytesMax) return false
  return place.offset + place.storedBytes - first.offset <= RANGE_BYTES_MAX
}

export interface OpenedPack {
  readonly chunks: readonly PackedChunk[]
  /** The decompressed chunk. @throws repository-damaged */
  open(chunk: PackedChunk): Uint8Array
  /** That these are the bytes that were sealed as this chunk; they are not decompressed. @throws repository-damaged */
  authenticate(chunk: PackedChunk): void
}

/**
 * A whole pack, for scrub: header, trailer and directory are checked, and that chunks fill the space between them.
 * @throws repository-damaged, repository-format
 */
export function openPack(packId: string, bytes: Buffer, dataKeys: readonly SealKey[]): OpenedPack {
  const access = packAccess(bytes.subarray(0, PACK_HEADER_BYTES), packId, dataKeys)
  const trailerAt = bytes.length - PACK_TRAILER_BYTES
  if (trailerAt < PACK_HEADER_BYTES || !bytes.subarray(trailerAt + 4).equals(PACK_END)) {
    throw damagedPack(packId, 'ends early')
  }
  const directoryAt = trailerAt - bytes.readUInt32LE(trailerAt)
  if (directoryAt < PACK_HEADER_BYTES) throw damagedPack(packId, 'has a directory longer than itself')
  const cipher = cipherById(access.cipherId)
  const plain = cipher.open(access.key, DIRECTORY_NONCE, access.header, bytes.subarray(directoryAt, trailerAt))
  if (!plain) throw damagedPack(packId, 'has a directory that does not decrypt')

  const chunks = decodeDirectory(plain, `directory of pack ${packId}`)
  let at = PACK_HEADER_BYTES
  for (const chunk of chunks) {
    if (chunk.offset !== at) throw damagedPack(packId, `has a gap at ${at}`)
    at += chunk.storedBytes
  }
  if (at !== directoryAt) throw damagedPack(packId, `has a gap at ${at}`)
  const sealed = ({ offset, storedBytes }: PackedChunk) => bytes.subarray(offset, offset + storedBytes)
  const requested = (chunk: PackedChunk): ChunkRequest => {
    const { offset, storedBytes } = chunk
    return { ...chunk, place: { packId, offset, storedBytes } }
  }
  return {
    chunks,
    open: (chunk) => openChunk(access, requested(chunk), sealed(chunk)),
    authenticate: (chunk) => void decrypt(access, requested(chunk), sealed(chunk)),
  }
}

function damagedPack(packId: string, what: string): Failure {
  return new Failure('repository-damaged', `pack ${packId} ${what}`, {
    context: { pack: packId },
    hints: ['Run `chartkeep scrub` to see everything that is damaged, and what it affects.'],
  })
}
