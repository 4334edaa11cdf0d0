/** What is to be done about a task: missed times, retries, and clocks that are wrong (F28). */
import { describe, expect, it } from 'vitest'
import { everySchedule } from '../../src/service/calendar/schedule.ts'
import type { Job } from '../../src/service/contract.ts'
import { deadlineOf, decide, isSuccess } from '../../src/service/jobs/decide.ts'
import type { Task } from '../../src/service/jobs/task.ts'

const HOUR_MS = 3_600_000
const NOON = Date.parse('2026-03-01T12:00:00Z')

const task: Task = {
  kind: 'snapshot',
  source: 'icu',
  name: 'snapshot-0123456789abcdef',
  schedule: everySchedule('1h', 'test'),
  deadlineMs: 3 * HOUR_MS,
  limitMs: HOUR_MS,
  readsSource: true,
  lane: 'backup:icu',
}

function job(dueMs: number | null, parts: Partial<Job> = {}): Job {
  const iso = (ms: number) => new Date(ms).toISOString()
  const startedMs = dueMs ?? NOON
  return {
    id: `${task.name}-1`,
    kind: 'snapshot',
    source: 'icu',
    state: 'done',
    cause: 'schedule',
    requestedBy: 'service',
    host: 'chartkeep@icu-1',
    token: 1,
    attempt: 1,
    dueAt: dueMs === null ? null : iso(dueMs),
    startedAt: iso(startedMs),
    endedAt: iso(startedMs + 60_000),
    failure: null,
    result: { verdict: 'done', made: null, figures: {}, findings: [], findingCount: 0, remarks: [] },
    ...parts,
  }
}

const failed = (dueMs: number, code: 'source-unreachable' | 'missing-rights', attempt = 1) =>
  job(dueMs, { state: 'failed', result: null, attempt, failure: { code, message: '', hints: [], context: {} } })

describe('a task', () => {
  it('is run when it is due, once', () => {
    const before = NOON - HOUR_MS

    expect(decide(task, [job(before)], 0, NOON + 1000).run).toEqual({ cause: 'schedule', dueMs: NOON, attempt: 1 })
    expect(decide(task, [job(NOON), job(before)], 0, NOON + 90_000)).toEqual({ run: null, at: NOON + HOUR_MS })
  })

  it('is not due for what was before it was first seen', () => {
    expect(decide(task, [], NOON + 60_000, NOON + 120_000)).toEqual({ run: null, at: NOON + HOUR_MS })
  })

  it('that was missed ten times is caught up once', () => {
    const { run } = decide(task, [job(NOON - 10 * HOUR_MS)], 0, NOON + 1000)

    expect(run).toEqual({ cause: 'catch-up', dueMs: NOON, attempt: 1 })
    expect(decide(task, [job(NOON)], 0, NOON + 2000).run).toBeNull()
  })

  it('that somebody asked for in between is due all the same', () => {
    expect(decide(task, [job(null), job(NOON - HOUR_MS)], 0, NOON + 1000).run?.dueMs).toBe(NOON)
  })

  it.each(['failed', 'abandoned'] as const)('that was %s is tried again after a pause, longer each time', (state) => {
    const second = { ...failed(NOON, 'source-unreachable', 2), state }
    const endedMs = NOON + 60_000

    expect(decide(task, [second], 0, endedMs + 119_000)).toEqual({ run: null, at: endedMs + 120_000 })
    expect(decide(task, [second], 0, endedMs + 120_000).run).toEqual({ cause: 'retry', dueMs: NOON, attempt: 3 })
  })

  it('is not tried again for what does not pass, nor for ever', () => {
    expect(decide(task, [failed(NOON, 'missing-rights')], 0, NOON + 20 * 60_000).run).toBeNull()
    expect(decide(task, [failed(NOON, 'source-unreachable', 6)], 0, NOON + 50 * 60_000).run).toBeNull()
  })

  it('that a host with a clock an hour ahead has run is not run again (F28)', () => {
    expect(decide(task, [job(NOON + HOUR_MS)], 0, NOON + 60_000).run).toBeNull()
  })

  it('is not kept from running by a record from next year (F28)', () => {
    const nextYear = job(NOON + 365 * 24 * HOUR_MS)

    expect(decide(task, [nextYear, job(NOON - HOUR_MS)], 0, NOON + 60_000).run?.dueMs).toBe(NOON)
    expect(deadlineOf(task, nextYear, 0, NOON)).toBe(NOON + 3 * HOUR_MS)
  })

  it('of which a retry was recorded by a clock that ran ahead waits no longer than its pause', () => {
    const ahead = failed(NOON, 'source-unreachable')
    const late = { ...ahead, endedAt: new Date(NOON + 90 * 60_000).toISOString() }

    expect(decide(task, [late], 0, NOON + 60_000).at).toBe(NOON + 120_000)
  })

  it('has not succeeded when nobody could look', () => {
    const result = { ...job(NOON).result!, verdict: 'inconclusive' as const }

    expect([isSuccess(job(NOON)), isSuccess(job(NOON, { result }))]).toEqual([true, false])
  })
})
