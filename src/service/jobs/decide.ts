/**
 * What is to be done about a task now. A pure function of its schedule, its last jobs and the time, so that a service that
 * was started anew decides as the one that died would have.
 *
 * Times that passed while nobody could run it are caught up once. A clock that was wrong must neither make a task run
 * twice for one time, nor keep it from running: a record from a little ahead of us is believed, one from further is not.
 */
import { type FailureCode, failures } from '../../errors.ts'
import type { Job, JobCause } from '../contract.ts'
import type { Task } from './task.ts'

/** How far ahead of ours the clock of a host may be that ran the task before us. */
const AHEAD_MAX_MS = 2 * 60 * 60 * 1000
/** Later than this, it was not the schedule that started it. */
const LATE_MS = 5 * 60 * 1000
const RETRY_PAUSE_MIN_MS = 60_000
const RETRY_PAUSE_MAX_MS = 30 * 60_000
const ATTEMPTS_MAX = 6
/** Not of those that pass by themselves, but somebody may make room, or mend a password, in the middle of the night. */
const MENDED: readonly FailureCode[] = [
  'source-failed',
  'source-login-refused',
  'source-not-found',
  'store-full',
  'store-refused',
  'local-disk-full',
  'job-stalled',
  'defect',
]

export interface DueJob {
  readonly cause: Exclude<JobCause, 'request'>
  readonly dueMs: number
  readonly attempt: number
}

/** `at`: when to ask again, at the latest; null: never. */
export type Decision = { readonly run: DueJob; readonly at: null } | { readonly run: null; readonly at: number | null }

/** `jobs`: newest first. `sinceMs`: when the task was first seen. */
export function decide(task: Task, jobs: readonly Job[], sinceMs: number, nowMs: number): Decision {
  const { schedule } = task
  if (schedule === null) return { run: null, at: null }
  const handledMs = handledUntil(jobs, sinceMs, nowMs)
  const latestMs = schedule.latestDue(nowMs)
  if (latestMs !== null && latestMs > handledMs) {
    return { run: { cause: causeOf(task, { latestMs, handledMs, nowMs }), dueMs: latestMs, attempt: 1 }, at: null }
  }
  const nextMs = schedule.nextDue(Math.max(nowMs, handledMs))
  const retry = retryOf(jobs)
  if (retry === null) return { run: null, at: nextMs }
  // A record of a clock that ran ahead does not put it off.
  const waitMs = Math.min(retry.atMs - nowMs, retry.pauseMs)
  if (waitMs > 0) return { run: null, at: Math.min(nextMs, nowMs + waitMs) }
  return { run: { cause: 'retry', dueMs: retry.dueMs, attempt: retry.attempt }, at: null }
}

/** Up to when the times at which the task was due are dealt with. */
function handledUntil(jobs: readonly Job[], sinceMs: number, nowMs: number): number {
  const dues = jobs.flatMap(({ dueAt }) => (dueAt === null ? [] : [Date.parse(dueAt)]))
  const believed = dues.filter((due) => due <= nowMs + AHEAD_MAX_MS)
  const since = sinceMs <= nowMs + AHEAD_MAX_MS ? sinceMs : Number.NEGATIVE_INFINITY
  return Math.max(since, ...believed)
}

function causeOf(
  { schedule }: Task,
  { latestMs, handledMs, nowMs }: { latestMs: number; handledMs: number; nowMs: number },
): 'schedule' | 'catch-up' {
  const isLate = nowMs - latestMs > LATE_MS
  const wasMissed = Number.isFinite(handledMs) && schedule !== null && schedule.nextDue(handledMs) < latestMs
  return isLate || wasMissed ? 'catch-up' : 'schedule'
}

interface Retry {
  readonly dueMs: number
  readonly attempt: number
  readonly atMs: number
  readonly pauseMs: number
}

function retryOf(jobs: readonly Job[]): Retry | null {
  const last = jobs.find(({ dueAt }) => dueAt !== null)
  if (last === undefined || last.dueAt === null || last.endedAt === null || !isWorthRetrying(last)) return null
  const pauseMs = Math.min(RETRY_PAUSE_MAX_MS, RETRY_PAUSE_MIN_MS * 2 ** (last.attempt - 1))
  return {
    dueMs: Date.parse(last.dueAt),
    attempt: last.attempt + 1,
    atMs: Date.parse(last.endedAt) + pauseMs,
    pauseMs,
  }
}

function isWorthRetrying({ state, attempt, failure }: Job): boolean {
  if (attempt >= ATTEMPTS_MAX) return false
  if (state === 'abandoned') return true
  if (state !== 'failed' || failure === null) return false
  return MENDED.includes(failure.code) || failures[failure.code]?.retry === true
}

/** A job that came to its end, whatever it found. */
export function isSuccess({ state, result }: Job): boolean {
  return state === 'done' && result?.verdict !== 'inconclusive'
}

/** When the absence of a success becomes an alarm; null when it never does. `lastSuccess`: null when there was none. */
export function deadlineOf(task: Task, lastSuccess: Job | null, sinceMs: number, nowMs: number): number | null {
  if (task.schedule === null || task.deadlineMs === null) return null
  const fromMs = lastSuccess === null ? sinceMs : Date.parse(lastSuccess.endedAt ?? lastSuccess.startedAt)
  // A success from the future proves nothing beyond now.
  return Math.min(fromMs, nowMs) + task.deadlineMs
}
