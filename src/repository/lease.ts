/**
 * A right of one process at a time, for as long as it lives: to capture a source, to take its snapshots.
 *
 *     leases/<name>/<token>   claim number `token`: who, and when it was made; sealed, never changed
 *
 * The claim of the highest token holds the lease. Claiming, renewing and releasing each put the next token, which the
 * store gives once; whoever is refused, or finds a token above its own, holds nothing. The token is a fence: it goes into
 * what is written under the lease, and never less follows.
 *
 * No two machines' clocks are compared to say that a holder is dead, because a clock may be an hour wrong: a claim is
 * dead once it was *watched* for its time to live and no other followed; or for two seconds, where it was made by a
 * process of this very machine that is gone. Only a claim that is older than that by more
 * than clocks may differ is taken over at once. A holder counts from before it asked for its claim, so that a put that
 * hung for minutes gives it nothing (F18).
 *
 * Where the store ignores the condition of a put, two may put one token. There, whoever put it waits a moment and reads
 * it back, and does so again before each renewal. That narrows the hole and does not close it: what is written under a
 * lease must be numbered and chained itself, as segments and manifests are.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { Failure } from '../errors.ts'
import { canonicalBytes, parseCanonical } from './canonical-json.ts'
import { sha256 } from './crypto/provider.ts'
import { leasePrefix, numbered } from './layout.ts'
import { machineProcesses, type Processes } from './process-mark.ts'
import type { Repository } from './repository.ts'
import { OBJECT_TYPES } from './sealed-object.ts'

/** How far apart two machines' clocks may be. */
const CLOCK_SKEW_MAX_MS = 60 * 60 * 1000
/** Between two looks at somebody else's claim, as a part of its time to live. */
const LOOKS_PER_LIFE = 10
/** A store that ignores conditions: after a put, before reading back who won. */
const SETTLE_MS = 1_000
/** Claims kept behind the newest, so that a claimant with an old listing meets one that is there. */
export const CLAIMS_KEPT = 64
const CLAIM_BYTES_MAX = 64 * 1024
/** Of a claim that nobody can read. */
const UNREADABLE_LIFE_MS = 60_000
/** Of one whose process is gone: what it had sent may still be on its way to the store. */
const GONE_LIFE_MS = 2_000
const TAKEN = 'was taken by somebody else'

const claimSchema = z.strictObject({
  token: z.int().nonnegative(),
  /** For people: account, host, process. */
  holder: z.string(),
  /** Tells two claims of one holder apart, and ours from another's. */
  nonce: z.string(),
  madeAt: z.string(),
  lifeMs: z.int().positive(),
  released: z.boolean(),
  /** Absent where the machine does not tell. */
  process: z.strictObject({ machine: z.string(), pid: z.int(), start: z.string() }).optional(),
})

type Claim = z.infer<typeof claimSchema>

/** Of whoever writes a source's change log. */
export const CAPTURE_LEASE = 'capture'

export interface LeaseRequest {
  /** `leaseName` makes one. */
  readonly name: string
  /** For people: account, host, process. */
  readonly holder: string
  /** Without a renewal for so long, it is lost. Renew about three times as often. */
  readonly leaseMs: number
  /** How long to wait for a holder that is alive. Default 0: only as long as it takes to know that it is. */
  readonly waitMs?: number
  readonly nowMs: () => number
  /** Default: the real one. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>
  readonly signal?: AbortSignal
  /** Default: this machine's. */
  readonly processes?: Processes
}

/** Holds neither the source's name nor anything that leads to it. `kind`: letters and hyphens. */
export function leaseName(repositoryId: string, kind: string, sourceName: string): string {
  const digest = Buffer.from(sha256(Buffer.from(`${repositoryId}\0${sourceName}`))).toString('hex')
  return `${kind}-${digest.slice(0, 16)}`
}

/**
 * Waits until it knows: at most `leaseMs` of a holder that died, at most a renewal of one that is alive, unless `waitMs`
 * says more.
 * @throws lease-held, store-…; the signal's reason
 */
