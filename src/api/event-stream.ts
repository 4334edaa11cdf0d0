/**
 * How a job goes, as server-sent events: `event: job`, `progress`, `note`, each with JSON; a comment now and then while
 * nothing happens. A stream ends with the job, with its token, or after a quarter of an hour: clients come again by
 * themselves, and the first event tells where the job is. One that does not read is let go of: nothing piles up here.
 */
import { z } from '@hono/zod-openapi'
import { type SSEStreamingApi, streamSSE } from 'hono/streaming'
import { Failure } from '../errors.ts'
import type { Job, JobEvent } from '../service/contract.ts'
import type { Authentication } from './authentication.ts'
import type { ApiDependencies } from './dependencies.ts'
import { invalidRequest, PROBLEM_TYPE, problemSchema } from './problem.ts'
import type { Routes } from './route.ts'

const KEEP_ALIVE_MS = 15_000
/** A client that has not taken an event in this time does not read. */
const WRITE_MS = 20_000

const jobParam = z.object({ job: z.string().regex(/^[A-Za-z0-9-]{1,100}$/) })

export function streamEvents(
  { app, limits }: Routes,
  { service, signal }: ApiDependencies,
  authentication: Authentication,
  findJob: (id: string) => Promise<Job>,
): void {
  let open = 0
  documentStream(app)
  app.get('/v1/jobs/:job/events', async (context) => {
    context.set('route', '/v1/jobs/{job}/events')
    const caller = context.get('caller')
    if (caller === null) throw new Failure('token-refused', 'no token, or none that is good')
    const params = jobParam.safeParse(context.req.param())
    if (!params.success) throw invalidRequest('path', params.error)
    await findJob(params.data.job)
    if (open >= limits.streams) {
      throw new Failure('too-many-requests', `${limits.streams} streams are open already`)
    }
    open += 1
    const life = new AbortController()
    const timer = setTimeout(() => life.abort(), limits.streamLifeMs)
    const end = () => {
      clearTimeout(timer)
      open -= 1
    }
    const events = service.jobs.follow(params.data.job, AbortSignal.any([signal, life.signal]))
    return streamSSE(context, async (stream) => {
      stream.onAbort(() => life.abort())
      const isGood = async () => await authentication.isStillGood(caller.tokenId)
      try {
        await pass(stream, events, isGood)
      } finally {
        life.abort()
        end()
      }
    })
  })
}

async function pass(
  stream: SSEStreamingApi,
  events: AsyncIterable<JobEvent>,
  isGood: () => Promise<boolean>,
): Promise<void> {
  const iterator = events[Symbol.asyncIterator]()
  try {
    let next = iterator.next()
    while (!stream.aborted) {
      const found = await Promise.race([next, pause(KEEP_ALIVE_MS)])
      if (!(await isGood())) return
      if (found === 'nothing') {
        if (!(await taken(stream.write(': still there\n\n')))) return
        continue
      }
      if (found.done) return
      const { type, ...data } = found.value
      if (!(await taken(stream.writeSSE({ event: type, data: JSON.stringify(data) })))) return
      next = iterator.next()
    }
  } finally {
    // Not waited for: it may hang on an event that never comes.
    iterator.return?.().catch(() => {})
  }
}

async function taken(written: Promise<unknown>): Promise<boolean> {
  return (await Promise.race([written.then(() => 'taken'), pause(WRITE_MS)])) === 'taken'
}

function pause(ms: number): Promise<'nothing'> {
  return new Promise((resolve) => setTimeout(() => resolve('nothing'), ms).unref())
}

function documentStream(app: Routes['app']): void {
  const problem = { description: 'refused', content: { [PROBLEM_TYPE]: { schema: problemSchema } } }
  app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/v1/jobs/{job}/events',
    summary: 'how a job goes, as server-sent events',
    tags: ['jobs'],
    security: [{ token: [] }],
    request: { params: jobParam },
    responses: {
      200: { description: 'events until it ends', content: { 'text/event-stream': { schema: z.string() } } },
      ...Object.fromEntries([400, 401, 403, 404, 429, 500, 503].map((status) => [status, problem])),
    },
  })
}
