/** Work under a lease that is renewed while it goes on; losing the lease stops the work. */
import { setTimeout } from 'node:timers/promises'
import { Failure } from '../errors.ts'
import { acquireLease, type Lease, type LeaseRequest } from './lease.ts'
import type { Repository } from './repository.ts'

export const LEASE_MS = 60_000

/** @throws lease-held, lease-lost, and what `work` throws */
export async function withLease<Result>(
  repository: Repository,
  request: Omit<LeaseRequest, 'leaseMs'> & { readonly signal: AbortSignal },
  work: (signal: AbortSignal, assertHeld: () => void) => Promise<Result>,
): Promise<Result> {
  const lease = await acquireLease(repository, { ...request, leaseMs: LEASE_MS })
  const [lost, over] = [new AbortController(), new AbortController()]
  const keeping = keepLease(lease, lost, over.signal)
  try {
    return await work(AbortSignal.any([request.signal, lost.signal]), () => lease.assertHeld())
  } finally {
    over.abort()
    await keeping
    await lease.release()
  }
}

/** Renews until `over`; whatever ends the lease before aborts `lost`. */
export async function keepLease(
  lease: Lease,
  lost: AbortController,
  over: AbortSignal,
  { sleep = realSleep, everyMs = LEASE_MS / 4 }: Pick<LeaseRequest, 'sleep'> & { readonly everyMs?: number } = {},
): Promise<void> {
  while (!over.aborted) {
    try {
      await sleep(everyMs, over)
      await lease.renew()
    } catch (error) {
      if (over.aborted) return
      // A store that does not answer costs the lease only when its life is over.
      if (error instanceof Failure && error.code === 'lease-lost') lost.abort(error)
    }
  }
}

async function realSleep(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal })
}
