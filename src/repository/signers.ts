/**
 * Who may sign what. Agents sign manifests; people request, approve, execute and audit. A signer's public key stands
 * in the repository; a person's private key never does (it stays in a file of theirs), an agent's does, sealed, so
 * that a service that is set up anew can go on.
 *
 * A revocation says from when. Because a thief can set back his clock, what counts is the ledger: a manifest signed by
 * a revoked key stays valid if and only if the ledger held it before (docs/FORMAT.md, "Signers").
 */
import type { KeyObject } from 'node:crypto'
import { z } from 'zod'
import { Failure } from '../errors.ts'
import { canonicalBytes, parseCanonical } from './canonical-json.ts'
import {
  generateSigningKey,
  isSignatureOf,
  rawPublicKey,
  SIGNATURE_ALGORITHM,
  seedOf,
  signBytes,
  signingKeyFromSeed,
} from './crypto/signing.ts'
import { REVOCATION_PREFIX, revocationKey, SIGNER_PREFIX, signerKey } from './layout.ts'
import { OBJECT_TYPES } from './sealed-object.ts'
import type { SealedStore } from './sealed-store.ts'

export const SIGNER_ROLES = ['agent', 'requester', 'approver', 'executor', 'auditor'] as const
export type SignerRole = (typeof SIGNER_ROLES)[number]

/** 32 bytes. */
const KEY_BASE64_LENGTH = 44

const signerSchema = z.strictObject({
  signerId: z.string(),
  name: z.string().min(1).max(100),
  role: z.enum(SIGNER_ROLES),
  algorithm: z.literal(SIGNATURE_ALGORITHM),
  publicKey: z.base64().length(KEY_BASE64_LENGTH),
  /** Seed of an agent's key; null for people. */
  seed: z.base64().length(KEY_BASE64_LENGTH).nullable(),
  createdAt: z.string(),
})

const revocationSchema = z.strictObject({
  signerId: z.string(),
  /** From this moment on, by the clock of whoever revokes. */
  from: z.string(),
  /** What the ledger held before that moment stays valid: its first entries, so many. */
  ledgerSize: z.int().nonnegative(),
  reason: z.string().max(500),
  revokedAt: z.string(),
})

export type Signer = z.infer<typeof signerSchema>
export type Revocation = z.infer<typeof revocationSchema>

export interface KnownSigner extends Signer {
  readonly revocation: Revocation | null
}

export const signatureSchema = z.strictObject({
  algorithm: z.literal(SIGNATURE_ALGORITHM),
  signer: z.string(),
  value: z.base64(),
})

export type Signature = z.infer<typeof signatureSchema>

export interface NewSigner {
  readonly signerId: string
  readonly name: string
  readonly role: SignerRole
  readonly createdAt: string
}

/**
 * @returns the private key: to be written to a file of its owner's, for a person
 * @throws bad-usage when a signer of this name is there and not revoked
 */
export async function createSigner(
  sealed: SealedStore,
  wanted: NewSigner,
): Promise<{ signer: Signer; key: KeyObject }> {
  const sameName = (await readSigners(sealed)).find((known) => known.name === wanted.name && !known.revocation)
  if (sameName) {
    throw new Failure('bad-usage', `there is a ${sameName.role} of this name already: key ${sameName.signerId}`, {
      hints: ['Two keys of one name could not be told apart in a record. Revoke the old one, or choose another name.'],
    })
  }
  const key = generateSigningKey()
  const signer: Signer = {
    ...wanted,
    algorithm: SIGNATURE_ALGORITHM,
    publicKey: Buffer.from(rawPublicKey(key)).toString('base64'),
    seed: wanted.role === 'agent' ? Buffer.from(seedOf(key)).toString('base64') : null,
  }
  await sealed.write(signerKey(signer.signerId), OBJECT_TYPES.signer, canonicalBytes(signer))
  return { signer, key }
}

export async function revokeSigner(sealed: SealedStore, revocation: Revocation): Promise<void> {
  await sealed.write(revocationKey(revocation.signerId), OBJECT_TYPES.revocation, canonicalBytes(revocation))
}

