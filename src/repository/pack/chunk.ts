/**
 * A chunk is one node or leaf of a tree. Before it is encrypted it is a payload: compression (1 byte: 0 none, 1 zstd),
 * varint of the plain length, the bytes.
 */
import { ByteReader, ByteWriter } from '../tree/varint.ts'
import { compressToView, decompressToView } from './zstd.ts'

export const CHUNK_TYPES = { leaf: 1, node: 2 } as const
export type ChunkType = (typeof CHUNK_TYPES)[keyof typeof CHUNK_TYPES]

/** One row may be a gigabyte (PostgreSQL's limit for a field); nothing above is honest. */
const PLAIN_BYTES_MAX = 2 ** 31 - 1

export function packPayload(plain: Uint8Array): Buffer {
  const compressed = compressToView(plain)
  const smaller = compressed.length < plain.length
  const body = smaller ? compressed : plain
  const out = new ByteWriter(body.length + 10)
  out.byte(smaller ? 1 : 0)
  out.varint(plain.length)
  out.bytes(body)
  return out.done()
}

/** @throws repository-damaged */
export function unpackPayload(payload: Uint8Array, what: string): Uint8Array {
  return new Uint8Array(unpackToView(payload, what))
}

/** As `unpackPayload`; what it gives is gone with the next call. */
export function unpackToView(payload: Uint8Array, what: string): Uint8Array {
  const reader = new ByteReader(payload, what)
  const compression = reader.byte()
  const plainBytes = reader.varint()
  if (plainBytes > PLAIN_BYTES_MAX) throw reader.damaged(`claims ${plainBytes} bytes`)
  const body = reader.bytes(reader.rest)
  const plain = compression === 0 ? body : compression === 1 ? decompressed(body, plainBytes, reader) : null
  if (plain === null) throw reader.damaged(`uses compression ${compression}, which this version does not know`)
  if (plain.length !== plainBytes) throw reader.damaged(`has ${plain.length} bytes, its head says ${plainBytes}`)
  return plain
}

function decompressed(body: Uint8Array, plainBytes: number, reader: ByteReader): Uint8Array {
  try {
    return decompressToView(body, plainBytes)
  } catch {
    throw reader.damaged('does not decompress')
  }
}
