import { z } from '@hono/zod-openapi'
import type { ApiDependencies } from '../dependencies.ts'
import { define, type Routes } from '../route.ts'
import { limitQuery } from '../schemas.ts'

const entrySchema = z
  .object({
    sequence: z.int(),
    previous: z.string().nullable(),
    time: z.string(),
    actor: z.string(),
    action: z.string(),
    subject: z.string(),
    outcome: z.enum(['done', 'failed', 'refused']),
    detail: z.string(),
  })
  .openapi('AuditEntry')

/** Whoever reads the record stands in it, too. */
export function registerAudit(routes: Routes, { repository, nowMs }: ApiDependencies): void {
  define(
    routes,
    {
      method: 'get',
      path: '/v1/audit',
      summary: 'what was done by whom, verified link by link, oldest first',
      tag: 'audit',
      roles: ['auditor'],
      query: z.object({
        from: z.coerce.number().int().min(0).max(9_999_999_999).default(0),
        limit: limitQuery(100, 500),
      }),
      result: z.object({ entries: z.array(entrySchema), next: z.int().nullable() }),
    },
    async ({ query, caller }) => {
      const { from, limit } = query
      const deed = { actor: caller.actor, action: 'audit.read', subject: '', detail: `${limit} from ${from}` }
      const entries = await repository.audit.around(deed, nowMs, () => repository.audit.readFrom(from, limit + 1))
      const next = entries.length > limit ? from + limit : null
      return { entries: entries.slice(0, limit), next }
    },
  )
}
