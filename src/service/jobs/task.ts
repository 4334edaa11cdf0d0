/** A task: one kind of work on one source, or on the repository as a whole, and when it is to be done. */
import { leaseName } from '../../repository/lease.ts'
import type { Schedule } from '../calendar/schedule.ts'
import type { JobKind } from '../contract.ts'

export interface Task {
  readonly kind: JobKind
  /** Null for work on the repository as a whole. */
  readonly source: string | null
  /** Names its records; leads to no source's name (`leaseName`). */
  readonly name: string
  /** Null: only when somebody asks for it. */
  readonly schedule: Schedule | null
  /** So long after a success at the latest there is another one, or an alarm. */
  readonly deadlineMs: number | null
  /** A job that takes longer is stopped. */
  readonly limitMs: number
  /** It reads the database: not in the quiet hours of the wards. */
  readonly readsSource: boolean
  /** Of one lane, one job at a time runs in a process. */
  readonly lane: string
}

/** For people and for alarms: `snapshot of icu`, `scrub`. */
export function titleOf({ kind, source }: Pick<Task, 'kind' | 'source'>): string {
  return source === null ? kind : `${kind} of ${source}`
}

export function taskName(repositoryId: string, kind: JobKind, source: string | null): string {
  return leaseName(repositoryId, kind, source ?? '')
}

/** Other leases have their own kinds: a snapshot takes one of its own besides. */
export function taskLease(repositoryId: string, { kind, source }: Pick<Task, 'kind' | 'source'>): string {
  return leaseName(repositoryId, `job-${kind}`, source ?? '')
}
