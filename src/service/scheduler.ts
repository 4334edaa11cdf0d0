/** Starts what is due, while this service leads: looks at every task, every half minute or so, so that a clock that was moved is soon noticed. */
import { type FailureRecord, toFailureRecord } from '../errors.ts'
import type { QuietHours } from './calendar/quiet-hours.ts'
import type { Job } from './contract.ts'
import { decide, isSuccess } from './jobs/decide.ts'
import type { JobStore } from './jobs/job-store.ts'
import type { JobRunner } from './jobs/runner.ts'
import { type Task, titleOf } from './jobs/task.ts'
import type { Log, ServiceWorld } from './world.ts'

/** Somebody else may run a task, too: by command, or over the API of another host. */
const READ_AGAIN_MS = 10 * 60_000
const PAUSE_AFTER_FAILURE_MS = 60_000
const JOBS_READ = 32

export interface TaskRecord {
  /** Newest first. */
  readonly jobs: readonly Job[]
  readonly sinceMs: number
  /** May be older than `jobs`. */
  readonly lastSuccess: Job | null
}

export interface SchedulerParts {
  readonly tasks: readonly Task[]
  readonly store: JobStore
  readonly runner: JobRunner
  readonly quiet: QuietHours
  /** Between two looks, at the latest. */
  readonly turnMs: number
  readonly world: ServiceWorld
  readonly log: Log
}

export class Scheduler {
  readonly #parts: SchedulerParts
  readonly #records = new Map<string, TaskRecord & { readonly readAtMs: number }>()
  /** Of a task whose jobs could not be read at the last look, why: nothing of it is started then. */
  readonly #unread = new Map<string, FailureRecord>()
  /** Of a task that could not be begun: not before. */
  readonly #notBefore = new Map<string, number>()
  /** When the loop last turned, by our clock. */
  lastTurnMs: number

  constructor(parts: SchedulerParts) {
    this.#parts = parts
    this.lastTurnMs = parts.world.nowMs()
  }

  /** As last read; null before. */
  recordOf(task: Task): TaskRecord | null {
    return this.#records.get(task.name) ?? null
  }

  unreadOf(task: Task): FailureRecord | null {
    return this.#unread.get(task.name) ?? null
  }

  /** When somebody else leads: what was read is soon of yesterday. */
  forgetAll(): void {
    this.#records.clear()
    this.#unread.clear()
  }

  /** After a job of it ended, or somebody else may have run one. */
  forget(task: Task): void {
    const record = this.#records.get(task.name)
    if (record) this.#records.set(task.name, { ...record, readAtMs: Number.NEGATIVE_INFINITY })
  }

  /** Until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { tasks, world, turnMs } = this.#parts
    while (!signal.aborted) {
      this.lastTurnMs = world.nowMs()
      let nextMs = world.nowMs() + turnMs
      for (const task of tasks) nextMs = Math.min(nextMs, await this.#consider(task, signal))
      const waitMs = Math.min(turnMs, Math.max(1, nextMs - world.nowMs()))
      await world.sleep(waitMs, signal).catch(() => {})
    }
  }

  /** @returns when to look at it again, at the latest */
  async #consider(task: Task, signal: AbortSignal): Promise<number> {
    const { world, quiet, runner, turnMs } = this.#parts
    const nowMs = world.nowMs()
    const againMs = nowMs + turnMs
    if (signal.aborted || runner.runningOf(task.name) !== null) return againMs
    const notBeforeMs = this.#notBefore.get(task.name) ?? 0
    if (nowMs < notBeforeMs && notBeforeMs - nowMs <= PAUSE_AFTER_FAILURE_MS) return notBeforeMs
    const record = await this.#read(task)
    if (record === null) return againMs
    const { run, at } = decide(task, record.jobs, record.sinceMs, nowMs)
    if (run === null) return at ?? againMs
    const quietUntilMs = task.readsSource ? quiet.endOf(nowMs) : null
    if (quietUntilMs !== null) return quietUntilMs
    if (!this.#isLaneFree(task)) return againMs
    void this.#begin(task, run)
    return againMs
  }

  async #begin(task: Task, due: { cause: Job['cause']; dueMs: number; attempt: number }): Promise<void> {
    const { runner, world, log } = this.#parts
    try {
      await runner.start(task, {
        ...due,
        requestedBy: 'service',
        reason: task.schedule?.text ?? '',
        isStillDue: (jobs) => {
          const record = this.#records.get(task.name)
          const again = decide(task, jobs, record?.sinceMs ?? world.nowMs(), world.nowMs()).run
          return again !== null && again.dueMs >= due.dueMs
        },
      })
    } catch (error) {
      const { code, message } = toFailureRecord(error)
      log({ level: 'warn', event: 'job.not-begun', task: titleOf(task), code, message })
      this.#notBefore.set(task.name, world.nowMs() + PAUSE_AFTER_FAILURE_MS)
    } finally {
      this.forget(task)
    }
  }

  #isLaneFree(task: Task): boolean {
    const { tasks, runner } = this.#parts
    const running = new Set(runner.runningTasks)
    return !tasks.some(({ name, lane }) => lane === task.lane && running.has(name))
  }

  /** Null when they cannot be read. */
  async #read(task: Task): Promise<TaskRecord | null> {
    const { store, world, log } = this.#parts
    const known = this.#records.get(task.name)
    const nowMs = world.nowMs()
    if (known && Math.abs(nowMs - known.readAtMs) < READ_AGAIN_MS) return known
    try {
      const jobs = await store.newest(task.name, JOBS_READ)
      const sinceMs = known?.sinceMs ?? (await store.since(task.name, nowMs))
      const lastSuccess = jobs.find(isSuccess) ?? (await olderSuccess(store, task, jobs))
      const record = { jobs, sinceMs, lastSuccess, readAtMs: nowMs }
      this.#records.set(task.name, record)
      this.#unread.delete(task.name)
      return record
    } catch (error) {
      const failure = toFailureRecord(error)
      const { code, message } = failure
      this.#unread.set(task.name, failure)
      log({ level: 'warn', event: 'service.cannot-read', task: titleOf(task), code, message })
      return null
    }
  }
}

/** Further back than is usually read. */
async function olderSuccess(store: JobStore, task: Task, read: readonly Job[]): Promise<Job | null> {
  if (read.length < JOBS_READ) return null
  return (await store.newest(task.name, JOBS_READ * 8)).find(isSuccess) ?? null
}
