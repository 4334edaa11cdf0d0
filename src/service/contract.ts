/**
 * What the service offers to whoever shows or steers it: the API, and the commands. Shapes only; the service behind it
 * keeps all its state in the repository, so that any of these may be asked of any process that has opened it.
 *
 * A *task* is one kind of work on one source (or on the repository as a whole); a *job* is one run of it. No two jobs
 * of a task run at once, on whatever host. Nothing here holds a row value; patients appear by pseudonym (I9).
 */
import type { FailureRecord } from '../errors.ts'
import type { Finding } from '../verify/finding.ts'

/** What can be run. `prune` is forget and prune. */
export const JOB_KINDS = ['snapshot', 'check', 'scrub', 'compare', 'drill', 'prune', 'certificate'] as const
export type JobKind = (typeof JOB_KINDS)[number]

/** `abandoned`: its process died; somebody found its lease dead. */
export type JobState = 'running' | 'done' | 'failed' | 'cancelled' | 'abandoned'

/** Why it was started. `catch-up`: its time passed while nobody could run it; `retry`: the one before failed. */
export type JobCause = 'schedule' | 'catch-up' | 'retry' | 'request'

export interface Job {
  /** `<task>-<number>`: letters, digits, hyphens; it leads to neither a source's name nor a patient. */
  readonly id: string
  readonly kind: JobKind
  /** Null for work on the repository as a whole. */
  readonly source: string | null
  readonly state: JobState
  readonly cause: JobCause
  /** `service`, or the person who asked for it. */
  readonly requestedBy: string
  /** Account and host that run it. */
  readonly host: string
  /** Of the task's lease when it began: it never goes down from job to job. */
  readonly token: number
  /** From 1; a retry counts on. */
  readonly attempt: number
  /** ISO 8601: the time it was due; null when somebody asked for it. */
  readonly dueAt: string | null
  /** ISO 8601, by the clock of its host. */
  readonly startedAt: string
  readonly endedAt: string | null
  /** Null unless `failed` or `cancelled`. */
  readonly failure: FailureRecord | null
  readonly result: JobResult | null
}

/** What is kept of how a job ended. */
export interface JobResult {
  /** Of a verification; `done` of anything else that found nothing wrong. `failed` is a job that ended well and found damage. */
  readonly verdict: 'done' | 'passed' | 'failed' | 'inconclusive'
  /** What it made, by name: a snapshot, a drill, a certificate; null when it made nothing. */
  readonly made: string | null
  /** Counts, bytes, seconds. */
  readonly figures: Readonly<Record<string, number>>
  /** The first of them; `findingCount` says how many there are. */
  readonly findings: readonly Finding[]
  readonly findingCount: number
  /** One sentence a remark: how it was done, and why not otherwise. */
  readonly remarks: readonly string[]
}

export type JobEvent =
  /** First, and whenever the state changes; the last one is an ended job. */
  | { readonly type: 'job'; readonly at: string; readonly job: Job }
  /** `done` of `total` in `unit`; null total where it is not known. `what`: a table or an object, never a row. */
  | {
      readonly type: 'progress'
      readonly at: string
      readonly done: number
      readonly total: number | null
      readonly unit: 'tables' | 'trees' | 'bytes' | 'steps'
      readonly what: string
    }
  | { readonly type: 'note'; readonly at: string; readonly text: string }

export interface JobOrder {
  readonly kind: JobKind
  /** Required for work on one source when several are configured. */
  readonly source?: string
  /** Who asks, for the audit. */
  readonly requestedBy: string
  /** Why, for the audit. */
  readonly reason: string
}

export interface JobFilter {
  readonly kind?: JobKind
  readonly source?: string
  readonly state?: JobState
  /** Default 100. */
  readonly limit?: number
}

