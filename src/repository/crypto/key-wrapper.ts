/**
 * Ways to unlock a repository. Each wrapper holds the master key, encrypted under a key made from a passphrase
 * (scrypt, RFC 7914), a key file or the recovery sheet (HKDF, RFC 5869). Wrappers are added and removed without
 * touching data: the master key seals the data keys, and only those encrypt rows.
 *
 * A wrapper is canonical JSON: `{"id","repositoryId","kind","createdAt","kdf",…,"wrapped"}`; `wrapped` is base64 of nonce,
 * ciphertext and tag. Its associated data is the canonical JSON of every other member, so none of them can be changed,
 * and a wrapper of another repository does not open this one.
 */
import { scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { z } from 'zod'
import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../canonical-json.ts'
import { WRAPPER_PREFIX } from '../layout.ts'
import { aes256Gcm, deriveKey, KEY_BYTES } from './provider.ts'

/** 2^17 · 8 · 128 B = 128 MiB and about half a second a guess: OWASP's figure for scrypt. */
const SCRYPT = { N: 131_072, r: 8, p: 1 } as const
/** What a forged wrapper may make us allocate at most. */
const SCRYPT_BYTES_MAX = 512 * 1024 * 1024
const SCRYPT_PARALLEL_MAX = 16
const WRAPPER_BYTES_MAX = 16 * 1024
const WRAPPER_DEPTH_MAX = 2
const NONCE_BYTES = 12
export const KEY_FILE_BYTES_MIN = 32

export type UnlockSecret =
  | { readonly kind: 'passphrase'; readonly passphrase: string }
  | { readonly kind: 'key-file'; readonly bytes: Uint8Array }
  | { readonly kind: 'recovery-sheet'; readonly secret: Uint8Array }

const wrapperSchema = z.strictObject({
  id: z.string(),
  /** Here as well as in `config`, so that the loss of that one object loses nothing. */
  repositoryId: z.string(),
  kind: z.enum(['passphrase', 'key-file', 'recovery-sheet']),
  createdAt: z.string(),
  kdf: z.discriminatedUnion('name', [
    z.strictObject({
      name: z.literal('scrypt'),
      N: z.int().positive(),
      r: z.int().positive(),
      p: z.int().positive(),
      salt: z.base64(),
    }),
    z.strictObject({ name: z.literal('HKDF-SHA-256'), salt: z.base64() }),
  ]),
  cipher: z.literal('AES-256-GCM'),
  wrapped: z.base64(),
})

export type KeyWrapper = z.infer<typeof wrapperSchema>
type WrapperHead = Omit<KeyWrapper, 'wrapped'>

/** @throws repository-damaged */
export function parseKeyWrapper(name: string, bytes: Uint8Array): KeyWrapper {
  const value = parseCanonical(bytes, name, { bytesMax: WRAPPER_BYTES_MAX, depthMax: WRAPPER_DEPTH_MAX })
  const parsed = wrapperSchema.safeParse(value)
  if (!parsed.success || WRAPPER_PREFIX + parsed.data.id !== name) {
    throw new Failure('repository-damaged', `object ${name} is not a key wrapper`, { context: { object: name } })
  }
  return parsed.data
}

export async function wrapMasterKey(
  master: Uint8Array,
  secret: UnlockSecret,
  options: { id: string; repositoryId: string; createdAt: string; random: (bytes: number) => Uint8Array },
): Promise<KeyWrapper> {
  const salt = Buffer.from(options.random(32)).toString('base64')
  const kdf: KeyWrapper['kdf'] =
    secret.kind === 'passphrase' ? { name: 'scrypt', ...SCRYPT, salt } : { name: 'HKDF-SHA-256', salt }
  const nonce = options.random(NONCE_BYTES)
  const key = await wrappingKey(kdf, secret)
  const { id, repositoryId, createdAt } = options
  const head: WrapperHead = { id, repositoryId, kind: secret.kind, createdAt, kdf, cipher: 'AES-256-GCM' }
  const sealed = aes256Gcm.seal(key, nonce, canonicalBytes(head), master)
  return { ...head, wrapped: Buffer.concat([nonce, sealed]).toString('base64') }
}

/** The master key, or null when this secret does not open this wrapper. */
export async function unwrapMasterKey(
  wrapper: KeyWrapper,
  secret: UnlockSecret,
  repositoryId: string,
): Promise<Uint8Array | null> {
  if (wrapper.kind !== secret.kind || wrapper.repositoryId !== repositoryId) return null
  const { wrapped: wrappedText, ...head } = wrapper
  const wrapped = Buffer.from(wrappedText, 'base64')
  const key = await wrappingKey(wrapper.kdf, secret)
  const nonce = wrapped.subarray(0, NONCE_BYTES)
  if (nonce.length < NONCE_BYTES) return null
  const master = aes256Gcm.open(key, nonce, canonicalBytes(head), wrapped.subarray(NONCE_BYTES))
  return master?.length === KEY_BYTES ? master : null
}

async function wrappingKey(kdf: KeyWrapper['kdf'], secret: UnlockSecret): Promise<Uint8Array> {
  const salt = Buffer.from(kdf.salt, 'base64')
  if (kdf.name === 'scrypt' && secret.kind === 'passphrase') {
    const { N, r, p } = kdf
    const maxmem = 2 * 128 * N * r
    if (maxmem > SCRYPT_BYTES_MAX || p > SCRYPT_PARALLEL_MAX || N < 2 || !Number.isInteger(Math.log2(N))) {
      throw new Failure('repository-damaged', 'a key wrapper asks for a derivation that no honest one needs')
    }
    const run = promisify<string, Uint8Array, number, object, Buffer>(scrypt)
    return run(secret.passphrase.normalize('NFC'), salt, KEY_BYTES, { N, r, p, maxmem })
  }
  if (kdf.name === 'HKDF-SHA-256' && secret.kind !== 'passphrase') {
    const bytes = secret.kind === 'key-file' ? secret.bytes : secret.secret
    return deriveKey(bytes, salt, `chartkeep ${secret.kind}`)
  }
  throw new Failure('repository-damaged', `a key wrapper of kind ${secret.kind} names key derivation ${kdf.name}`)
}
