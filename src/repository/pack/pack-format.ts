/**
 * A pack: many chunks in one object, each encrypted on its own, so that one range request reads one chunk.
 *
 *     0   6   "CKPACK"
 *     6   1   format version, 1
 *     7   1   cipher id
 *     8   4   data key number, little-endian
 *     12  4   zero
 *     16  16  pack id, random: also the object's name
 *     32      chunks, back to back: ciphertext and tag
 *             directory: ciphertext and tag
 *     -12 4   bytes of the directory as stored, little-endian
 *     -8  8   "CKPACKED"
 *
 * The pack's key is HKDF-SHA-256(data key, pack id, "chartkeep pack"). A chunk's nonce is its offset (8 bytes,
 * little-endian, then four zeros): no two plaintexts share one. Its associated data is the header, then its type and
 * digest: a chunk moved, or passed off as another, does not open. The directory's nonce is twelve bytes FF; it lists
 *
 *     varint chunks · for each: type (1), digest (32), varint offset, varint stored bytes
 */
import type { Cipher } from '../crypto/provider.ts'
import { DIGEST_BYTES, deriveKey } from '../crypto/provider.ts'
import { PACK_ID_BYTES } from '../tree/node-codec.ts'
import { ByteReader, ByteWriter } from '../tree/varint.ts'
import type { ChunkType } from './chunk.ts'

export const PACK_HEADER_BYTES = 32
export const PACK_TRAILER_BYTES = 12
/** What is written; lower ones are read. */
export const PACK_FORMAT_VERSION = 2
const PACK_MAGIC = Buffer.from('CKPACK')
export const PACK_END = Buffer.from('CKPACKED')
export const DIRECTORY_NONCE = Buffer.alloc(12, 0xff)

export interface PackHeader {
  readonly formatVersion: number
  readonly cipherId: number
  readonly keyNumber: number
  readonly packId: string
}

export interface PackedChunk {
  readonly type: ChunkType
  readonly digest: Uint8Array
  readonly offset: number
  readonly storedBytes: number
}

export function encodePackHeader(cipher: Cipher, keyNumber: number, packId: string): Buffer {
  const header = Buffer.alloc(PACK_HEADER_BYTES)
  PACK_MAGIC.copy(header)
  header[6] = PACK_FORMAT_VERSION
  header[7] = cipher.id
  header.writeUInt32LE(keyNumber, 8)
  header.set(Buffer.from(packId, 'hex'), 16)
  return header
}

/** Null when the bytes do not begin a pack. */
export function decodePackHeader(bytes: Buffer): PackHeader | null {
  if (bytes.length < PACK_HEADER_BYTES || !bytes.subarray(0, 6).equals(PACK_MAGIC)) return null
  return {
    formatVersion: bytes[6]!,
    cipherId: bytes[7]!,
    keyNumber: bytes.readUInt32LE(8),
    packId: bytes.subarray(16, 16 + PACK_ID_BYTES).toString('hex'),
  }
}

export function packCipherKey(dataKey: Uint8Array, packId: string): Uint8Array {
  return deriveKey(dataKey, Buffer.from(packId, 'hex'), 'chartkeep pack')
}

export function chunkNonce(offset: number): Uint8Array {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64LE(BigInt(offset))
  return nonce
}

export function chunkAssociated(header: Uint8Array, type: number, digest: Uint8Array): Uint8Array {
  return Buffer.concat([header, Buffer.of(type), digest])
}

export function encodeDirectory(chunks: readonly PackedChunk[]): Buffer {
  const out = new ByteWriter(8 + chunks.length * (DIGEST_BYTES + 9))
  out.varint(chunks.length)
  for (const chunk of chunks) {
    out.byte(chunk.type)
    out.bytes(chunk.digest)
    out.varint(chunk.offset)
    out.varint(chunk.storedBytes)
  }
  return out.done()
}

/** @throws repository-damaged */
export function decodeDirectory(bytes: Uint8Array, what: string): PackedChunk[] {
  const reader = new ByteReader(bytes, what)
  const count = reader.varint()
  const chunks: PackedChunk[] = []
  for (let chunk = 0; chunk < count; chunk += 1) {
    const type = reader.byte() as ChunkType
    const digest = Uint8Array.from(reader.bytes(DIGEST_BYTES))
    chunks.push({ type, digest, offset: reader.varint(), storedBytes: reader.varint() })
  }
  reader.end()
  return chunks
}
