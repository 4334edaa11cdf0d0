/**
 * The service as a whole:
 *
 *     leadership ─ while it leads ─→ captures, scheduler ─→ runner ─→ kinds of work
 *     care       ─ always         ─→ watches ─→ book of alarms ─→ ways to people
 *
 * It holds nothing that matters: jobs, alarms and leases lie in the repository, and whoever is started next carries on.
 */
import { Failure, toFailureRecord } from '../errors.ts'
import type { Repository } from '../repository/repository.ts'
import { AlarmStore, alarmNotFound } from './alarm/alarm-store.ts'
import { AlarmBook } from './alarm/book.ts'
import type { Watch } from './alarm/condition.ts'
import { type Channel, Notifier } from './alarm/notifier.ts'
import type { CaptureKeeper } from './capture-keeper.ts'
import { Care, type CareParts } from './care.ts'
import type {
  Alarm,
  Alarms,
  FindingReport,
  Health,
  Job,
  JobKind,
  Service,
  ServiceState,
  TaskState,
} from './contract.ts'
import { deadlineOf, isSuccess } from './jobs/decide.ts'
import { JobStore } from './jobs/job-store.ts'
import { ServiceJobs } from './jobs/jobs.ts'
import { JobRunner } from './jobs/runner.ts'
import type { Task } from './jobs/task.ts'
import type { Kind } from './kinds/contract.ts'
import type { Kinds } from './kinds/table.ts'
import { followLeadership } from './leadership.ts'
import { ServiceMetrics } from './metrics.ts'
import { Scheduler } from './scheduler.ts'
import type { ServiceSettings } from './settings.ts'
import { watchCaptures, watchLoop } from './watch/machine.ts'
import { watchTasks } from './watch/tasks.ts'
import type { Log, ServiceWorld } from './world.ts'

const ALIVE_MS = 5 * 60_000
const REASON_CHARACTERS_MIN = 3

export interface ServiceParts {
  readonly repository: Repository
  readonly settings: ServiceSettings
  readonly kinds: Kinds
  readonly captures: (metrics: ServiceMetrics) => readonly CaptureKeeper[]
  /** Besides those of tasks, captures, store and clock. */
  readonly watches: (metrics: ServiceMetrics) => readonly Watch[]
  readonly channels: readonly Channel[]
  readonly heartbeat: CareParts['heartbeat']
  readonly world: ServiceWorld
  readonly log: Log
  /** Ends it well: what runs is told to stop, what has arrived is kept. */
  readonly signal: AbortSignal
}

export class ChartkeepService implements Service {
  readonly #parts: ServiceParts
  readonly #store: JobStore
  readonly #alarmStore: AlarmStore
  readonly #runner: JobRunner
  readonly #scheduler: Scheduler
  readonly #book: AlarmBook
  readonly #care: Care
  readonly #captures: readonly CaptureKeeper[]
  readonly #startedMs: number
  readonly jobs: ServiceJobs
  readonly metrics: ServiceMetrics
  readonly #hopeless = Promise.withResolvers<never>()
  #leads = false

