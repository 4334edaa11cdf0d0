/**
 * One service at a time leads: captures, starts what is due, raises alarms. Others stand by, and one of them takes over when
 * the leader's lease dies. That jobs of one task never overlap does not hang on it: each has a lease of its own.
 */
import { Failure, toFailureRecord } from '../errors.ts'
import { acquireLease, type Lease, leaseName } from '../repository/lease.ts'
import type { Repository } from '../repository/repository.ts'
import { keepLease } from '../repository/with-lease.ts'
import { type Log, OVER, type ServiceWorld } from './world.ts'

const PAUSE_MS = 15_000

export interface LeadershipParts {
  readonly repository: Repository
  readonly world: ServiceWorld
  readonly log: Log
  readonly leaseMs: number
  /** Returns when the signal has fired. */
  readonly lead: (signal: AbortSignal) => Promise<void>
}

/** Until the signal fires: stands by, leads, stands by again. */
export async function followLeadership(parts: LeadershipParts, signal: AbortSignal): Promise<void> {
  const { world, log } = parts
  while (!signal.aborted) {
    try {
      await leadOnce(parts, signal)
    } catch (error) {
      if (signal.aborted) return
      const { code, message } = toFailureRecord(error)
      log({ level: 'warn', event: 'service.stands-by', code, message })
      await world.sleep(PAUSE_MS, signal).catch(() => {})
    }
  }
}

async function leadOnce(
  { repository, world, log, leaseMs, lead }: LeadershipParts,
  signal: AbortSignal,
): Promise<void> {
  const { nowMs, sleep, host } = world
  const name = leaseName(repository.id, 'service', '')
  const waitMs = Number.POSITIVE_INFINITY
  const lease: Lease = await acquireLease(repository, { name, holder: host, leaseMs, waitMs, nowMs, sleep, signal })
  const [lost, over] = [new AbortController(), new AbortController()]
  const keeping = keepLease(lease, lost, over.signal, { sleep, everyMs: leaseMs / 4 })
  log({ level: 'info', event: 'service.leads', fence: lease.token })
  try {
    await lead(AbortSignal.any([signal, lost.signal]))
    if (lost.signal.aborted) log({ level: 'warn', event: 'service.lost-lead', code: codeOf(lost.signal.reason) })
  } finally {
    over.abort(OVER)
    await keeping
    await lease.release()
  }
}

function codeOf(reason: unknown): string {
  return reason instanceof Failure ? reason.code : 'defect'
}
