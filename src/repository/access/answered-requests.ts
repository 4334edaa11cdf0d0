/**
 * What the API was asked under an `Idempotency-Key`, and what it answered: the same request gets the same answer, also
 * from a service that was set up anew, and nothing is done twice.
 *
 *     requests/<day>/<hex>          claimed: written before anything is done
 *     requests/<day>/<hex>.answer   written behind it; a claim without one was cut off, and nobody knows how far it came
 *
 * `<hex>` is an HMAC of person, path and key: a name tells nothing (I9). An answer is kept until the day after.
 */
import { createHash, createHmac } from 'node:crypto'
import { z } from 'zod'
import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../canonical-json.ts'
import { deriveKey } from '../crypto/provider.ts'
import { REQUEST_PREFIX } from '../layout.ts'
import type { Repository } from '../repository.ts'
import { OBJECT_TYPES } from '../sealed-object.ts'

const DAY_MS = 86_400_000

const claimSchema = z.strictObject({ bodySha256: z.string(), claimedAt: z.string() })
const answerSchema = z.strictObject({
  status: z.int(),
  contentType: z.string(),
  body: z.string(),
})

export type StoredAnswer = z.infer<typeof answerSchema>

export interface AskedRequest {
  readonly person: string
  /** Method and path. */
  readonly route: string
  readonly key: string
  readonly body: Uint8Array
  readonly nowMs: number
}

export type Claim =
  | { readonly kind: 'new'; readonly name: string }
  | { readonly kind: 'answered'; readonly answer: StoredAnswer }

/** @throws request-conflicts for another body under this key, and for one whose answer is not known */
export async function claimRequest(repository: Repository, asked: AskedRequest): Promise<Claim> {
  const { sealed } = repository
  // Tomorrow: by the clock of another host, which is a little ahead of ours.
  const [today, yesterday, tomorrow] = [0, -DAY_MS, DAY_MS].map((ms) => nameOf(repository, asked, asked.nowMs + ms))
  const bodySha256 = createHash('sha256').update(asked.body).digest('hex')
  for (const name of [yesterday!, today!, tomorrow!]) {
    if (await sealed.store.stat(name)) return await earlier(repository, name, bodySha256)
  }
  try {
    const claim = { bodySha256, claimedAt: new Date(asked.nowMs).toISOString() }
    await sealed.write(today!, OBJECT_TYPES.apiRequest, canonicalBytes(claim))
    return { kind: 'new', name: today! }
  } catch (error) {
    if (!(error instanceof Failure && error.code === 'object-exists')) throw error
    return await earlier(repository, today!, bodySha256)
  }
}

/** Durable on return. */
export async function keepAnswer(repository: Repository, name: string, answer: StoredAnswer): Promise<void> {
  await repository.sealed.write(answerName(name), OBJECT_TYPES.apiAnswer, canonicalBytes(answer))
}

/** Of a request that failed by what passes: the same one is done anew when it comes again. @throws store-… */
export async function releaseRequest(repository: Repository, name: string): Promise<void> {
  await repository.store.delete(name)
}

/** Removes what is older than yesterday. @returns how many objects. @throws store-… */
export async function forgetAnswers(repository: Repository, nowMs: number): Promise<number> {
  const kept = [nowMs + DAY_MS, nowMs, nowMs - DAY_MS].map(dayPrefix)
  const old = (await repository.sealed.names(REQUEST_PREFIX)).filter(
    (name) => !kept.some((prefix) => name.startsWith(prefix)),
  )
  for (const name of old) await repository.store.delete(name)
  return old.length
}

async function earlier(repository: Repository, name: string, bodySha256: string): Promise<Claim> {
  const claim = await read(repository, name, OBJECT_TYPES.apiRequest, claimSchema)
  if (claim.bodySha256 !== bodySha256) {
    throw new Failure('request-conflicts', 'this Idempotency-Key was used before, for a request with another body', {
      hints: ['Use a new key for a new request.'],
    })
  }
  if (!(await repository.store.stat(answerName(name)))) {
    throw new Failure('request-conflicts', 'a request with this Idempotency-Key has begun, and has no answer yet', {
      hints: ['Ask again in a moment. If that does not change, look in the audit whether it was done.'],
    })
  }
  return { kind: 'answered', answer: await read(repository, answerName(name), OBJECT_TYPES.apiAnswer, answerSchema) }
}

async function read<Value>(
  { sealed }: Repository,
  name: string,
  type: number,
  schema: z.ZodType<Value>,
): Promise<Value> {
  const parsed = schema.safeParse(parseCanonical(await sealed.read(name, type), name))
  if (parsed.success) return parsed.data
  throw new Failure('repository-damaged', `object ${name} is not what its name says`, { context: { object: name } })
}

function nameOf(repository: Repository, { person, route, key }: AskedRequest, ms: number): string {
  const secret = deriveKey(repository.keyring.secrets.saltKey, new Uint8Array(), 'chartkeep api requests v1')
  const digest = createHmac('sha256', secret)
    .update(JSON.stringify([person, route, key]))
    .digest('hex')
  return `${dayPrefix(ms)}${digest.slice(0, 32)}`
}

function dayPrefix(ms: number): string {
  return `${REQUEST_PREFIX}${new Date(ms).toISOString().slice(0, 10)}/`
}

function answerName(name: string): string {
  return `${name}.answer`
}
