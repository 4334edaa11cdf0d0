/**
 * Signed notes (C2SP signed-note, v1.0.0): a text and the signatures over it, in one file that a person can read.
 *
 *     <text, ends with a newline>
 *                                                              ← an empty line: the last one of the note
 *     — <key name> <base64 of key id (4 bytes) ‖ signature>    ← one or more
 *
 * Signed are the bytes of the text with its final newline, without the empty line. Only Ed25519 (type 0x01):
 * key id = first 4 bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key). The key id finds the key; it proves nothing.
 *
 * A note counts when at least one *known* key signed it and no known key's signature fails. Signatures of unknown keys
 * are ignored, so that a witness or a successor key can sign beside ours. Keys travel as verifier keys, one line of
 * text: `name+<key id, 8 hex digits>+<base64 of 0x01 ‖ public key>`.
 */
import { createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto'
import { assert, Failure } from '../../errors.ts'

export interface NoteSigner {
  /** By convention a URL without scheme, for example `chartkeep/2f1c…/agent-1`. No spaces, no `+`. */
  readonly name: string
  /** Ed25519, private. */
  readonly privateKey: KeyObject
}

export interface VerifierKey {
  readonly name: string
  /** 8 lower-case hexadecimal digits. */
  readonly keyId: string
  /** Ed25519, public. */
  readonly publicKey: KeyObject
}

export interface OpenedNote {
  readonly text: string
  /** The known keys that signed, in the order of their first signature; never empty. */
  readonly signedBy: readonly VerifierKey[]
  /** Signature lines of keys that are not known to us. */
  readonly ignoredCount: number
}

/** The specification asks for at least 16 signatures; a note of ours has one or two. */
export const NOTE_SIGNATURES_MAX = 64
const NOTE_BYTES_MAX = 1024 * 1024

const ED25519_TYPE = 0x01
const KEY_ID_BYTES = 4
const PUBLIC_KEY_BYTES = 32
const SIGNATURE_BYTES = 64
const SIGNATURE_START = '\u2014 '

/** Signs `text` with every signer, in their order. @throws defect when text or a name cannot stand in a note. */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  assert(textProblem(text) === null, `a note's text is fit to be signed: ${textProblem(text)}`)
  assert(signers.length > 0 && signers.length <= NOTE_SIGNATURES_MAX, 'a note has between one signer and the limit')
  return `${text}\n${signers.map((signer) => signatureLine(text, signer)).join('')}`
}

/** Adds a signature below those that are there; the text must have been looked at (`openNote`) before. */
export function addSignature(note: string, signer: NoteSigner): string {
  const { text, lines } = splitNote(note)
  if (lines.length >= NOTE_SIGNATURES_MAX) throw refused(`note has ${lines.length} signatures already`)
  return `${note}${signatureLine(text, signer)}`
}

/**
 * The text, proved to be what known keys signed.
 * @throws signature-refused when the note is malformed, when a signature by one of `keys` fails, or when none is there.
 */
export function openNote(note: string | Uint8Array, keys: readonly VerifierKey[]): OpenedNote {
  const { text, lines } = splitNote(typeof note === 'string' ? note : decodeUtf8(note))
  const signatures = lines.map(parseSignatureLine)
  const signedBy: VerifierKey[] = []
  let ignoredCount = 0

  for (const { name, keyId, signature } of signatures) {
    const key = keys.find((known) => known.name === name && known.keyId === keyId)
    if (key === undefined) {
      ignoredCount += 1
      continue
    }
    if (signature.length !== SIGNATURE_BYTES || !verify(null, Buffer.from(text), key.publicKey, signature)) {
      throw refused(`signature by known key ${name}+${keyId} fails`)
    }
    if (!signedBy.includes(key)) signedBy.push(key)
  }

  if (signedBy.length === 0) {
    throw refused(`none of the note's ${signatures.length} signatures is by one of the ${keys.length} known keys`)
  }
  return { text, signedBy, ignoredCount }
}

/** `privateOrPublic` may be either half of the pair. */
export function verifierKeyOf(name: string, privateOrPublic: KeyObject): VerifierKey {
  assert(isKeyName(name), 'a key name is not empty and holds no space and no +')
  const publicKey = privateOrPublic.type === 'private' ? createPublicKey(privateOrPublic) : privateOrPublic
  return { name, keyId: keyIdOf(name, rawPublicKey(publicKey)), publicKey }
}

export function formatVerifierKey(key: VerifierKey): string {
  const typed = Buffer.concat([Uint8Array.of(ED25519_TYPE), rawPublicKey(key.publicKey)])
  return `${key.name}+${key.keyId}+${typed.toString('base64')}`
}

