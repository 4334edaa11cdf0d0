/** Work under a lease that is renewed while it goes on; losing the lease stops the work. */
import { setTimeout } from 'node:timers/promises'
import { Failure } from '../errors.ts'
import { acquireLease, type Lease, type LeaseRequest } from '../repository/lease.ts'
import type { Repository } from '../repository/repository.ts'

const LEASE_MS = 60_000

/** @throws lease-held, lease-lost, and what `work` throws */
export async function withLease<Result>(
  repository: Repository,
  request: Omit<LeaseRequest, 'leaseMs'> & { readonly signal: AbortSignal },
  work: (signal: AbortSignal, assertHeld: () => void) => Promise<Result>,
): Promise<Result> {
  const lease = await acquireLease(repository, { ...request, leaseMs: LEASE_MS })
  const [lost, over] = [new AbortController(), new AbortController()]
  const keeping = keep(lease, lost, over.signal)
  try {
    return await work(AbortSignal.any([request.signal, lost.signal]), () => lease.assertHeld())
  } finally {
    over.abort()
    await keeping
    await lease.release()
  }
}

async function keep(lease: Lease, lost: AbortController, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    try {
      await setTimeout(LEASE_MS / 4, undefined, { signal: over })
      await lease.renew()
    } catch (error) {
      if (over.aborted) return
      // A store that does not answer costs the lease only when its life is over.
      if (error instanceof Failure && error.code === 'lease-lost') lost.abort(error)
    }
  }
}
