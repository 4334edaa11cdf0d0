/**
 * Who may use the API: a token is a random secret, shown once, of which the repository keeps the digest only.
 *
 *     ck_20260301T060000Z-1f2e3d4c_kJ0…43 characters…Q
 *        └ its id: the object's name └ 256 random bits
 *
 * A plain SHA-256 is enough for a secret that nobody chose: there is no list of likely ones to try.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../canonical-json.ts'
import { TOKEN_PREFIX, TOKEN_REVOCATION_PREFIX, timedId, tokenKey, tokenRevocationKey } from '../layout.ts'
import { OBJECT_TYPES } from '../sealed-object.ts'
import type { SealedStore } from '../sealed-store.ts'

/**
 * `viewer` sees how well sources are protected; `operator` also looks at patients, plans, applies and starts jobs;
 * `approver` sees plans and says yes; `auditor` reads the record of who did what. None includes another but viewer.
 */
export const TOKEN_ROLES = ['viewer', 'operator', 'approver', 'auditor'] as const
export type TokenRole = (typeof TOKEN_ROLES)[number]

const SECRET_BYTES = 32
const TOKEN = /^ck_(\d{8}T\d{6}Z-[0-9a-f]{8})_([A-Za-z0-9_-]{43})$/

const tokenSchema = z.strictObject({
  tokenId: z.string(),
  role: z.enum(TOKEN_ROLES),
  /** Whose it is: the name that stands in plans, approvals and the audit. */
  person: z.string().min(1).max(100),
  /** Of the secret's 32 bytes, hex. */
  secretSha256: z.string().length(64),
  createdAt: z.string(),
  expiresAt: z.string(),
})

const revocationSchema = z.strictObject({
  tokenId: z.string(),
  revokedAt: z.string(),
  reason: z.string().max(500),
})

export type AccessToken = z.infer<typeof tokenSchema>
export type TokenRevocation = z.infer<typeof revocationSchema>

export interface KnownToken extends AccessToken {
  readonly revocation: TokenRevocation | null
}

export interface NewToken {
  readonly role: TokenRole
  readonly person: string
  readonly nowMs: number
  readonly expiresMs: number
  readonly random: (bytes: number) => Uint8Array
}

/** Durable on return. @returns the token itself: it cannot be had again */
export async function createToken(
  sealed: SealedStore,
  { role, person, nowMs, expiresMs, random }: NewToken,
): Promise<{ readonly token: AccessToken; readonly shownOnce: string }> {
  const secret = random(SECRET_BYTES)
  const token: AccessToken = {
    tokenId: timedId(nowMs, random(4)),
    role,
    person,
    secretSha256: digestOf(secret).toString('hex'),
    createdAt: new Date(nowMs).toISOString(),
    expiresAt: new Date(expiresMs).toISOString(),
  }
  await sealed.write(tokenKey(token.tokenId), OBJECT_TYPES.accessToken, canonicalBytes(token))
  return { token, shownOnce: `ck_${token.tokenId}_${Buffer.from(secret).toString('base64url')}` }
}

/** @throws not-found; object-exists when it was revoked before */
export async function revokeToken(sealed: SealedStore, revocation: TokenRevocation): Promise<void> {
  if (!(await sealed.store.stat(tokenKey(revocation.tokenId)))) {
    throw new Failure('not-found', `no token ${revocation.tokenId} in this repository`, {
      hints: ['`chartkeep token list` shows which there are.'],
    })
  }
  const name = tokenRevocationKey(revocation.tokenId)
  await sealed.write(name, OBJECT_TYPES.tokenRevocation, canonicalBytes(revocation))
}

/** All of them, oldest first. @throws repository-damaged */
export async function readTokens(sealed: SealedStore): Promise<KnownToken[]> {
  const tokens: KnownToken[] = []
  const revoked = new Set(await sealed.names(TOKEN_REVOCATION_PREFIX))
  for (const name of await sealed.names(TOKEN_PREFIX)) {
    const token = await readToken(sealed, name)
    const isRevoked = revoked.has(tokenRevocationKey(token.tokenId))
    tokens.push({ ...token, revocation: isRevoked ? await readRevocation(sealed, token.tokenId) : null })
  }
  return tokens
}

/** Null when it has not the shape of a token. */
export function partsOfToken(text: string): { readonly tokenId: string; readonly secret: Uint8Array } | null {
  const [, tokenId, secret] = TOKEN.exec(text) ?? []
  if (tokenId === undefined || secret === undefined) return null
  return { tokenId, secret: Buffer.from(secret, 'base64url') }
}

/** Null when there is none of this id. @throws repository-damaged, store-… */
export async function findToken(sealed: SealedStore, tokenId: string): Promise<AccessToken | null> {
  try {
    return await readToken(sealed, tokenKey(tokenId))
  } catch (error) {
    if (error instanceof Failure && error.code === 'object-missing') return null
    throw error
  }
}

export async function isTokenRevoked(sealed: SealedStore, tokenId: string): Promise<boolean> {
  return (await sealed.store.stat(tokenRevocationKey(tokenId))) !== null
}

/** In a time that does not tell how much of it was right. */
export function isSecretOf(token: AccessToken, secret: Uint8Array): boolean {
  return timingSafeEqual(digestOf(secret), Buffer.from(token.secretSha256, 'hex'))
}

async function readToken(sealed: SealedStore, name: string): Promise<AccessToken> {
  const parsed = tokenSchema.safeParse(parseCanonical(await sealed.read(name, OBJECT_TYPES.accessToken), name))
  if (parsed.success && tokenKey(parsed.data.tokenId) === name) return parsed.data
  throw notItsName(name)
}

async function readRevocation(sealed: SealedStore, tokenId: string): Promise<TokenRevocation> {
  const name = tokenRevocationKey(tokenId)
  const parsed = revocationSchema.safeParse(parseCanonical(await sealed.read(name, OBJECT_TYPES.tokenRevocation), name))
  if (parsed.success && parsed.data.tokenId === tokenId) return parsed.data
  throw notItsName(name)
}

function digestOf(secret: Uint8Array): Buffer {
  return createHash('sha256').update(secret).digest()
}

function notItsName(name: string): Failure {
  return new Failure('repository-damaged', `object ${name} is not what its name says`, { context: { object: name } })
}