/** @throws bad-usage for anything but an Ed25519 verifier key whose id is the one that its name and key give. */
export function parseVerifierKey(text: string): VerifierKey {
  // The name holds no plus; the base64 may.
  const [name, keyId, ...rest] = text.split('+')
  const typed = decodeBase64(rest.join('+'))
  if (name === undefined || keyId === undefined || !isKeyName(name) || typed === null) {
    throw badKey('is not of the form name+id+base64')
  }
  if (typed[0] !== ED25519_TYPE || typed.length !== 1 + PUBLIC_KEY_BYTES) {
    throw badKey(`is not an Ed25519 key: type ${typed[0] ?? 'missing'}, ${Math.max(typed.length - 1, 0)} bytes`)
  }
  const raw = typed.subarray(1)
  const expected = keyIdOf(name, raw)
  if (keyId !== expected) throw badKey(`has id ${keyId.slice(0, 8)}, and its name and key give ${expected}`)
  return { name, keyId, publicKey: publicKeyFromRaw(raw) }
}

function signatureLine(text: string, { name, privateKey }: NoteSigner): string {
  assert(isKeyName(name), 'a key name is not empty and holds no space and no +')
  const signature = sign(null, Buffer.from(text), privateKey)
  assert(signature.length === SIGNATURE_BYTES, `an Ed25519 signature has ${SIGNATURE_BYTES} bytes`)
  const keyId = Buffer.from(verifierKeyOf(name, privateKey).keyId, 'hex')
  return `${SIGNATURE_START}${name} ${Buffer.concat([keyId, signature]).toString('base64')}\n`
}

function splitNote(note: string): { text: string; lines: string[] } {
  if (Buffer.byteLength(note) > NOTE_BYTES_MAX) throw refused(`note is longer than ${NOTE_BYTES_MAX} bytes`)
  const split = note.lastIndexOf('\n\n')
  if (split === -1 || !note.endsWith('\n')) throw refused('note has no empty line, or does not end with a newline')

  const text = note.slice(0, split + 1)
  const lines = note
    .slice(split + 2)
    .split('\n')
    .slice(0, -1)
  const problem = textProblem(text)
  if (problem !== null) throw refused(`note's text ${problem}`)
  if (lines.length === 0) throw refused('note has no signature')
  if (lines.length > NOTE_SIGNATURES_MAX) {
    throw refused(`note has ${lines.length} signatures, at most ${NOTE_SIGNATURES_MAX} are read`)
  }
  return { text, lines }
}

function parseSignatureLine(line: string, index: number): { name: string; keyId: string; signature: Buffer } {
  const [name, encoded, ...rest] = line.startsWith(SIGNATURE_START) ? line.slice(SIGNATURE_START.length).split(' ') : []
  const bytes = decodeBase64(encoded ?? '')
  if (name === undefined || !isKeyName(name) || rest.length > 0 || bytes === null || bytes.length <= KEY_ID_BYTES) {
    throw refused(`note's signature line ${index + 1} is malformed`)
  }
  return { name, keyId: bytes.toString('hex', 0, KEY_ID_BYTES), signature: bytes.subarray(KEY_ID_BYTES) }
}

/** What forbids `text` in a note, or null. */
function textProblem(text: string): string | null {
  if (!text.endsWith('\n')) return 'does not end with a newline'
  if (!text.isWellFormed()) return 'has a lone surrogate'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the specification forbids exactly these.
  return /[\u0000-\u0009\u000b-\u001f]/.test(text) ? 'has a control character other than newline' : null
}

function isKeyName(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the specification forbids exactly these.
  return name !== '' && name.isWellFormed() && !/[\p{White_Space}+\u0000-\u001f]/u.test(name)
}

function keyIdOf(name: string, rawKey: Uint8Array): string {
  const named = Buffer.concat([Buffer.from(name), Uint8Array.of(0x0a, ED25519_TYPE), rawKey])
  return hash('sha256', named, 'buffer').toString('hex', 0, KEY_ID_BYTES)
}

function rawPublicKey(key: KeyObject): Buffer {
  const jwk = key.export({ format: 'jwk' })
  assert(jwk.kty === 'OKP' && jwk.crv === 'Ed25519' && jwk.x !== undefined, 'notes are signed with Ed25519 keys')
  return Buffer.from(jwk.x, 'base64url')
}

function publicKeyFromRaw(raw: Buffer): KeyObject {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }
  return createPublicKey({ key: jwk, format: 'jwk' })
}

/** Null for anything that a strict encoder would not write; Buffer alone skips what it does not know. */
function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : null
}

function decodeUtf8(bytes: Uint8Array): string {
  if (bytes.length > NOTE_BYTES_MAX) throw refused(`note is longer than ${NOTE_BYTES_MAX} bytes`)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw refused('note is not UTF-8')
  }
}

function refused(message: string): Failure {
  return new Failure('signature-refused', message, {
    hints: ['Compare the verifier key with the one on the recovery sheet; do not trust the note until it verifies.'],
  })
}

function badKey(problem: string): Failure {
  return new Failure('bad-usage', `verifier key ${problem}`, {
    hints: ['A verifier key is one line, for example `name+c74f20a3+ARpc2QcU…`; copy it from the recovery sheet.'],
  })
}
