/** What of `service:` in chartkeep.yaml the service goes by: made from the configuration, with what is usual. */
import type { Configuration, ServiceConfiguration } from '../config.ts'
import { Failure } from '../errors.ts'
import { type QuietHours, quietHours } from './calendar/quiet-hours.ts'
import { cronSchedule, everySchedule, parseDurationMs, type Schedule } from './calendar/schedule.ts'
import { WallClock } from './calendar/wall-clock.ts'
import { JOB_KINDS, type JobKind } from './contract.ts'
import { type Task, taskName } from './jobs/task.ts'
import type { Kinds } from './kinds/table.ts'

const HOUR_MS = 3_600_000
const LIMIT_USUAL_MS = 12 * HOUR_MS
/** Where no deadline is given: so much beyond the time between two runs, and at least an hour more. */
const DEADLINE_SLACK = 1.5

export interface ServiceSettings {
  readonly tasks: readonly Task[]
  readonly quiet: QuietHours
  readonly alarmRepeatMs: number
  readonly lagMsMax: number
  readonly watchEveryMs: number
  /** Of leading, and of a job: what dies is taken over after so long. */
  readonly leaseMs: number
  /** How often the loops turn, at least. */
  readonly turnMs: number
}

/**
 * @param zone of this machine, where none is configured
 * @throws bad-configuration: also for a kind that this version cannot run
 */
export function serviceSettings(
  configuration: Configuration,
  { kinds, repositoryId, zone, nowMs }: { kinds: Kinds; repositoryId: string; zone: string; nowMs: number },
): ServiceSettings {
  const { service, sources } = configuration
  const clock = new WallClock(service.timeZone ?? zone)
  const tasks = JOB_KINDS.flatMap((kind): Task[] => {
    const configured = service.jobs[kind]
    const runs = kinds[kind]
    if (runs === null) {
      if (configured === undefined) return []
      throw new Failure('bad-configuration', `service.jobs.${kind}: this version cannot run jobs of this kind`, {
        hints: ['Take it out of the configuration, or use a version that has it: `chartkeep --version`.'],
      })
    }
    const schedule = configured === undefined ? null : scheduleOf(kind, configured, clock)
    const deadlineMs = schedule === null ? null : deadlineMsOf(kind, configured, schedule, nowMs)
    const limitMs =
      configured?.limit === undefined ? LIMIT_USUAL_MS : parseDurationMs(configured.limit, `service.jobs.${kind}.limit`)
    const names = runs.perSource ? sources.map(({ name }) => name) : [null]
    return names.map((source) => ({
      kind,
      source,
      name: taskName(repositoryId, kind, source),
      schedule,
      deadlineMs,
      limitMs,
      readsSource: runs.readsSource,
      lane: runs.perSource && runs.lane === 'backup' ? `backup:${source}` : runs.lane,
    }))
  })
  const { alarms } = service
  return {
    tasks,
    quiet: quietHours(service.quietHours, clock),
    alarmRepeatMs: parseDurationMs(alarms.repeat, 'service.alarms.repeat'),
    lagMsMax: parseDurationMs(alarms.lag, 'service.alarms.lag'),
    watchEveryMs: parseDurationMs(alarms.watchEvery, 'service.alarms.watchEvery'),
    leaseMs: 60_000,
    turnMs: 30_000,
  }
}

type JobConfiguration = NonNullable<ServiceConfiguration['jobs'][JobKind]>

function scheduleOf(kind: JobKind, { every, at }: JobConfiguration, clock: WallClock): Schedule {
  if (every !== undefined && at === undefined) return everySchedule(every, `service.jobs.${kind}.every`)
  if (at !== undefined && every === undefined) return cronSchedule(at, clock)
  throw new Failure('bad-configuration', `service.jobs.${kind}: give one of \`every\` and \`at\``, {
    hints: ['For example `snapshot: { every: 1h }` or `check: { at: "15 5 * * *" }`.'],
  })
}

function deadlineMsOf(
  kind: JobKind,
  configured: JobConfiguration | undefined,
  schedule: Schedule,
  nowMs: number,
): number {
  const text = configured?.deadline
  if (text !== undefined) return parseDurationMs(text, `service.jobs.${kind}.deadline`)
  const betweenMs = longestBetween(schedule, nowMs)
  return Math.max(betweenMs * DEADLINE_SLACK, betweenMs + HOUR_MS)
}

/** Of the next few times: months and weekends differ. */
function longestBetween(schedule: Schedule, nowMs: number): number {
  let longestMs = 0
  let dueMs = schedule.nextDue(nowMs)
  for (let count = 0; count < 14; count += 1) {
    const nextMs = schedule.nextDue(dueMs)
    longestMs = Math.max(longestMs, nextMs - dueMs)
    dueMs = nextMs
  }
  return longestMs
}
