/** What the last jobs of a task say, as alarms: the same trouble under the same key, other trouble under another (F29). */
import { describe, expect, it } from 'vitest'
import { everySchedule } from '../../src/service/calendar/schedule.ts'
import type { Job } from '../../src/service/contract.ts'
import type { Task } from '../../src/service/jobs/task.ts'
import { watchTasks } from '../../src/service/watch/tasks.ts'
import { type Finding, finding } from '../../src/verify/finding.ts'

const NOON = Date.parse('2026-03-01T12:00:00Z')
const AT = new Date(NOON).toISOString()

const task: Task = {
  kind: 'check',
  source: null,
  name: 'check-0123456789abcdef',
  schedule: everySchedule('1d', 'test'),
  deadlineMs: 86_400_000,
  limitMs: 3_600_000,
  readsSource: false,
  lane: 'verify',
}

function found(id: string, findings: readonly Finding[]): Job {
  return {
    ...{ id, kind: 'check', source: null, state: 'done', cause: 'schedule', requestedBy: 'service', host: 'icu-1' },
    ...{ token: 1, attempt: 1, dueAt: AT, startedAt: AT, endedAt: AT, failure: null },
    result: { verdict: 'failed', made: null, figures: {}, findings, findingCount: findings.length, remarks: [] },
  }
}

async function seen(jobs: readonly Job[] | null, code: 'store-refused' | 'store-unreachable' | null = null) {
  const record = jobs && { jobs, sinceMs: NOON, lastSuccess: jobs[0] ?? null }
  const unread = code && { code, message: 'no', hints: [], context: {} }
  const watch = watchTasks({ tasks: [task], recordOf: () => record, unreadOf: () => unread, nowMs: () => NOON })
  return (await watch.look(new AbortController().signal)).map(({ kind, key }) => ({ kind, key }))
}

describe('what a job found', () => {
  const lost = finding({ kind: 'pack-missing', message: 'a pack is missing', object: 'packs/a', patients: ['P-A'] })
  const damaged = finding({ kind: 'pack-damaged', message: 'a pack is damaged', object: 'packs/b', patients: ['P-B'] })

  it('is one alarm every night, and another one when it found something else', async () => {
    const first = await seen([found('check-1', [lost])])
    const again = await seen([found('check-2', [lost])])
    const more = await seen([found('check-3', [damaged, lost])])
    const other = await seen([found('check-4', [lost, damaged])])

    expect(first.map(({ kind }) => kind)).toEqual(['finding'])
    expect(again).toEqual(first)
    expect(more).not.toEqual(first)
    expect(other).toEqual(more)
  })
})

describe('jobs that cannot be read', () => {
  it('are an alarm, unless the store is just away, of which others speak', async () => {
    expect((await seen(null, 'store-refused')).map(({ kind }) => kind)).toEqual(['not-watched'])
    expect(await seen(null, 'store-unreachable')).toEqual([])
    expect(await seen(null)).toEqual([])
  })
})