export interface Jobs {
  /** Newest first, of every host. @throws store-… */
  list(filter?: JobFilter): Promise<readonly Job[]>
  /** Null when there is none. @throws store-… */
  find(id: string): Promise<Job | null>
  /**
   * Returns once it has begun and its record is durable.
   * @throws bad-usage for an unknown source, lease-held while another job of the task runs, job-kind-missing, store-…
   */
  start(order: JobOrder): Promise<Job>
  /**
   * Of a job that runs in this process; returns when it is told, not when it has ended. @throws job-not-found for one
   * that is not there, bad-usage for one that has ended or runs elsewhere
   */
  cancel(id: string, by: { readonly person: string; readonly reason: string }): Promise<void>
  /** Ends after the job's end, or with the signal. Of a job elsewhere: its record only, looked at now and then. */
  follow(id: string, signal: AbortSignal): AsyncIterable<JobEvent>
}

/** What the last verifications said, newest job first; a task that never ran says nothing, which is not "passed". */
export interface FindingReport {
  readonly job: string
  readonly kind: JobKind
  readonly source: string | null
  readonly endedAt: string
  readonly verdict: JobResult['verdict']
  readonly findings: readonly Finding[]
  readonly findingCount: number
}

export type AlarmKind =
  | 'job-failed'
  | 'finding'
  | 'inconclusive'
  | 'no-success'
  | 'lag'
  | 'gap'
  | 'capture-down'
  | 'slot'
  | 'space'
  | 'not-covered'
  | 'key-expires'
  | 'hold-expires'
  | 'counter-signature'
  | 'clock'
  | 'not-watched'

export interface Alarm {
  readonly id: string
  readonly kind: AlarmKind
  readonly severity: 'critical' | 'warning'
  /** A source, a task, a key: what it is about. */
  readonly subject: string
  readonly text: { readonly en: string; readonly zh: string }
  readonly raisedAt: string
  readonly acknowledged: { readonly by: string; readonly at: string; readonly reason: string } | null
  /** When the cause was seen to be gone. */
  readonly endedAt: string | null
  readonly lastNotifiedAt: string | null
}

export interface Alarms {
  /** Open ones, newest first; with `all`, ended ones behind them. @throws store-… */
  list(options?: { readonly all?: boolean }): Promise<readonly Alarm[]>
  /** @throws alarm-not-found, bad-usage without a reason, store-… */
  acknowledge(id: string, by: { readonly person: string; readonly reason: string }): Promise<Alarm>
}

/** Prometheus text. */
export interface Metrics {
  readonly contentType: string
  text(): Promise<string>
}

export interface TaskState {
  readonly kind: JobKind
  readonly source: string | null
  /** As configured; null for one that runs only when asked for. */
  readonly schedule: string | null
  readonly nextDueAt: string | null
  readonly lastSuccessAt: string | null
  /** When the absence of a success becomes an alarm. */
  readonly deadlineAt: string | null
  readonly running: Job | null
}

export interface CaptureState {
  readonly source: string
  readonly state: 'running' | 'pausing' | 'elsewhere' | 'stopped'
  /** Why it is not running; '' when it is. */
  readonly reason: string
  readonly restarts: number
}

export interface ServiceState {
  /** Only the leader starts what is due, captures, and raises alarms. A service that stands by answers all the same. */
  readonly role: 'leader' | 'standby' | 'stopping'
  readonly startedAt: string
  readonly host: string
  readonly tasks: readonly TaskState[]
  readonly captures: readonly CaptureState[]
  readonly openAlarms: number
}

/** Answers from memory, whatever the store does. `isAlive` turns false when the loop that should turn does not. */
export interface Health {
  readonly isAlive: boolean
  readonly role: ServiceState['role']
  readonly openAlarms: number
  readonly secondsSinceLoop: number
}

export interface Service {
  readonly jobs: Jobs
  readonly alarms: Alarms
  readonly metrics: Metrics
  findings(): Promise<readonly FindingReport[]>
  /** @throws store-… */
  state(): Promise<ServiceState>
  health(): Health
}
