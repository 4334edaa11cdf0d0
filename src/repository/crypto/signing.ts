/**
 * Ed25519 signatures (RFC 8032). What is signed begins with a line that says what it is, so that a signature over one
 * kind of thing is never one over another.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'

export const SIGNATURE_ALGORITHM = 'Ed25519'

/** PKCS #8 of an Ed25519 private key (RFC 8410) up to its 32 bytes of seed. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')
const RAW_KEY_BYTES = 32

export function generateSigningKey(): KeyObject {
  return generateKeyPairSync('ed25519').privateKey
}

export function signingKeyFromSeed(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })
}

/** The 32 bytes from which `signingKeyFromSeed` makes the key again. */
export function seedOf(privateKey: KeyObject): Uint8Array {
  return Uint8Array.from(privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8_PREFIX.length))
}

export function rawPublicKey(key: KeyObject): Uint8Array {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return Uint8Array.from(publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length))
}

export function signBytes(privateKey: KeyObject, purpose: string, bytes: Uint8Array): Uint8Array {
  return sign(null, message(purpose, bytes), privateKey)
}

/** False for anything that is not a signature by this key for this purpose. */
export function isSignatureOf(
  publicKey: Uint8Array,
  purpose: string,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (publicKey.length !== RAW_KEY_BYTES) return false
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' })
  return verify(null, message(purpose, bytes), key, signature)
}

function message(purpose: string, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${purpose}\n`), bytes])
}
