/**
 * Runs jobs, each under the lease of its task:
 *
 *     lease ─→ was the last one abandoned? ─→ still due? ─→ record ─→ work ─→ record of its end ─→ audit ─→ lease back
 *
 * Losing the lease stops the work. A job that does not end when it is stopped, or takes longer than it may, is left
 * behind: its lease is gone, so that nothing it still writes counts, and the task can run again (F31).
 */
import { assert, Failure, fromFailureRecord, toFailureRecord } from '../../errors.ts'
import { acquireLease, type Lease } from '../../repository/lease.ts'
import type { Repository } from '../../repository/repository.ts'
import { keepLease } from '../../repository/with-lease.ts'
import type { Job, JobCause, JobEvent, JobKind, JobResult } from '../contract.ts'
import type { Kind, KindEvent } from '../kinds/contract.ts'
import { type Log, OVER, type ServiceWorld } from '../world.ts'
import { JobEvents } from './follow.ts'
import type { JobStore } from './job-store.ts'
import { type Task, taskLease, titleOf } from './task.ts'

/** How long a job may take to end once it was told to. */
const GRACE_MS = 2 * 60_000
const LOOK_MS = 60_000
/** The record of an end is tried so often: a store that was away for a moment must not make it look abandoned. */
const END_TRIES = 5
const END_PAUSE_MS = 30_000

export interface RunnerParts {
  readonly repository: Repository
  readonly store: JobStore
  readonly world: ServiceWorld
  readonly kindOf: (kind: JobKind) => Kind
  /** The life of a task's lease. */
  readonly leaseMs: number
  readonly log: Log
  /** Ends every job of this process. */
  readonly signal: AbortSignal
  readonly onEnd: (task: Task, job: Job) => void
}

export interface JobStart {
  readonly cause: JobCause
  readonly dueMs: number | null
  readonly attempt: number
  readonly requestedBy: string
  readonly reason: string
  /** Asked under the lease, with the newest jobs: whoever had it before may have done what was due. */
  readonly isStillDue?: (jobs: readonly Job[]) => boolean
}

interface Running {
  readonly stop: AbortController
  ended: Promise<void>
  job: Job | null
}

export class JobRunner {
  readonly #parts: RunnerParts
  readonly #running = new Map<string, Running>()
  readonly events = new JobEvents()

  constructor(parts: RunnerParts) {
    this.#parts = parts
  }

  /** In this process; its job is null while the lease is waited for. */
  runningOf(task: string): { readonly job: Job | null } | null {
    return this.#running.get(task) ?? null
  }

