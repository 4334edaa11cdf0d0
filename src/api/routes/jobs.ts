import { z } from '@hono/zod-openapi'
import { Failure } from '../../errors.ts'
import { JOB_KINDS, type Job, type JobFilter } from '../../service/contract.ts'
import type { Authentication } from '../authentication.ts'
import type { ApiDependencies } from '../dependencies.ts'
import { streamEvents } from '../event-stream.ts'
import { ANYBODY, define, type Routes } from '../route.ts'
import { findingSchema, limitQuery } from '../schemas.ts'
import { configuredSource } from './sources.ts'

const text = z.string()
const JOB_ID = /^[A-Za-z0-9-]{1,100}$/
const TAG = 'jobs'

const resultSchema = z.object({
  verdict: z.enum(['done', 'passed', 'failed', 'inconclusive']),
  made: text.nullable(),
  figures: z.record(text, z.number()).readonly(),
  findings: z.array(findingSchema).readonly(),
  findingCount: z.int(),
  remarks: z.array(text).readonly(),
})

const jobSchema = z
  .object({
    id: text,
    kind: z.enum(JOB_KINDS),
    source: text.nullable(),
    state: z.enum(['running', 'done', 'failed', 'cancelled', 'abandoned']),
    cause: z.enum(['schedule', 'catch-up', 'retry', 'request']),
    requestedBy: text,
    host: text,
    token: z.number(),
    attempt: z.int(),
    dueAt: text.nullable(),
    startedAt: text,
    endedAt: text.nullable(),
    failure: z.object({ code: text, message: text, hints: z.array(text).readonly() }).nullable(),
    result: resultSchema.nullable(),
  })
  .openapi('Job')

const jobParam = z.object({ job: text.regex(JOB_ID) })
const reason = text.min(3).max(500)

export function registerJobs(routes: Routes, dependencies: ApiDependencies, authentication: Authentication): void {
  const { configuration, service } = dependencies

  define(
    routes,
    {
      method: 'get',
      path: '/v1/jobs',
      summary: 'jobs of every host, newest first',
      tag: TAG,
      roles: ANYBODY,
      query: z.object({
        kind: z.enum(JOB_KINDS).optional(),
        source: text.max(40).optional(),
        state: jobSchema.shape.state.optional(),
        limit: limitQuery(50, 200),
      }),
      result: z.object({ jobs: z.array(jobSchema) }),
    },
    async ({ query }) => ({ jobs: [...(await service.jobs.list(given(query)))] }),
  )

  define(
    routes,
    {
      method: 'post',
      path: '/v1/jobs',
      summary: 'start a job now',
      tag: TAG,
      roles: ['operator'],
      body: z.strictObject({ kind: z.enum(JOB_KINDS), source: text.max(40).optional(), reason }),
      result: jobSchema,
      status: 202,
      once: true,
      writes: true,
    },
    async ({ body, caller }) => {
      if (body.source !== undefined) configuredSource(configuration, body.source)
      const { kind, source } = body
      return await service.jobs.start({
        kind,
        ...(source !== undefined && { source }),
        requestedBy: caller.person,
        reason: body.reason,
      })
    },
  )

  define(
    routes,
    {
      method: 'get',
      path: '/v1/jobs/{job}',
      summary: 'one job',
      tag: TAG,
      roles: ANYBODY,
      params: jobParam,
      result: jobSchema,
    },
    async ({ params }) => await knownJob(dependencies, params.job),
  )

  define(
    routes,
    {
      method: 'post',
      path: '/v1/jobs/{job}/cancel',
      summary: 'stop a job; what is durable stays',
      tag: TAG,
      roles: ['operator'],
      params: jobParam,
      body: z.strictObject({ reason }),
      result: jobSchema,
      status: 202,
      writes: true,
    },
    async ({ params, body, caller }) => {
      await knownJob(dependencies, params.job)
      await service.jobs.cancel(params.job, { person: caller.person, reason: body.reason })
      return await knownJob(dependencies, params.job)
    },
  )

  streamEvents(routes, dependencies, authentication, (id) => knownJob(dependencies, id))
}

/** @throws not-found */
async function knownJob({ service }: ApiDependencies, id: string): Promise<Job> {
  const job = await service.jobs.find(id)
  if (job) return job
  throw new Failure('not-found', 'there is no job of this id', { hints: ['GET /v1/jobs lists them.'] })
}

type Query = { [Key in keyof JobFilter]?: JobFilter[Key] | undefined }

function given({ kind, source, state, limit }: Query): JobFilter {
  return {
    ...(kind !== undefined && { kind }),
    ...(source !== undefined && { source }),
    ...(state !== undefined && { state }),
    ...(limit !== undefined && { limit }),
  }
}
