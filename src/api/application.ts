/**
 * The API of `chartkeep serve`: programs and people ask, and everything is done by what lies below.
 *
 *     request ─→ id ─→ who asks (authentication.ts) ─→ role, schemas (route.ts) ─→ turn, time, key (carry-out.ts)
 *             ─→ src/restore, src/verify, src/backup, src/service ─→ what the result's schema names
 *
 * Patients are asked for in bodies, never in paths or queries: those stand in the logs of everything in between.
 */
import { OpenAPIHono } from '@hono/zod-openapi'
import { Failure, toFailureRecord } from '../errors.ts'
import { tool } from '../tool.ts'
import { Authentication, Later } from './authentication.ts'
import { Carrier } from './carry-out.ts'
import { type ApiDependencies, USUAL_LIMITS } from './dependencies.ts'
import { Housekeeping } from './housekeeping.ts'
import { ApiMetrics } from './metrics.ts'
import { problemOf, problemResponse } from './problem.ts'
import type { ApiContext, ApiEnv, Routes } from './route.ts'
import { registerAlarms } from './routes/alarms.ts'
import { registerApprovals } from './routes/approvals.ts'
import { registerAudit } from './routes/audit.ts'
import { registerCertificates } from './routes/certificates.ts'
import { registerEvidence } from './routes/evidence.ts'
import { registerHealth } from './routes/health.ts'
import { registerJobs } from './routes/jobs.ts'
import { registerPatients } from './routes/patients.ts'
import { registerPlanMaking } from './routes/plan-making.ts'
import { registerPlans } from './routes/plans.ts'
import { registerSources } from './routes/sources.ts'
import { registerTimeline } from './routes/timeline.ts'

export type { ApiDependencies, ApiLimits } from './dependencies.ts'

export type Api = OpenAPIHono<ApiEnv>

/** Neither of these asks who it is: what keeps watch must get an answer whatever has become of tokens. */
const OPEN_PATHS = ['/health', '/openapi.json']

export function createApi(dependencies: ApiDependencies): Api {
  const limits = { ...USUAL_LIMITS, ...dependencies.limits }
  const { repository, nowMs } = dependencies
  const authentication = new Authentication(repository, nowMs, limits)
  const metrics = new ApiMetrics()
  const housekeeping = new Housekeeping(dependencies)
  const app: Api = new OpenAPIHono<ApiEnv>()

  app.use(async (context, next) => {
    const startedMs = nowMs()
    begin(context, dependencies)
    await next()
    finish(context)
    metrics.answered(context, Math.max(0, nowMs() - startedMs))
    dependencies.onAnswered?.(recordOf(context, nowMs() - startedMs))
  })
  app.use(async (context, next) => {
    if (OPEN_PATHS.includes(context.req.path)) return await next()
    context.set('caller', await callerOf(context, authentication))
    await next()
    housekeeping.now()
  })
  app.onError((error, context) => failed(error, context))
  app.notFound((context) => failed(new Failure('not-found', 'there is no such path, or not by this method'), context))

  const routes: Routes = { app, limits, carryOut: new Carrier(dependencies, limits).carryOut }
  registerHealth(routes, dependencies, metrics)
  registerSources(routes, dependencies)
  registerPatients(routes, dependencies)
  registerTimeline(routes, dependencies)
  registerPlanMaking(routes, dependencies)
  registerPlans(routes, dependencies)
  registerApprovals(routes, dependencies)
  registerJobs(routes, dependencies, authentication)
  registerAlarms(routes, dependencies)
  registerEvidence(routes, dependencies)
  registerCertificates(routes, dependencies)
  registerAudit(routes, dependencies)
  registerDocument(app)
  return app
}

function begin(context: ApiContext, { random }: ApiDependencies): void {
  context.set('requestId', Buffer.from(random(8)).toString('hex'))
  context.set('caller', null)
  context.set('route', 'unknown')
  context.set('defect', null)
}

async function callerOf(context: ApiContext, authentication: Authentication) {
  return await authentication.callerOf({
    authorization: context.req.header('authorization'),
    address: addressOf(context),
  })
}

/** As the socket has it: a header could say anything. */
function addressOf(context: ApiContext): string {
  const env: unknown = context.env
  if (typeof env !== 'object' || env === null || !('incoming' in env)) return 'unknown'
  const { incoming } = env as { incoming?: { socket?: { remoteAddress?: string } } }
  return incoming?.socket?.remoteAddress ?? 'unknown'
}

function failed(error: Error, context: ApiContext): Response {
  const problem = problemOf(error, context.get('requestId'))
  if (problem.code === 'defect') context.set('defect', toFailureRecord(error).message)
  return problemResponse(problem, error instanceof Later ? error.seconds : null)
}

/** Answers are of the moment and for the one who asked; and no browser is to guess what they are. */
function finish({ res, get }: ApiContext): void {
  res.headers.set('X-Request-Id', get('requestId'))
  res.headers.set('Cache-Control', 'no-store')
  res.headers.set('X-Content-Type-Options', 'nosniff')
  res.headers.set('Content-Security-Policy', "default-src 'none'")
}

function recordOf(context: ApiContext, milliseconds: number) {
  return {
    requestId: context.get('requestId'),
    method: context.req.method,
    route: context.get('route'),
    status: context.res.status,
    milliseconds,
    tokenId: context.get('caller')?.tokenId ?? null,
    defect: context.get('defect'),
  }
}

function registerDocument(app: Api): void {
  app.openAPIRegistry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' })
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'chartkeep',
      version: tool.version,
      description:
        'Backup, recovery and integrity of an intensive-care database. Every error is a problem document (RFC 9457) whose `code` is one of docs/errors.md.',
    },
  })
  const text = JSON.stringify(document)
  app.get('/openapi.json', (context) => {
    context.set('route', '/openapi.json')
    return context.body(text, 200, { 'Content-Type': 'application/json' })
  })
}
