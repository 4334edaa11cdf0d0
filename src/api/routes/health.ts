import { z } from '@hono/zod-openapi'
import { tool } from '../../tool.ts'
import type { ApiDependencies } from '../dependencies.ts'
import type { ApiMetrics } from '../metrics.ts'
import { ANYBODY, define, defineRaw, type Routes } from '../route.ts'

const health = z
  .object({
    /** Of the loop that starts what is due. */
    alive: z.boolean(),
    role: z.enum(['leader', 'standby', 'stopping']),
    openAlarms: z.int(),
    secondsSinceLoop: z.number(),
    version: z.string(),
  })
  .openapi('Health')

const task = z.object({
  kind: z.string(),
  source: z.string().nullable(),
  schedule: z.string().nullable(),
  nextDueAt: z.string().nullable(),
  lastSuccessAt: z.string().nullable(),
  deadlineAt: z.string().nullable(),
  running: z.string().nullable(),
})
const capture = z.object({
  source: z.string(),
  state: z.enum(['running', 'pausing', 'elsewhere', 'stopped']),
  reason: z.string(),
  restarts: z.int(),
})
const state = z
  .object({
    role: z.enum(['leader', 'standby', 'stopping']),
    startedAt: z.string(),
    host: z.string(),
    tasks: z.array(task),
    captures: z.array(capture),
    openAlarms: z.int(),
  })
  .openapi('ServiceState')

const me = z
  .object({ person: z.string(), role: z.string(), token: z.string(), expiresAt: z.string() })
  .openapi('Caller')

/** `/health` answers from memory, so that it answers while the store or the database does not. */
export function registerHealth(routes: Routes, { service }: ApiDependencies, metrics: ApiMetrics): void {
  routes.app.openAPIRegistry.registerPath({
    method: 'get',
    path: '/health',
    summary: 'whether the service lives',
    tags: ['service'],
    responses: {
      200: { description: 'it does', content: { 'application/json': { schema: health } } },
      503: { description: 'its loop stands still', content: { 'application/json': { schema: health } } },
    },
  })
  routes.app.get('/health', (context) => {
    context.set('route', '/health')
    const { isAlive, role, openAlarms, secondsSinceLoop } = service.health()
    const body = { alive: isAlive, role, openAlarms, secondsSinceLoop, version: tool.version }
    return Response.json(body, { status: isAlive ? 200 : 503 })
  })

  defineRaw(
    routes,
    {
      method: 'get',
      path: '/metrics',
      summary: 'figures for Prometheus',
      tag: 'service',
      roles: ANYBODY,
      contentType: 'text/plain',
    },
    async () => {
      const text = `${await service.metrics.text()}\n${await metrics.text()}`
      return new Response(text, { headers: { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' } })
    },
  )

  define(
    routes,
    { method: 'get', path: '/v1/me', summary: 'who this token is', tag: 'service', roles: ANYBODY, result: me },
    async ({ caller: { person, role, tokenId, expiresAt } }) => ({ person, role, token: tokenId, expiresAt }),
  )

  define(
    routes,
    {
      method: 'get',
      path: '/v1/service',
      summary: 'what the service does and when',
      tag: 'service',
      roles: ANYBODY,
      result: state,
    },
    async () => {
      const { tasks, captures, ...rest } = await service.state()
      return {
        ...rest,
        tasks: tasks.map(({ running, ...each }) => ({ ...each, running: running?.id ?? null })),
        captures: [...captures],
      }
    },
  )
}
