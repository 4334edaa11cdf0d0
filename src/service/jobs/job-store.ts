/**
 * The record of every job, in the repository: an object when it begins, another when it has ended. A job that has no end
 * runs, or its process died: whoever gets the lease of the task knows which.
 *
 *     jobs/<task>/<n>      written under the lease of the task, before anything else is done
 *     job-ends/<task>/<n>  how it ended
 *     jobs/<task>/since    when the service first saw the task: the absence of a success counts from there
 */
import { z } from 'zod'
import { Failure, toFailureRecord } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../../repository/canonical-json.ts'
import { isDamage } from '../../repository/damage.ts'
import { JOB_END_PREFIX, JOB_PREFIX, numbered } from '../../repository/layout.ts'
import type { Repository } from '../../repository/repository.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'
import { JOB_KINDS, type Job, type JobResult } from '../contract.ts'

const KEPT_PER_TASK = 1_000
/** Deletions in one go, so that none holds up a job. */
const TRIMMED_AT_ONCE = 100
const ENDED_CACHED = 500
const SINCE = 'since'

const jobSchema = z.strictObject({
  task: z.string(),
  number: z.int().nonnegative(),
  kind: z.enum(JOB_KINDS),
  source: z.string().nullable(),
  cause: z.enum(['schedule', 'catch-up', 'retry', 'request']),
  requestedBy: z.string(),
  reason: z.string(),
  host: z.string(),
  token: z.int().nonnegative(),
  attempt: z.int().positive(),
  dueAt: z.string().nullable(),
  startedAt: z.string(),
})
const failureSchema = z.object({
  code: z.string(),
  message: z.string(),
  hints: z.array(z.string()),
  context: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
})
const resultSchema = z.object({
  verdict: z.enum(['done', 'passed', 'failed', 'inconclusive']),
  made: z.string().nullable(),
  figures: z.record(z.string(), z.number()),
  findings: z.array(z.looseObject({ kind: z.string(), severity: z.string(), message: z.string() })),
  findingCount: z.int().nonnegative(),
  remarks: z.array(z.string()),
})
const endSchema = z.strictObject({
  task: z.string(),
  number: z.int().nonnegative(),
  state: z.enum(['done', 'failed', 'cancelled', 'abandoned']),
  endedAt: z.string(),
  failure: failureSchema.nullable(),
  result: resultSchema.nullable(),
})
const sinceSchema = z.strictObject({ since: z.string() })

type Begun = z.infer<typeof jobSchema>
type End = z.infer<typeof endSchema>

export type NewJob = Omit<Begun, 'number'>
export type JobEnd = Pick<Job, 'failure' | 'result'> & { readonly state: End['state']; readonly endedAt: string }

export class JobStore {
  readonly #repository: Repository
  /** Jobs that have ended never change: read once. */
  readonly #ended = new Map<string, Job>()

  constructor(repository: Repository) {
    this.#repository = repository
  }

  /** Durable on return. Under the lease of the task. @throws store-… */
  async begin(job: NewJob): Promise<Job> {
    const numbers = await this.#numbers(job.task)
    for (let number = (numbers.at(-1) ?? -1) + 1; ; number += 1) {
      try {
        const name = numbered(`${JOB_PREFIX}${job.task}/`, number)
        await this.#repository.sealed.write(name, OBJECT_TYPES.job, canonicalBytes({ ...job, number }))
        return toJob({ ...job, number }, null)
      } catch (error) {
        // A listing that does not show the newest (F17).
        if (!(error instanceof Failure && error.code === 'object-exists')) throw error
      }
    }
  }

  /** Durable on return. Somebody else may have said before that it is over: then that stands. @throws store-… */
  async end(id: string, end: JobEnd): Promise<void> {
    const place = placeOf(id)
    if (place === null) throw new Failure('defect', `assertion failed: ${id} is a job`)
    const { task, number } = place
    const name = numbered(`${JOB_END_PREFIX}${task}/`, number)
    try {
      await this.#repository.sealed.write(name, OBJECT_TYPES.jobEnd, canonicalBytes({ task, number, ...end }))
    } catch (error) {
      if (!(error instanceof Failure && error.code === 'object-exists')) throw error
    }
  }