export async function acquireLease(repository: Repository, request: LeaseRequest): Promise<Lease> {
  const claims = new Claims(repository, request)
  const { nowMs, waitMs = 0, signal } = request
  const startedMs = nowMs()
  let watched: { readonly token: number; readonly sinceMs: number } | null = null
  for (;;) {
    signal?.throwIfAborted()
    const lookedMs = nowMs()
    const newest = await claims.newest()
    if (newest === null || isOver(newest, lookedMs)) {
      const lease = await Lease.claim(claims, newest === null ? 0 : newest.token + 1)
      if (lease) return lease
      watched = null
      continue
    }
    const isRenewed: boolean = watched !== null && watched.token !== newest.token
    if (watched === null || isRenewed) watched = { token: newest.token, sinceMs: lookedMs }
    if (isRenewed && lookedMs - startedMs >= waitMs) throw held(request.name, newest)
    const lifeMs = claims.lifeLeftMs(newest)
    if (lookedMs - watched.sinceMs >= lifeMs) {
      const lease = await Lease.claim(claims, newest.token + 1)
      if (lease) return lease
      watched = null
      continue
    }
    await claims.sleep(Math.ceil(lifeMs / LOOKS_PER_LIFE))
  }
}

/** What is known of a lease's newest claim. */
export interface ClaimLook {
  readonly token: number
  readonly holder: string
  readonly madeAt: string
  readonly released: boolean
  readonly lifeMs: number
}

/** The newest claim as it stands, or null; nothing is said of whether its holder is alive. @throws store-… */
export async function newestClaim(repository: Repository, name: string): Promise<ClaimLook | null> {
  return await new Claims(repository, { name, holder: '', leaseMs: UNREADABLE_LIFE_MS, nowMs: () => 0 }).newest()
}

/** Who holds it now, for people; null when nobody can. A claim that was not watched may be a dead one's. */
export async function leaseHolder(
  repository: Repository,
  name: string,
  nowMs: number,
): Promise<{ readonly holder: string; readonly madeAt: string } | null> {
  const newest = await new Claims(repository, { name, holder: '', leaseMs: 1, nowMs: () => nowMs }).newest()
  return newest === null || isOver(newest, nowMs) ? null : { holder: newest.holder, madeAt: newest.madeAt }
}

/** A claim, and when we asked for it: from then on its life counts, also when the answer came late. */
interface OwnClaim {
  readonly claim: Claim
  readonly atMs: number
}

export class Lease {
  readonly #claims: Claims
  #own: OwnClaim
  /** Of a renewal whose answer got lost: it may have arrived, and is tried again as it is. */
  #unclear: OwnClaim | null = null
  #lost: Failure | null = null

  private constructor(claims: Claims, own: OwnClaim) {
    this.#claims = claims
    this.#own = own
  }

  /** Null when somebody else was faster. */
  static async claim(claims: Claims, token: number): Promise<Lease | null> {
    const own = claims.make(token)
    if (!(await claims.put(own.claim))) return null
    if (!claims.conditionalPut) await claims.sleep(SETTLE_MS)
    return (await claims.isNewest(own.claim)) ? new Lease(claims, own) : null
  }

  /** Of the newest claim: it grows with each renewal. */
  get token(): number {
    return this.#own.claim.token
  }

