import { z } from '@hono/zod-openapi'
import type { ApiDependencies } from '../dependencies.ts'
import { ANYBODY, define, type Routes } from '../route.ts'
import { findingSchema } from '../schemas.ts'

const text = z.string()

const reportSchema = z
  .object({
    job: text,
    kind: text,
    source: text.nullable(),
    endedAt: text,
    verdict: z.enum(['done', 'passed', 'failed', 'inconclusive']),
    findings: z.array(findingSchema).readonly(),
    findingCount: z.int(),
  })
  .openapi('FindingReport')

const alarmSchema = z
  .object({
    id: text,
    kind: text,
    severity: z.enum(['critical', 'warning']),
    subject: text,
    text: z.object({ en: text, zh: text }),
    raisedAt: text,
    acknowledged: z.object({ by: text, at: text, reason: text }).nullable(),
    endedAt: text.nullable(),
    lastNotifiedAt: text.nullable(),
  })
  .openapi('Alarm')

export function registerAlarms(routes: Routes, { service }: ApiDependencies): void {
  define(
    routes,
    {
      method: 'get',
      path: '/v1/findings',
      summary: 'what the last verification of each kind said; one that never ran says nothing',
      tag: 'verification',
      roles: ANYBODY,
      result: z.object({ reports: z.array(reportSchema) }),
    },
    async () => ({ reports: [...(await service.findings())] }),
  )

  define(
    routes,
    {
      method: 'get',
      path: '/v1/alarms',
      summary: 'open alarms, newest first',
      tag: 'alarms',
      roles: ANYBODY,
      query: z.object({ all: z.enum(['true', 'false']).default('false') }),
      result: z.object({ alarms: z.array(alarmSchema) }),
    },
    async ({ query }) => ({ alarms: [...(await service.alarms.list({ all: query.all === 'true' }))] }),
  )

  define(
    routes,
    {
      method: 'post',
      path: '/v1/alarms/{alarm}/acknowledge',
      summary: 'take an alarm upon oneself: it is not repeated any more',
      tag: 'alarms',
      roles: ['operator'],
      params: z.object({ alarm: text.regex(/^[A-Za-z0-9-]{1,100}$/) }),
      body: z.strictObject({ reason: text.min(3).max(500) }),
      result: alarmSchema,
      writes: true,
    },
    async ({ params, body, caller }) =>
      await service.alarms.acknowledge(params.alarm, { person: caller.person, reason: body.reason }),
  )
}
