/**
 * zstd for many small pieces. `zstdCompressSync` makes a context for each call, which for a leaf of 30 KB takes as long
 * as compressing it; here one context, of each kind, serves a thread as long as it lives.
 *
 * Node has no public way to compress synchronously with a context that is there already, so this uses the handle behind
 * Node's own zstd streams, as its synchronous functions do. What comes back is looked at: whenever a piece does not go
 * through whole in one step, or there is no such handle, the public functions do the work instead, and say what is
 * wrong if something is. What was compressed is decompressed and compared before it is stored (F27).
 */
import {
  constants,
  createZstdCompress,
  createZstdDecompress,
  type ZstdCompress,
  type ZstdDecompress,
  type ZstdOptions,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib'

/** Columns leave little to find: 3 makes 2 % less of leaves than 1 in a fifth more time, 5 makes 6 % less in thrice the time. */
const OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
/**
 * For what is read once and thrown away: of sorted rows 0.20 to 0.30 is left, where 1 leaves 0.12 to 0.19, in three
 * quarters of the time both ways.
 */
const PASSING_OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: -3 } }
/** What zstd may need beyond the input's size, for input that does not compress. */
const COMPRESSED_SLACK_BYTES = 1024
const ROOM_BYTES_MIN = 256 * 1024
/** Larger pieces are rare, and the cost of a context is nothing to them. */
const PIECE_BYTES_MAX = 4 * 1024 * 1024
/** Node's own; with a smaller one, zstd overlooks a frame that promises more than it holds. */
const CHUNK_BYTES_MIN = 16 * 1024

export function compress(plain: Uint8Array): Uint8Array {
  return Buffer.from(compressToView(plain))
}

/** As `compress`; what it gives is gone with the next call, in exchange for an allocation less. */
export function compressToView(plain: Uint8Array): Uint8Array {
  return runOrCompress(compressor, plain, OPTIONS)
}

/** As `compressToView`, for temporary files: faster, and larger. */
export function compressPassing(plain: Uint8Array): Uint8Array {
  return runOrCompress(passingCompressor, plain, PASSING_OPTIONS)
}

function runOrCompress(context: Context, plain: Uint8Array, options: ZstdOptions): Uint8Array {
  const fast = plain.length <= PIECE_BYTES_MAX ? context.run(plain, plain.length + COMPRESSED_SLACK_BYTES) : null
  return fast ?? zstdCompressSync(plain, options)
}

/** @throws when the bytes are not one frame of at most `plainBytes` */
export function decompress(bytes: Uint8Array, plainBytes: number): Uint8Array {
  return Buffer.from(decompressToView(bytes, plainBytes))
}

/** As `decompress`; what it gives is gone with the next call, in exchange for an allocation less. */
export function decompressToView(bytes: Uint8Array, plainBytes: number): Uint8Array {
  // One byte more than there should be: what is longer does not end within the room, and is left to the public function.
  const fast = plainBytes <= PIECE_BYTES_MAX ? decompressor.run(bytes, plainBytes + 1) : null
  if (fast && fast.length === plainBytes) return fast
  const chunkSize = Math.min(PIECE_BYTES_MAX, Math.max(CHUNK_BYTES_MIN, plainBytes))
  return zstdDecompressSync(bytes, { chunkSize, maxOutputLength: Math.max(1, plainBytes) })
}

/** What is used of a stream of node:zlib. */
interface HandleOwner {
  readonly _handle?: ZlibHandle | null
  /** Room left in the output, and bytes left of the input, after a step. */
  readonly _writeState?: Uint32Array
}

interface ZlibHandle {
  writeSync(
    ...step: [flush: number, input: Uint8Array, at: number, bytes: number, out: Uint8Array, outAt: number, room: number]
  ): void
}

class Context {
  readonly #make: () => ZstdCompress | ZstdDecompress
  #owner: HandleOwner | null = null
  #room = Buffer.allocUnsafe(ROOM_BYTES_MIN)

  constructor(make: () => ZstdCompress | ZstdDecompress) {
    this.#make = make
  }

  /** @returns a view, until the next step; null when it did not go through in one: the context is then given up */
  run(input: Uint8Array, roomBytes: number): Uint8Array | null {
    const owner = this.#owner ?? this.#open()
    const { _handle: handle, _writeState: state } = owner
    if (!handle || !state) return null
    if (this.#room.length < roomBytes) this.#room = Buffer.allocUnsafe(roomBytes)
    handle.writeSync(constants.ZSTD_e_end, input, 0, input.length, this.#room, 0, roomBytes)
    const [left, unread] = state
    const failed = owner._handle !== handle || unread !== 0 || left === undefined || left === 0 || left === roomBytes
    if (!failed) return this.#room.subarray(0, roomBytes - left)
    this.#owner = null
    return null
  }

  #open(): HandleOwner {
    const stream = this.#make()
    // A step that fails destroys the stream; whoever asked falls back, and hears of it from there.
    stream.on('error', () => {})
    const owner = stream as (ZstdCompress | ZstdDecompress) & HandleOwner
    this.#owner = owner
    return owner
  }
}

const compressor = new Context(() => createZstdCompress(OPTIONS))
const passingCompressor = new Context(() => createZstdCompress(PASSING_OPTIONS))
const decompressor = new Context(() => createZstdDecompress())