  /** Part of its life is left, by our own clock. Ask before each put. @throws lease-lost */
  assertHeld(): void {
    if (this.#lost) throw this.#lost
    const ageMs = this.#claims.nowMs() - this.#own.atMs
    const { lifeMs } = this.#own.claim
    // A clock that was set back says nothing of how much time has passed.
    if (ageMs >= 0 && ageMs < lifeMs) return
    throw this.#lose(`was not renewed for ${Math.round(ageMs / 1000)} s, its life is ${lifeMs / 1000} s`)
  }

  /** @throws lease-lost when somebody else took it, or it ended before; store-…: then it lives on until its end */
  async renew(): Promise<void> {
    this.assertHeld()
    if (!this.#claims.conditionalPut && !(await this.#claims.isNewest(this.#own.claim))) throw this.#lose(TAKEN)
    this.#unclear ??= this.#claims.make(this.token + 1)
    const next = this.#unclear
    const isOurs = (await this.#claims.put(next.claim)) && (await this.#claims.isNewest(next.claim))
    if (!isOurs) throw this.#lose(TAKEN)
    this.#own = next
    this.#unclear = null
    await this.#claims.clear(this.token - CLAIMS_KEPT)
    this.assertHeld()
  }

  /** So that the next one need not wait. Best effort: what is not released dies. */
  async release(): Promise<void> {
    if (this.#lost) return
    this.#lose('was released')
    await this.#claims.put(this.#claims.make(this.token + 1, true).claim).catch(() => false)
  }

  #lose(what: string): Failure {
    this.#lost = new Failure('lease-lost', `lease ${this.#claims.name} ${what}`, {
      context: { lease: this.#claims.name, token: this.token },
      hints: ['Nothing more is written under it. Run the command again: it continues behind what the other one wrote.'],
    })
    return this.#lost
  }
}

/** Whether it can be read. @throws object-missing, repository-damaged, repository-format, store-… */
export async function verifyClaim(repository: Repository, name: string): Promise<void> {
  await readClaim(repository, name)
}

async function readClaim(repository: Repository, name: string): Promise<Claim> {
  const parsed = claimSchema.safeParse(
    parseCanonical(await repository.sealed.read(name, OBJECT_TYPES.lease), name, { bytesMax: CLAIM_BYTES_MAX }),
  )
  if (parsed.success && name.endsWith(`/${numbered('', parsed.data.token)}`)) return parsed.data
  throw new Failure('repository-damaged', `object ${name} is not a claim of a lease`, { context: { object: name } })
}

/** The claims of one lease as objects. */
class Claims {
  readonly name: string
  readonly conditionalPut: boolean
  readonly #repository: Repository
  readonly #prefix: string
  readonly #request: LeaseRequest
  readonly #processes: Processes

  constructor(repository: Repository, request: LeaseRequest) {
    this.name = request.name
    this.#processes = request.processes ?? machineProcesses()
    this.conditionalPut = repository.store.capabilities.conditionalPut
    this.#repository = repository
    this.#prefix = leasePrefix(request.name)
    this.#request = request
  }

  nowMs(): number {
    return this.#request.nowMs()
  }

  async sleep(ms: number): Promise<void> {
    const { signal = new AbortController().signal, sleep: given } = this.#request
    if (given) await given(ms, signal)
    else await sleep(ms, undefined, { signal })
  }

  make(token: number, released = false): OwnClaim {
    const { holder, leaseMs } = this.#request
    const atMs = this.nowMs()
    const nonce = randomBytes(16).toString('hex')
    const madeAt = new Date(atMs).toISOString()
    const { own } = this.#processes
    const claim = { token, holder, nonce, madeAt, lifeMs: leaseMs, released, ...(own && { process: own }) }
    return { atMs, claim }
  }

  /** For how long it must be watched before it is dead. */
  lifeLeftMs({ lifeMs, process }: Claim): number {
    return process && this.#processes.isGone(process) ? Math.min(lifeMs, GONE_LIFE_MS) : lifeMs
  }

  /** Asks beyond the listing by name, for that may be an old one (F17). */
  async newest(): Promise<Claim | null> {
    const listed = (await this.#repository.sealed.names(this.#prefix)).at(-1)
    let token = listed === undefined ? -1 : Number(listed.slice(this.#prefix.length))
    while (await this.#repository.store.stat(numbered(this.#prefix, token + 1))) token += 1
    return token < 0 ? null : await this.#read(token)
  }

  /** False when the token is taken. */
  async put(claim: Claim): Promise<boolean> {
    try {
      await this.#repository.sealed.write(
        numbered(this.#prefix, claim.token),
        OBJECT_TYPES.lease,
        canonicalBytes(claim),
      )
      return true
    } catch (error) {
      if (!(error instanceof Failure && error.code === 'object-exists')) throw error
      // Of a put of ours whose answer got lost.
      return (await this.#read(claim.token)).nonce === claim.nonce
    }
  }

  async isNewest(claim: Claim): Promise<boolean> {
    const newest = await this.newest()
    return newest?.token === claim.token && newest.nonce === claim.nonce
  }

  /** Those below `token`. Best effort. */
  async clear(token: number): Promise<void> {
    try {
      for (const name of await this.#repository.sealed.names(this.#prefix)) {
        if (Number(name.slice(this.#prefix.length)) >= token) return
        await this.#repository.store.delete(name)
      }
    } catch (error) {
      if (!(error instanceof Failure) || error.code === 'defect') throw error
    }
  }

  async #read(token: number): Promise<Claim> {
    try {
      return await readClaim(this.#repository, numbered(this.#prefix, token))
    } catch (error) {
      if (!(error instanceof Failure && error.code === 'repository-damaged')) throw error
      // Somebody's, nobody knows whose: watched like any other, and taken over when nothing follows.
      const { leaseMs } = this.#request
      return { ...this.make(token).claim, holder: 'nobody knows whom', nonce: '', lifeMs: leaseMs }
    }
  }
}

/** Without having watched it. */
function isOver({ released, madeAt, lifeMs }: Claim, nowMs: number): boolean {
  return released || nowMs - Date.parse(madeAt) > lifeMs + CLOCK_SKEW_MAX_MS
}

function held(name: string, { holder, madeAt }: Claim): Failure {
  return new Failure('lease-held', `lease ${name} is held by ${holder}, who renewed it at ${madeAt}`, {
    context: { lease: name, holder },
    hints: ['Only one process at a time may do this. Stop the other one, or wait until it has ended.'],
  })
}