  constructor(parts: ServiceParts) {
    const { repository, settings, kinds, channels, heartbeat, world, log, signal } = parts
    const { tasks, quiet, alarmRepeatMs: repeatMs, watchEveryMs, turnMs, leaseMs } = settings
    const { nowMs } = world
    this.#parts = parts
    this.#startedMs = nowMs()
    this.metrics = new ServiceMetrics({
      role: () => this.#role,
      isStoreUp: () => this.#care.isStoreUp,
      captures: () => this.#captures.map(({ state }) => state),
      openAlarms: () => this.#book.open,
      secondsSinceLoop: () => this.#secondsSinceLoop,
    })
    this.#store = new JobStore(repository)
    this.#alarmStore = new AlarmStore(repository)
    const store = this.#store
    const onEnd = (task: Task, job: Job) => this.#onEnd(task, job)
    const kindOf = (kind: JobKind) => presentKind(kinds, kind)
    this.#runner = new JobRunner({ repository, store, world, kindOf, leaseMs, log, signal, onEnd })
    this.#scheduler = new Scheduler({ tasks, store, runner: this.#runner, quiet, turnMs, world, log })
    this.jobs = new ServiceJobs({ tasks, store, runner: this.#runner, repository, world })
    this.#book = new AlarmBook({ store: this.#alarmStore, audit: repository.audit, world, log })
    this.#captures = parts.captures(this.metrics)
    const notifier = new Notifier({ channels, repeatMs, world, log })
    const schedulerTurn = () => (this.#leads ? this.#scheduler.lastTurnMs : null)
    this.#care = new Care({
      store: repository.store,
      book: this.#book,
      notifier,
      localWatches: [watchLoop('the scheduler', schedulerTurn, nowMs)],
      leaderWatches: [
        watchTasks({
          tasks,
          recordOf: (task) => this.#scheduler.recordOf(task),
          unreadOf: (task) => this.#scheduler.unreadOf(task),
          nowMs,
        }),
        watchCaptures(this.#captures, nowMs),
        ...parts.watches(this.metrics),
      ],
      watchEveryMs,
      turnMs,
      isLeader: () => this.#leads,
      heartbeat,
      world,
      log,
    })
  }

  /**
   * Until the signal fires and everything has ended.
   * @throws job-stalled when something of it stands still that only a new process can do: then end this one
   */
  async run(): Promise<void> {
    const { repository, settings, world, log, signal } = this.#parts
    await this.#audit('service.start')
    const lead = (term: AbortSignal) => this.#lead(term)
    const parts = { repository, world, log, leaseMs: settings.leaseMs, lead }
    await Promise.race([this.#hopeless.promise, Promise.all([followLeadership(parts, signal), this.#care.run(signal)])])
    await this.#runner.settled()
    await this.#audit('service.stop')
  }

  get alarms(): Alarms {
    return {
      list: async ({ all = false } = {}) => {
        const { alarms: kept } = await this.#alarmStore.readAll()
        const open = [...this.#book.unsaved, ...kept].filter(({ endedAt }) => endedAt === null)
        return [...open, ...(all ? kept.filter(({ endedAt }) => endedAt !== null) : [])].map(shownAlarm)
      },
      acknowledge: async (id, by) => {
        const { repository, world } = this.#parts
        return await acknowledge({ store: this.#alarmStore, repository, nowMs: world.nowMs() }, id, by)
      },
    }
  }

  async findings(): Promise<readonly FindingReport[]> {
    const reports: FindingReport[] = []
    for (const task of this.#parts.settings.tasks) {
      const jobs = this.#scheduler.recordOf(task)?.jobs ?? (await this.#store.newest(task.name, 8))
      const job = jobs.find(({ state, result }) => state === 'done' && result !== null && result.verdict !== 'done')
      if (!job?.result || job.endedAt === null) continue
      const { verdict, findings, findingCount } = job.result
      const { id, kind, source, endedAt } = job
      reports.push({ job: id, kind, source, endedAt, verdict, findings, findingCount })
    }
    return reports.sort((a, b) => (a.endedAt < b.endedAt ? 1 : -1))
  }

  async state(): Promise<ServiceState> {
    const { settings, world } = this.#parts
    const tasks: TaskState[] = []
    for (const task of settings.tasks) tasks.push(this.#stateOf(task))
    return {
      role: this.#role,
      startedAt: new Date(this.#startedMs).toISOString(),
      host: world.host,
      tasks,
      captures: this.#captures.map(({ state }) => state),
      openAlarms: this.#book.open.length,
    }
  }

  health(): Health {
    return {
      isAlive: this.#secondsSinceLoop * 1000 < ALIVE_MS,
      role: this.#role,
      openAlarms: this.#book.open.length,
      secondsSinceLoop: this.#secondsSinceLoop,
    }
  }

  get #role(): ServiceState['role'] {
    if (this.#parts.signal.aborted) return 'stopping'
    return this.#leads ? 'leader' : 'standby'
  }

  get #secondsSinceLoop(): number {
    const { nowMs } = this.#parts.world
    const turns = [this.#care.lastTurnMs, ...(this.#leads ? [this.#scheduler.lastTurnMs] : [])]
    return Math.max(0, (nowMs() - Math.min(...turns)) / 1000)
  }

  async #lead(term: AbortSignal): Promise<void> {
    this.#leads = true
    this.#care.wake()
    this.#scheduler.lastTurnMs = this.#parts.world.nowMs()
    try {
      const captures = this.#captures.map((keeper) => keeper.keep(term).catch(this.#hopeless.reject))
      await Promise.all([this.#scheduler.run(term), ...captures])
    } finally {
      this.#leads = false
      this.#scheduler.forgetAll()
    }
  }

  #onEnd(task: Task, job: Job): void {
    this.#scheduler.forget(task)
    this.metrics.jobEnded(task, job)
    if (isSuccess(job)) this.metrics.lastSuccess(task, job)
  }

  #stateOf(task: Task): TaskState {
    const { kind, source, schedule } = task
    const nowMs = this.#parts.world.nowMs()
    const record = this.#scheduler.recordOf(task)
    const deadlineMs = record && deadlineOf(task, record.lastSuccess, record.sinceMs, nowMs)
    return {
      kind,
      source,
      schedule: schedule?.text ?? null,
      nextDueAt: schedule ? new Date(schedule.nextDue(nowMs)).toISOString() : null,
      lastSuccessAt: record?.lastSuccess?.endedAt ?? null,
      deadlineAt: deadlineMs === null ? null : new Date(deadlineMs).toISOString(),
      running: this.#runner.runningOf(task.name)?.job ?? null,
    }
  }

  /** A service that cannot say that it began begins all the same: the store may be what is down. */
  async #audit(action: string): Promise<void> {
    const { repository, world, log } = this.#parts
    const time = new Date(world.nowMs()).toISOString()
    try {
      const entry = { time, actor: world.host, action, subject: repository.id, detail: '' }
      await repository.audit.append({ ...entry, outcome: 'done' })
    } catch (error) {
      const { code, message } = toFailureRecord(error)
      log({ level: 'warn', event: 'service.not-in-audit', action, code, message })
    }
  }
}

/** Also for the command, which has no service. @throws not-found, bad-usage, store-… */
export async function acknowledge(
  { store, repository, nowMs }: { store: AlarmStore; repository: Repository; nowMs: number },
  id: string,
  { person, reason }: { readonly person: string; readonly reason: string },
): Promise<Alarm> {
  if (reason.trim().length < REASON_CHARACTERS_MIN) {
    throw new Failure('bad-usage', 'an alarm is acknowledged for a reason, and none was given', {
      hints: ['Say what was found, or who looks after it.'],
    })
  }
  const alarm = await store.read(id)
  if (alarm === null) throw alarmNotFound(id)
  const at = new Date(nowMs).toISOString()
  await store.append(alarm.id, { type: 'acknowledged', at, by: person, reason: reason.trim() })
  const deed = { time: at, actor: person, action: 'alarm.acknowledge', subject: alarm.subject }
  await repository.audit.append({ ...deed, outcome: 'done', detail: `${alarm.id} ${alarm.kind}: ${reason.trim()}` })
  return shownAlarm({ ...alarm, acknowledged: { by: person, at, reason: reason.trim() } })
}

function shownAlarm<Kept extends Alarm & { readonly key: string; readonly events: number }>(kept: Kept): Alarm {
  const { key: _, events: __, ...alarm } = kept
  return alarm
}

function presentKind(kinds: Kinds, kind: JobKind): Kind {
  const found = kinds[kind]
  if (found) return found
  throw new Failure('bad-usage', `this version cannot run jobs of kind ${kind}`)
}
