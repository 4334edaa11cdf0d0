/**
 * A small object of its own (manifest, index, data key, proof), compressed and encrypted.
 *
 *     0   6  "CKSEAL"
 *     6   1  format version, 1
 *     7   1  object type, see OBJECT_TYPES
 *     8   1  cipher id
 *     9   1  compression: 0 none, 1 zstd
 *     10  2  zero
 *     12  4  data key number, little-endian; 0 is the master key
 *     16  16 random salt
 *     32     ciphertext and tag
 *
 * The key is HKDF-SHA-256(data key, salt, "chartkeep object"), so the nonce can be zero; the associated data is the
 * header and the object's name, so an object put under another's name does not open.
 */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { Failure } from '../errors.ts'
import { aes256Gcm, cipherById, deriveKey } from './crypto/provider.ts'

export const OBJECT_TYPES = {
  dataKey: 1,
  index: 2,
  manifest: 3,
  proof: 4,
  signer: 5,
  revocation: 6,
  ledgerEntry: 7,
  ledgerHead: 8,
  audit: 9,
  logStart: 10,
  segment: 11,
  lease: 12,
  plan: 13,
  changeset: 14,
  approval: 15,
  outcome: 16,
  hold: 17,
  pruneMark: 18,
  logTrim: 19,
  // From 32: what the API keeps.
  storedPlan: 32,
  accessToken: 33,
  tokenRevocation: 34,
  apiRequest: 35,
  apiAnswer: 36,
  // From 48: what the service keeps.
  job: 48,
  jobEnd: 49,
  alarm: 50,
  // From 64: reports.
  drill: 64,
  guardBegin: 65,
  guardEnd: 66,
  certificate: 67,
} as const

/** Far above any manifest; bounds what a damaged or forged object can make us allocate. */
const PLAIN_BYTES_MAX = 512 * 1024 * 1024
const STEP_BYTES_MIN = 16 * 1024
const STEP_BYTES_MAX = 4 * 1024 * 1024
const MAGIC = Buffer.from('CKSEAL')
const FORMAT_VERSION = 1
const HEADER_BYTES = 32
const NONCE = new Uint8Array(12)

export interface SealKey {
  readonly number: number
  readonly key: Uint8Array
}

export interface SealRequest {
  readonly type: number
  /** The object's name in the store. */
  readonly name: string
  readonly key: SealKey
  readonly salt: Uint8Array
}

export function sealObject(plain: Uint8Array, request: SealRequest): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(header)
  header[6] = FORMAT_VERSION
  header[7] = request.type
  header[8] = aes256Gcm.id
  header[9] = 1
  header.writeUInt32LE(request.key.number, 12)
  header.set(request.salt, 16)
  const compressed = zstdCompressSync(plain)
  const associated = Buffer.concat([header, Buffer.from(request.name)])
  return Buffer.concat([
    header,
    aes256Gcm.seal(objectKey(request.key.key, request.salt), NONCE, associated, compressed),
  ])
}

/**
 * `keyByNumber` returns null for an unknown key.
 * @throws repository-damaged, repository-format
 */
export function openObject(
  bytes: Uint8Array,
  expected: { readonly type: number; readonly name: string },
  keyByNumber: (number: number) => Uint8Array | null,
): Uint8Array {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, HEADER_BYTES))
  if (header.length < HEADER_BYTES || !header.subarray(0, 6).equals(MAGIC))
    throw damaged(expected.name, 'has no header')
  if (header[6] !== FORMAT_VERSION) throw laterFormat(expected.name, header[6] ?? 0)
  if (header[7] !== expected.type) throw damaged(expected.name, `is of type ${header[7]}, not ${expected.type}`)

  const keyNumber = header.readUInt32LE(12)
  const key = keyByNumber(keyNumber)
  if (!key) throw damaged(expected.name, `names data key ${keyNumber}, which the repository does not have`)
  const cipher = cipherById(header[8] ?? 0)
  const associated = Buffer.concat([header, Buffer.from(expected.name)])
  const opened = cipher.open(objectKey(key, header.subarray(16, 32)), NONCE, associated, bytes.subarray(HEADER_BYTES))
  if (!opened) throw damaged(expected.name, 'does not decrypt: altered, or put under another name')

  if (header[9] === 0) return opened
  if (header[9] !== 1) throw damaged(expected.name, `uses compression ${header[9]}, which format 1 does not know`)
  try {
    return zstdDecompressSync(opened, { maxOutputLength: PLAIN_BYTES_MAX, chunkSize: stepBytes(opened.length) })
  } catch {
    throw damaged(expected.name, 'does not decompress')
  }
}

/** What comes out in steps is put together again: megabytes are to come in one. Memory that is not used is not taken. */
function stepBytes(compressedBytes: number): number {
  return Math.max(STEP_BYTES_MIN, Math.min(STEP_BYTES_MAX, 64 * compressedBytes))
}

function objectKey(key: Uint8Array, salt: Uint8Array): Uint8Array {
  return deriveKey(key, salt, 'chartkeep object')
}

function damaged(name: string, what: string): Failure {
  return new Failure('repository-damaged', `object ${name} ${what}`, {
    context: { object: name },
    hints: ['Run `chartkeep check` to see what depends on it.'],
  })
}

function laterFormat(name: string, version: number): Failure {
  return new Failure(
    'repository-format',
    `object ${name} has format ${version}, this version reads ${FORMAT_VERSION}`,
    {
      context: { object: name },
      hints: ['Use the version of chartkeep that wrote this repository, or a later one.'],
    },
  )
}
