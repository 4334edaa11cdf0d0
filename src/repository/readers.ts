/**
 * Whoever reads what prune might delete says so, by a lease of his own that he renews while he reads:
 *
 *     leases/read-<random>/<token>     one reader, for as long as he reads
 *     leases/snapshot-<source>/<token> a backup shares leaves with what is there: it reads, too
 *
 * Prune deletes nothing while one of them is alive (I7). No clock says that a reader is dead: his claim is watched for
 * as long as it may go without a renewal (lease.ts). Where nothing can be written (a locked
 * bucket, a full disk), a reader goes on without having said so. Whoever reads for less than the grace need not say so at
 * all: what he can reach when he begins is not even marked.
 */
import { randomBytes } from 'node:crypto'
import { Failure } from '../errors.ts'
import { LEASE_PREFIX } from './layout.ts'
import { acquireLease, type ClaimLook, newestClaim } from './lease.ts'
import type { Repository } from './repository.ts'
import { keepLease, LEASE_MS } from './with-lease.ts'

export const SNAPSHOT_LEASE = 'snapshot'
export const READ_LEASE = 'read'
const READING = [`${SNAPSHOT_LEASE}-`, `${READ_LEASE}-`]
const LOOKS_PER_LIFE = 10

export interface ReadingRequest {
  /** For people: account, host, what for. */
  readonly holder: string
  readonly nowMs: () => number
}

/** From here to its disposal nothing that can be read now is deleted. @throws store-unreachable */
export async function announceReading(
  repository: Repository,
  { holder, nowMs }: ReadingRequest,
): Promise<AsyncDisposable> {
  const name = `${READ_LEASE}-${randomBytes(8).toString('hex')}`
  const lease = await acquireLease(repository, { name, holder, nowMs, leaseMs: LEASE_MS }).catch((error) => {
    if (error instanceof Failure && ['store-refused', 'store-full'].includes(error.code)) return null
    throw error
  })
  if (lease === null) return { [Symbol.asyncDispose]: async () => {} }
  const over = new AbortController()
  const keeping = keepLease(lease, new AbortController(), over.signal)
  return {
    [Symbol.asyncDispose]: async () => {
      over.abort()
      await keeping
      await lease.release()
    },
  }
}

export interface Reader extends ClaimLook {
  /** Of its lease. */
  readonly name: string
}

export interface WatchRequest {
  readonly sleep: (ms: number) => Promise<void>
  readonly signal: AbortSignal
}

/**
 * Readers that are alive. Takes no time when every lease was given back, and else at most the life of one claim.
 * @throws store-…; the signal's reason
 */
export async function readersAlive(repository: Repository, watch: WatchRequest): Promise<Reader[]> {
  const open: Reader[] = []
  for (const name of await leaseNames(repository)) {
    if (!READING.some((kind) => name.startsWith(kind))) continue
    const claim = await newestClaim(repository, name)
    if (claim && !claim.released) open.push({ ...claim, name })
  }
  const seen = await Promise.all(open.map((reader) => isRenewed(repository, reader, watch)))
  return open.filter((_, index) => seen[index])
}

/** Whether it moves within its life. One that is given back while we look reads no more. */
async function isRenewed(repository: Repository, reader: Reader, { sleep, signal }: WatchRequest): Promise<boolean> {
  const pauseMs = Math.ceil(reader.lifeMs / LOOKS_PER_LIFE)
  for (let watchedMs = 0; ; watchedMs += pauseMs) {
    signal.throwIfAborted()
    const claim = await newestClaim(repository, reader.name)
    if (claim === null || claim.released) return false
    if (claim.token !== reader.token) return true
    if (watchedMs >= reader.lifeMs) return false
    await sleep(pauseMs)
  }
}

/** Of every lease that anybody ever held. */
async function leaseNames(repository: Repository): Promise<string[]> {
  const claims = await repository.sealed.names(LEASE_PREFIX)
  return [...new Set(claims.map((name) => name.split('/')[1] ?? ''))]
}
