/**
 * The algorithms behind everything the repository keeps, behind one interface, so that a second provider (SM4, SM3,
 * SM2) can stand beside the first. The ids are in the header of every object and never change their meaning.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hash, hkdfSync, type KeyObject } from 'node:crypto'
import { Failure } from '../../errors.ts'

export const KEY_BYTES = 32
export const TAG_BYTES = 16
export const DIGEST_BYTES = 32

export interface Cipher {
  readonly id: number
  readonly name: string
  /** Ciphertext followed by a tag of TAG_BYTES. A (key, nonce) pair must never be used for two plaintexts. */
  seal(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, plain: Uint8Array): Uint8Array
  /** As `seal`, into `out` from `at` on, which has room for it. @returns how many bytes that is */
  sealInto(
    key: Uint8Array,
    nonce: Uint8Array,
    associated: Uint8Array,
    plain: Uint8Array,
    ...room: readonly [out: Buffer, at: number]
  ): number
  /** The plaintext, or null when the tag does not fit: other key, other place or altered bytes. */
  open(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Uint8Array | null
}

/** NIST SP 800-38D, 96-bit nonce, 128-bit tag. */
export const aes256Gcm: Cipher = {
  id: 1,
  name: 'AES-256-GCM',
  seal(key, nonce, associated, plain) {
    const sealed = Buffer.allocUnsafe(plain.length + TAG_BYTES)
    this.sealInto(key, nonce, associated, plain, sealed, 0)
    return sealed
  },
  sealInto(key, nonce, associated, plain, out, at) {
    const cipher = createCipheriv('aes-256-gcm', keyObject(key), nonce)
    cipher.setAAD(associated)
    cipher.update(plain).copy(out, at)
    cipher.final()
    cipher.getAuthTag().copy(out, at + plain.length)
    return plain.length + TAG_BYTES
  },
  open(key, nonce, associated, sealed) {
    if (sealed.length < TAG_BYTES) return null
    const decipher = createDecipheriv('aes-256-gcm', keyObject(key), nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(associated)
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
    const plain = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES))
    try {
      decipher.final()
    } catch {
      return null
    }
    return plain
  },
}

/**
 * A key as OpenSSL has it, kept as long as its bytes are: making one for every chunk takes 30 of the 47 µs that
 * encrypting 5 KB takes. Nobody writes to the bytes of a key.
 */
function keyObject(key: Uint8Array): KeyObject {
  const known = keyObjects.get(key)
  if (known) return known
  const made = createSecretKey(key)
  keyObjects.set(key, made)
  return made
}

const keyObjects = new WeakMap<Uint8Array, KeyObject>()

const ciphers: ReadonlyMap<number, Cipher> = new Map([[aes256Gcm.id, aes256Gcm]])

/** @throws repository-format for an id that this version does not know */
export function cipherById(id: number): Cipher {
  const cipher = ciphers.get(id)
  if (!cipher) {
    throw new Failure(
      'repository-format',
      `an object was encrypted with cipher ${id}, which this version does not know`,
      {
        hints: ['Use the version of chartkeep that wrote this repository, or a later one.'],
      },
    )
  }
  return cipher
}

/**
 * 32 bytes. As a string and out of one scratch: Node gives a digest that it hands out as bytes memory outside the heap,
 * which for a short message takes three times as long as hashing it, and drives the collector.
 */
export function sha256(bytes: Uint8Array): Uint8Array {
  sha256Into(bytes, digestScratch, 0)
  return new Uint8Array(digestScratch)
}

/** As `sha256`, into `out` from `at` on. */
export function sha256Into(bytes: Uint8Array, out: Buffer, at: number): void {
  out.write(hash('sha256', bytes, 'binary'), at, 'binary')
}

const digestScratch = Buffer.alloc(DIGEST_BYTES)

/** RFC 5869 with SHA-256, one output block. */
export function deriveKey(key: Uint8Array, salt: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, salt, purpose, KEY_BYTES))
}
