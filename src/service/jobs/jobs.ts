/** Jobs as the API sees them: of every host, from the repository; those of this process with their progress. */
import { Failure } from '../../errors.ts'
import type { Repository } from '../../repository/repository.ts'
import { JOB_KINDS, type Job, type JobEvent, type JobFilter, type JobOrder, type Jobs } from '../contract.ts'
import type { ServiceWorld } from '../world.ts'
import type { JobStore } from './job-store.ts'
import type { JobRunner } from './runner.ts'
import { type Task, titleOf } from './task.ts'

const LIST_LIMIT = 100
/** Between two looks at a job of another host. */
const LOOK_MS = 5_000

export class ServiceJobs implements Jobs {
  readonly #parts: {
    readonly tasks: readonly Task[]
    readonly store: JobStore
    readonly runner: JobRunner
    readonly repository: Repository
    readonly world: ServiceWorld
  }

  constructor(parts: {
    readonly tasks: readonly Task[]
    readonly store: JobStore
    readonly runner: JobRunner
    readonly repository: Repository
    readonly world: ServiceWorld
  }) {
    this.#parts = parts
  }

  async list(filter: JobFilter = {}): Promise<readonly Job[]> {
    const { tasks, store } = this.#parts
    const { kind, source, state, limit = LIST_LIMIT } = filter
    const wanted = tasks.filter(
      (task) => (kind === undefined || task.kind === kind) && (source === undefined || task.source === source),
    )
    const found: Job[] = []
    for (const task of wanted) found.push(...(await store.newest(task.name, limit)))
    return found
      .filter((job) => state === undefined || job.state === state)
      .sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1))
      .slice(0, limit)
  }

  async find(id: string): Promise<Job | null> {
    return await this.#parts.store.find(id)
  }

  async start(order: JobOrder): Promise<Job> {
    const { runner, repository, world } = this.#parts
    const task = this.#taskOf(order)
    const job = await runner.start(task, {
      cause: 'request',
      dueMs: null,
      attempt: 1,
      requestedBy: order.requestedBy,
      reason: order.reason,
    })
    if (job === null) throw new Failure('cancelled', `${titleOf(task)} was stopped before it began`)
    await repository.audit.append({
      time: new Date(world.nowMs()).toISOString(),
      actor: order.requestedBy,
      action: 'job.request',
      subject: order.source ?? repository.id,
      outcome: 'done',
      detail: `${job.id}: ${order.reason}`,
    })
    return job
  }

  async cancel(id: string, { person, reason }: { readonly person: string; readonly reason: string }): Promise<void> {
    const { runner, repository, world } = this.#parts
    const job = await this.find(id)
    if (job === null) throw jobNotFound(id)
    const stop = new Failure('cancelled', `cancelled by ${person}`)
    if (!runner.cancel(id, stop)) {
      const why = job.state === 'running' ? `runs on ${job.host}` : `has ended: it is ${job.state}`
      throw new Failure('bad-usage', `job ${id} cannot be cancelled here: it ${why}`)
    }
    await repository.audit.append({
      time: new Date(world.nowMs()).toISOString(),
      actor: person,
      action: 'job.cancel',
      subject: job.source ?? repository.id,
      outcome: 'done',
      detail: `${id}: ${reason}`,
    })
  }

  async *follow(id: string, signal: AbortSignal): AsyncGenerator<JobEvent> {
    const { runner, world } = this.#parts
    if (runner.events.has(id)) {
      yield* runner.events.follow(id, signal)
      return
    }
    let last: string | null = null
    while (!signal.aborted) {
      const job = await this.find(id)
      if (job === null) throw jobNotFound(id)
      if (job.state !== last) yield { type: 'job', at: new Date(world.nowMs()).toISOString(), job }
      if (job.state !== 'running') return
      last = job.state
      await world.sleep(LOOK_MS, signal).catch(() => {})
    }
  }

  #taskOf({ kind, source }: JobOrder): Task {
    const ofKind = this.#parts.tasks.filter((task) => task.kind === kind)
    if (ofKind.length === 0) {
      const known = [...new Set(this.#parts.tasks.map((task) => task.kind))]
      const why = JOB_KINDS.includes(kind) ? 'this version cannot run' : 'there are no'
      throw new Failure('bad-usage', `${why} jobs of kind ${kind}; it can run ${known.join(', ')}`)
    }
    const wholes = ofKind.find((task) => task.source === null)
    if (wholes && source === undefined) return wholes
    const found = ofKind.find((task) => task.source === source || (source === undefined && ofKind.length === 1))
    if (found) return found
    const names = ofKind.flatMap((task) => (task.source === null ? [] : [task.source]))
    throw new Failure(
      'bad-usage',
      `${kind} of ${source ?? 'no named source'}: sources are ${names.join(', ') || 'none'}`,
    )
  }
}

function jobNotFound(id: string): Failure {
  return new Failure('not-found', `there is no job ${id}`, {
    hints: ['Jobs that are long past are in the audit only.'],
  })
}