/** All of them, oldest first. @throws repository-damaged */
export async function readSigners(sealed: SealedStore): Promise<KnownSigner[]> {
  const revocations = new Map<string, Revocation>()
  for (const name of await sealed.names(REVOCATION_PREFIX)) {
    const value = parseCanonical(await sealed.read(name, OBJECT_TYPES.revocation), name)
    const revocation = parsed(revocationSchema, value, name)
    if (revocationKey(revocation.signerId) !== name) throw notItsName(name)
    revocations.set(revocation.signerId, revocation)
  }
  const signers: KnownSigner[] = []
  for (const name of await sealed.names(SIGNER_PREFIX)) {
    const value = parseCanonical(await sealed.read(name, OBJECT_TYPES.signer), name)
    const signer = parsed(signerSchema, value, name)
    if (signerKey(signer.signerId) !== name) throw notItsName(name)
    signers.push({ ...signer, revocation: revocations.get(signer.signerId) ?? null })
  }
  return signers
}

/** The agent's key to sign with: the newest that is not revoked. @throws signature-refused when there is none */
export function agentKey(signers: readonly KnownSigner[]): { signerId: string; key: KeyObject } {
  const agent = signers.findLast((signer) => signer.role === 'agent' && !signer.revocation && signer.seed !== null)
  if (!agent?.seed) {
    throw new Failure('signature-refused', 'the repository has no agent key that is not revoked', {
      hints: ['Make one with `chartkeep key create --role agent --name NAME`.'],
    })
  }
  return { signerId: agent.signerId, key: signingKeyFromSeed(Buffer.from(agent.seed, 'base64')) }
}

export function signAs(agent: { signerId: string; key: KeyObject }, purpose: string, bytes: Uint8Array): Signature {
  const value = Buffer.from(signBytes(agent.key, purpose, bytes)).toString('base64')
  return { algorithm: SIGNATURE_ALGORITHM, signer: agent.signerId, value }
}

export interface SignedThing {
  /** For errors, for example `manifest 2026…`. */
  readonly what: string
  readonly purpose: string
  readonly bytes: Uint8Array
  readonly signature: Signature
  readonly role: SignerRole
}

/**
 * That a known signer of the right role signed exactly these bytes. Whether a revocation touches it is the ledger's
 * question: see `isRevokedFor`.
 * @throws signature-refused
 */
export function verifySigned(signers: readonly KnownSigner[], thing: SignedThing): KnownSigner {
  const signer = signers.find((known) => known.signerId === thing.signature.signer)
  if (!signer) throw refused(thing.what, `is signed by ${thing.signature.signer}, whom the repository does not know`)
  if (signer.role !== thing.role) throw refused(thing.what, `is signed by a ${signer.role}, and wants a ${thing.role}`)
  const publicKey = Buffer.from(signer.publicKey, 'base64')
  const signature = Buffer.from(thing.signature.value, 'base64')
  if (isSignatureOf(publicKey, thing.purpose, thing.bytes, signature)) return signer
  throw refused(thing.what, 'has a signature that does not fit')
}

/** `ledgerIndex` is the entry of what was signed, or null when the ledger does not have it. */
export function isRevokedFor(signer: KnownSigner, ledgerIndex: number | null): boolean {
  if (!signer.revocation) return false
  return ledgerIndex === null || ledgerIndex >= signer.revocation.ledgerSize
}

function parsed<Value>(schema: z.ZodType<Value>, value: unknown, name: string): Value {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw notItsName(name)
}

function notItsName(name: string): Failure {
  return new Failure('repository-damaged', `object ${name} is not what its name says`, { context: { object: name } })
}

export function refused(what: string, why: string): Failure {
  return new Failure('signature-refused', `${what} ${why}`, {
    hints: ['Somebody may have planted it. Run `chartkeep check`, and `chartkeep ledger verify --since CHECKPOINT`.'],
  })
}
