/** What the last jobs of every task say: it failed, it found something, it has not succeeded for too long (F29). */
import { createHash } from 'node:crypto'
import { type FailureRecord, failures } from '../../errors.ts'
import type { Finding } from '../../verify/finding.ts'
import type { Condition, Watch } from '../alarm/condition.ts'
import type { Job } from '../contract.ts'
import { deadlineOf } from '../jobs/decide.ts'
import { type Task, titleOf } from '../jobs/task.ts'
import type { TaskRecord } from '../scheduler.ts'

const KINDS_ZH = {
  snapshot: '快照',
  check: '结构检查',
  scrub: '逐字节校验',
  compare: '与数据库比对',
  drill: '恢复演练',
  prune: '过期清理',
  certificate: '核验证明',
} as const

export interface TasksWatchParts {
  readonly tasks: readonly Task[]
  /** Null when it was not read yet. */
  readonly recordOf: (task: Task) => TaskRecord | null
  /** Why not, at the last look; null when they could. */
  readonly unreadOf: (task: Task) => FailureRecord | null
  readonly nowMs: () => number
}

export function watchTasks({ tasks, recordOf, unreadOf, nowMs }: TasksWatchParts): Watch {
  return {
    name: 'tasks',
    look: async () =>
      tasks.flatMap((task) => {
        const [record, unread] = [recordOf(task), unreadOf(task)]
        if (unread !== null && !failures[unread.code].retry) return [cannotRead(task, unread)]
        if (record === null) return []
        return [...late(task, record, nowMs()), ...failed(task, record), ...found(task, record)]
      }),
  }
}

function titleZh({ kind, source }: Pick<Task, 'kind' | 'source'>): string {
  return source === null ? KINDS_ZH[kind] : `${source} 的${KINDS_ZH[kind]}`
}

/** What passes by itself is the store's, which has a watch of its own. */
function cannotRead(task: Task, { code, message }: FailureRecord): Condition {
  return {
    key: `unread:${task.name}`,
    kind: 'not-watched',
    severity: 'critical',
    subject: titleOf(task),
    text: {
      en: `the jobs of ${titleOf(task)} cannot be read, and none is started: ${code}: ${message}`,
      zh: `${titleZh(task)}的作业记录无法读取，不会启动作业：${code}：${message}`,
    },
  }
}

function late(task: Task, { lastSuccess, sinceMs }: TaskRecord, nowMs: number): Condition[] {
  const deadlineMs = deadlineOf(task, lastSuccess, sinceMs, nowMs)
  if (deadlineMs === null || nowMs <= deadlineMs) return []
  const last = lastSuccess?.endedAt ?? null
  return [
    {
      key: `no-success:${task.name}`,
      kind: 'no-success',
      severity: 'critical',
      subject: titleOf(task),
      text: {
        en: `no successful ${titleOf(task)} since ${last ?? `it was configured (${iso(sinceMs)})`}; one was due by ${iso(deadlineMs)}`,
        zh: `${titleZh(task)}自 ${last ?? `配置之时（${iso(sinceMs)}）`}起没有成功过，最迟应于 ${iso(deadlineMs)} 完成`,
      },
    },
  ]
}

/** Stopping the service, and a person's word, are no failures: if nothing follows, the deadline says so. */
function isFailure({ state, failure }: Job): boolean {
  return state === 'abandoned' || (state === 'failed' && failure?.code !== 'cancelled')
}

function failed(task: Task, { jobs }: TaskRecord): Condition[] {
  const last = jobs.find(({ state }) => state !== 'running')
  if (!last || !isFailure(last)) return []
  const why = last.failure === null ? 'its process died' : `${last.failure.code}: ${last.failure.message}`
  const whyZh = last.failure === null ? '进程中断' : `${last.failure.code}：${last.failure.message}`
  return [
    {
      key: `job-failed:${task.name}`,
      kind: 'job-failed',
      severity: last.attempt > 2 ? 'critical' : 'warning',
      subject: titleOf(task),
      text: {
        en: `${titleOf(task)} failed (job ${last.id}, attempt ${last.attempt}): ${why}`,
        zh: `${titleZh(task)}失败（作业 ${last.id}，第 ${last.attempt} 次）：${whyZh}`,
      },
    },
  ]
}

function found(task: Task, { jobs }: TaskRecord): Condition[] {
  const last = jobs.find(({ state }) => state === 'done')
  if (!last?.result || (last.result.verdict !== 'failed' && last.result.verdict !== 'inconclusive')) return []
  const { verdict, findings, findingCount } = last.result
  const kinds = [...new Set(findings.map(({ kind }) => kind))].sort().join(', ')
  const isDamage = verdict === 'failed'
  return [
    {
      key: `finding:${task.name}${isDamage ? `:${digestOf(findings)}` : ''}`,
      kind: isDamage ? 'finding' : 'inconclusive',
      severity: isDamage ? 'critical' : 'warning',
      subject: titleOf(task),
      text: isDamage
        ? {
            en: `${titleOf(task)} found ${findingCount} things (job ${last.id}): ${kinds}`,
            zh: `${titleZh(task)}发现 ${findingCount} 项问题（作业 ${last.id}）：${kinds}`,
          }
        : {
            en: `${titleOf(task)} could not look at everything (job ${last.id}): ${kinds}`,
            zh: `${titleZh(task)}未能全部核查（作业 ${last.id}）：${kinds}`,
          },
    },
  ]
}

/** Other findings are another alarm: who took the first ones upon himself has not heard of these. */
function digestOf(findings: readonly Finding[]): string {
  const about = findings.map(({ kind, object, tables, snapshots, patients }) =>
    JSON.stringify([kind, object, tables, snapshots, patients]),
  )
  return createHash('sha256').update(about.sort().join('\n')).digest('hex').slice(0, 16)
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
