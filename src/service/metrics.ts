/** The service in Prometheus' text. Labels are names of the configuration and words of ours: no patient, no row (I9). */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ProtectionStatus } from '../backup/status.ts'
import type { Alarm, CaptureState, Job, Metrics, ServiceState } from './contract.ts'
import type { Task } from './jobs/task.ts'

const BUCKETS_SECONDS = [1, 10, 60, 300, 1800, 7200, 28_800]
const TASK_LABELS = ['kind', 'source']

export interface MetricsLook {
  readonly role: () => ServiceState['role']
  readonly isStoreUp: () => boolean
  readonly captures: () => readonly CaptureState[]
  readonly openAlarms: () => readonly Alarm[]
  readonly secondsSinceLoop: () => number
}

export class ServiceMetrics implements Metrics {
  readonly #registry = new Registry()
  readonly #jobs: Counter
  readonly #jobSeconds: Histogram
  readonly #lastSuccess: Gauge
  readonly #protectedUntil: Gauge
  readonly #segmentLag: Gauge
  readonly #retained: Gauge

  constructor(look: MetricsLook) {
    const registers = [this.#registry]
    const gauge = (name: string, help: string, labelNames: string[] = []) =>
      new Gauge({ name: `chartkeep_${name}`, help, labelNames, registers })
    const jobs = { name: 'chartkeep_jobs_total', help: 'Jobs that ended here.', labelNames: [...TASK_LABELS, 'state'] }
    this.#jobs = new Counter({ ...jobs, registers })
    this.#jobSeconds = new Histogram({
      name: 'chartkeep_job_seconds',
      help: 'How long jobs took that were done.',
      labelNames: TASK_LABELS,
      buckets: BUCKETS_SECONDS,
      registers,
    })
    this.#lastSuccess = gauge('job_last_success_timestamp_seconds', 'End of the last success.', TASK_LABELS)
    this.#protectedUntil = gauge('protected_until_timestamp_seconds', 'Up to when a state can be had.', ['source'])
    this.#segmentLag = gauge('capture_lag_seconds', 'From the last commit kept to its being durable.', ['source'])
    this.#retained = gauge('slot_retained_bytes', 'What the database keeps for our slot.', ['source'])
    const live = (name: string, help: string, value: () => number) =>
      new Gauge({ name: `chartkeep_${name}`, help, registers, collect: setTo(value) })
    live('leader', '1 while this service leads.', () => (look.role() === 'leader' ? 1 : 0))
    live('store_up', '1 while the store answers.', () => (look.isStoreUp() ? 1 : 0))
    live('loop_age_seconds', 'Since the loops last turned.', look.secondsSinceLoop)
    const alarms = { name: 'chartkeep_alarms_open', help: 'Alarms that are open.', labelNames: ['kind', 'severity'] }
    new Gauge({ ...alarms, registers, collect: collectAlarms(look) })
    const captures = {
      name: 'chartkeep_capture_up',
      help: '1 while a source is captured here.',
      labelNames: ['source'],
    }
    new Gauge({ ...captures, registers, collect: collectCaptures(look) })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  async text(): Promise<string> {
    return await this.#registry.metrics()
  }

  jobEnded(task: Task, { state, startedAt, endedAt }: Job): void {
    const labels = labelsOf(task)
    this.#jobs.inc({ ...labels, state })
    if (state !== 'done' || endedAt === null) return
    this.#jobSeconds.observe(labels, Math.max(0, (Date.parse(endedAt) - Date.parse(startedAt)) / 1000))
  }

  lastSuccess(task: Task, job: Job): void {
    if (job.endedAt !== null) this.#lastSuccess.set(labelsOf(task), Date.parse(job.endedAt) / 1000)
  }

  status({ source, protectedUntil, slot }: ProtectionStatus): void {
    if (protectedUntil !== null) this.#protectedUntil.set({ source }, Date.parse(protectedUntil) / 1000)
    if (slot) this.#retained.set({ source }, slot.retainedBytes)
  }

  sealed(source: string, lagMs: number | null): void {
    if (lagMs !== null) this.#segmentLag.set({ source }, lagMs / 1000)
  }
}

function labelsOf({ kind, source }: Task): { kind: string; source: string } {
  return { kind, source: source ?? '' }
}

function setTo(value: () => number): (this: Gauge) => void {
  return function collect() {
    this.set(value())
  }
}

function collectAlarms({ openAlarms }: MetricsLook): (this: Gauge) => void {
  return function collect() {
    this.reset()
    for (const { kind, severity } of openAlarms()) this.inc({ kind, severity })
  }
}

function collectCaptures({ captures }: MetricsLook): (this: Gauge) => void {
  return function collect() {
    for (const { source, state } of captures()) this.set({ source }, state === 'running' ? 1 : 0)
  }
}