  /** Newest first. One whose record is damaged has failed by that, and keeps no other from being run. @throws store-… */
  async newest(task: string, limit: number): Promise<Job[]> {
    const numbers = (await this.#numbers(task)).slice(-limit)
    const jobs: Job[] = []
    for (const number of numbers.reverse()) {
      const job = await this.#read(task, number).catch((error) => {
        if (isDamage(error)) return damagedJob(task, number, error)
        throw error
      })
      jobs.push(job)
    }
    return jobs
  }

  /** Null when there is none. @throws store-…, repository-damaged */
  async find(id: string): Promise<Job | null> {
    const place = placeOf(id)
    if (place === null) return null
    try {
      return await this.#read(place.task, place.number)
    } catch (error) {
      if (error instanceof Failure && error.code === 'object-missing') return null
      throw error
    }
  }

  /** When the task was first seen, by the clock of whoever did; 0 when nobody can tell any more. @throws store-… */
  async since(task: string, nowMs: number): Promise<number> {
    const name = `${JOB_PREFIX}${task}/${SINCE}`
    const since = { since: new Date(nowMs).toISOString() }
    try {
      await this.#repository.sealed.write(name, OBJECT_TYPES.job, canonicalBytes(since))
      return nowMs
    } catch (error) {
      if (!(error instanceof Failure && error.code === 'object-exists')) throw error
    }
    try {
      const bytes = await this.#repository.sealed.read(name, OBJECT_TYPES.job)
      return Date.parse(sinceSchema.parse(parseCanonical(bytes, name)).since)
    } catch (error) {
      if (isDamage(error) || error instanceof z.ZodError) return 0
      throw error
    }
  }

  /** The audit keeps what was done; records beyond the newest go. Best effort. */
  async trim(task: string): Promise<void> {
    const numbers = await this.#numbers(task)
    const old = numbers.slice(0, Math.max(0, numbers.length - KEPT_PER_TASK)).slice(0, TRIMMED_AT_ONCE)
    for (const number of old) {
      await this.#repository.store.delete(numbered(`${JOB_PREFIX}${task}/`, number))
      await this.#repository.store.delete(numbered(`${JOB_END_PREFIX}${task}/`, number))
    }
  }

  /** In order. */
  async #numbers(task: string): Promise<number[]> {
    const prefix = `${JOB_PREFIX}${task}/`
    const names = await this.#repository.sealed.names(prefix)
    return names.filter((name) => !name.endsWith(`/${SINCE}`)).map((name) => Number(name.slice(prefix.length)))
  }

  async #read(task: string, number: number): Promise<Job> {
    const known = this.#ended.get(`${task}-${number}`)
    if (known) return known
    const job = await this.#readAnew(task, number)
    if (job.state !== 'running') this.#ended.set(job.id, job)
    if (this.#ended.size > ENDED_CACHED) this.#ended.delete(this.#ended.keys().next().value!)
    return job
  }

  async #readAnew(task: string, number: number): Promise<Job> {
    const { sealed } = this.#repository
    const name = numbered(`${JOB_PREFIX}${task}/`, number)
    const begun = jobSchema.safeParse(parseCanonical(await sealed.read(name, OBJECT_TYPES.job), name))
    if (!begun.success || begun.data.task !== task || begun.data.number !== number) throw damaged(name)
    return toJob(begun.data, await this.#readEnd(task, number))
  }

  async #readEnd(task: string, number: number): Promise<End | null> {
    const name = numbered(`${JOB_END_PREFIX}${task}/`, number)
    if ((await this.#repository.store.stat(name)) === null) return null
    const bytes = await this.#repository.sealed.read(name, OBJECT_TYPES.jobEnd)
    const parsed = endSchema.safeParse(parseCanonical(bytes, name))
    if (!parsed.success || parsed.data.task !== task || parsed.data.number !== number) throw damaged(name)
    return parsed.data
  }
}

function placeOf(id: string): { readonly task: string; readonly number: number } | null {
  const [, task, number] = /^([a-z]+-[0-9a-f]{16})-(\d{1,10})$/.exec(id) ?? []
  return task === undefined ? null : { task, number: Number(number) }
}

function toJob({ task, number, reason: _, ...begun }: Begun, end: End | null): Job {
  return {
    id: `${task}-${number}`,
    ...begun,
    state: end?.state ?? 'running',
    endedAt: end?.endedAt ?? null,
    // As this version or another wrote them: a code that this one does not know is shown as it is.
    failure: (end?.failure ?? null) as Job['failure'],
    result: (end?.result ?? null) as JobResult | null,
  }
}

/** What stands in for it: when it was due and what came of it is not known. */
function damagedJob(task: string, number: number, error: Failure): Job {
  return {
    id: `${task}-${number}`,
    kind: JOB_KINDS.find((kind) => task.startsWith(`${kind}-`)) ?? 'check',
    source: null,
    state: 'failed',
    cause: 'schedule',
    requestedBy: '',
    host: '',
    token: 0,
    attempt: 1,
    dueAt: null,
    startedAt: '',
    endedAt: null,
    failure: toFailureRecord(error),
    result: null,
  }
}

function damaged(name: string): Failure {
  return new Failure('repository-damaged', `object ${name} is not the record of a job`, { context: { object: name } })
}