  get runningTasks(): readonly string[] {
    return [...this.#running.keys()]
  }

  /**
   * Resolves when it has begun and its record is durable, with null when it is no longer due.
   * @throws lease-held, store-…
   */
  async start(task: Task, start: JobStart): Promise<Job | null> {
    if (this.#running.has(task.name)) {
      throw new Failure('lease-held', `${titleOf(task)} runs already`, {
        hints: ['Wait until it has ended, or follow the job that runs.'],
      })
    }
    const begun = Promise.withResolvers<Job | null>()
    const stop = new AbortController()
    const running: Running = { stop, job: null, ended: Promise.resolve() }
    this.#running.set(task.name, running)
    const run = this.#run(task, start, running, begun.resolve)
    const ended = run.then(
      () => begun.resolve(null),
      (error) => begun.reject(error),
    )
    running.ended = ended.finally(() => this.#running.delete(task.name))
    return await begun.promise
  }

  /** False when it does not run here. */
  cancel(id: string, reason: Failure): boolean {
    const running = [...this.#running.values()].find(({ job }) => job?.id === id)
    running?.stop.abort(reason)
    return running !== undefined
  }

  /** Once all have ended. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#running.values()].map(({ ended }) => ended))
  }

  async #run(task: Task, start: JobStart, running: Running, onBegun: (job: Job | null) => void): Promise<void> {
    const { repository, world, leaseMs, signal } = this.#parts
    const { nowMs, sleep, host } = world
    const stopping = AbortSignal.any([signal, running.stop.signal])
    const name = taskLease(repository.id, task)
    const asked = { name, holder: host, leaseMs, nowMs, sleep, signal: stopping }
    const lease = await acquireLease(repository, asked)
    const [lost, over] = [new AbortController(), new AbortController()]
    const keeping = keepLease(lease, lost, over.signal, { sleep, everyMs: leaseMs / 4 })
    try {
      const job = await this.#begin(task, start, lease)
      onBegun(job)
      if (job === null) return
      running.job = job
      await this.#work(task, job, {
        lease,
        stopping: AbortSignal.any([stopping, lost.signal]),
        asked: running.stop.signal,
      })
    } finally {
      over.abort(OVER)
      await keeping
      await lease.release()
    }
  }

  async #begin(task: Task, { isStillDue, dueMs, ...start }: JobStart, lease: Lease): Promise<Job | null> {
    const { store, world, log } = this.#parts
    const newest = await store.newest(task.name, 8)
    const jobs: Job[] = []
    for (const job of newest) jobs.push(job.state === 'running' ? await this.#abandon(job) : job)
    if (isStillDue && !isStillDue(jobs)) return null
    lease.assertHeld()
    const job = await store.begin({
      task: task.name,
      kind: task.kind,
      source: task.source,
      ...start,
      host: world.host,
      token: lease.token,
      dueAt: dueMs === null ? null : iso(dueMs),
      startedAt: iso(world.nowMs()),
    })
    this.events.begin(job, job.startedAt)
    log({
      level: 'info',
      event: 'job.begun',
      job: job.id,
      task: titleOf(task),
      because: job.cause,
      attempt: job.attempt,
    })
    return job
  }

  /** It has no end, and we have the lease: its process died. */
  async #abandon(job: Job): Promise<Job> {
    const { store, world, log, repository } = this.#parts
    const end = { state: 'abandoned', endedAt: iso(world.nowMs()), failure: null, result: null } as const
    await store.end(job.id, end)
    log({ level: 'warn', event: 'job.abandoned', job: job.id, task: titleOf(job) })
    await repository.audit.append({
      time: end.endedAt,
      actor: job.host,
      action: `job.${job.kind}`,
      subject: job.source ?? repository.id,
      outcome: 'failed',
      detail: `${job.id} was abandoned: its process died, or lost its lease`,
    })
    return { ...job, ...end }
  }

  async #work(
    task: Task,
    job: Job,
    { lease, stopping, asked }: { lease: Lease; stopping: AbortSignal; asked: AbortSignal },
  ): Promise<void> {
    const end = await this.#outcome(task, job, lease, stopping)
      .then((result) => ({ state: 'done' as const, failure: null, result }))
      .catch((error) => {
        const state = asked.aborted ? ('cancelled' as const) : ('failed' as const)
        // A wait that was cut short throws an error of the platform's: why it was cut short is what there is to say.
        const why = stopping.aborted && !(error instanceof Failure) ? stopping.reason : error
        return { state, failure: toFailureRecord(why), result: null }
      })
    const ended = { ...job, ...end, endedAt: iso(this.#parts.world.nowMs()) }
    await this.#record(ended)
    this.events.emit(job.id, { type: 'job', at: ended.endedAt, job: ended })
    this.#parts.onEnd(task, ended)
  }

  /** The work, or its being stopped, whichever comes first: a job that does not listen is left behind. */
  async #outcome(task: Task, job: Job, lease: Lease, stopping: AbortSignal): Promise<JobResult> {
    const { world, kindOf, repository } = this.#parts
    const over = new AbortController()
    const stalled = new AbortController()
    const signal = AbortSignal.any([stopping, stalled.signal])
    const emit = (event: KindEvent) => {
      this.events.emit(job.id, { ...event, at: iso(world.nowMs()) } as JobEvent)
    }
    const work = kindOf(task.kind).run({
      repository,
      source: task.source,
      signal,
      assertHeld: () => lease.assertHeld(),
      onEvent: emit,
    })
    // Of one that was left behind, nobody else hears.
    work.catch(() => {})
    try {
      const watched = this.#watch(task, stalled, over.signal)
      return await Promise.race([work, watched, this.#grace(signal, over.signal)])
    } finally {
      over.abort(OVER)
    }
  }

  /** Counts pauses, not the clock, which may be moved. Never resolves. */
  async #watch(task: Task, stalled: AbortController, over: AbortSignal): Promise<never> {
    const { sleep } = this.#parts.world
    for (let tookMs = 0; tookMs < task.limitMs && !over.aborted; tookMs += LOOK_MS) {
      await sleep(LOOK_MS, over).catch(() => {})
    }
    if (!over.aborted) {
      const limit = `${Math.round(task.limitMs / 60_000)} min`
      stalled.abort(
        new Failure('job-stalled', `${titleOf(task)} has not ended within ${limit}`, {
          hints: ['See what it waits for; give `limit` of this job in chartkeep.yaml if it rightly takes longer.'],
        }),
      )
    }
    return await new Promise<never>(() => {})
  }

  async #grace(stopping: AbortSignal, over: AbortSignal): Promise<never> {
    if (!stopping.aborted) {
      await new Promise<void>((resolve) => {
        for (const signal of [stopping, over]) signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
    if (!over.aborted) await this.#parts.world.sleep(GRACE_MS, over).catch(() => {})
    if (over.aborted) return await new Promise<never>(() => {})
    const { reason } = stopping
    throw reason instanceof Failure ? reason : fromFailureRecord(toFailureRecord(reason))
  }

  /** In the repository and in the audit. What cannot be recorded is said in the log, and looks abandoned. */
  async #record(job: Job): Promise<void> {
    const { state, endedAt, failure, result } = job
    assert(state !== 'running' && endedAt !== null, 'an ended job has an end')
    const { store, repository, log, world, signal } = this.#parts
    const level = state === 'done' ? 'info' : 'error'
    const why = { code: failure?.code ?? '', message: failure?.message ?? '', verdict: result?.verdict ?? '' }
    log({ level, event: 'job.ended', job: job.id, task: titleOf(job), state, ...why })
    const deed = this.#parts.kindOf(job.kind).deed
    for (let tried = 1; ; tried += 1) {
      try {
        await store.end(job.id, { state, endedAt, failure, result })
        await repository.audit.append({
          time: endedAt,
          actor: job.host,
          action: deed,
          subject: result?.made ?? job.source ?? repository.id,
          outcome: state === 'done' ? 'done' : 'failed',
          detail: [job.id, job.cause, job.requestedBy, failure?.code ?? result?.verdict].join(' '),
        })
        return
      } catch (error) {
        const { code, message } = toFailureRecord(error)
        log({ level: 'error', event: 'job.not-recorded', job: job.id, code, message, tried })
        if (tried === END_TRIES || code === 'defect') return
        await world.sleep(END_PAUSE_MS, signal).catch(() => {})
      }
    }
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
