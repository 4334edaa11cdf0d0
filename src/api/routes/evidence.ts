import { z } from '@hono/zod-openapi'
import { Failure } from '../../errors.ts'
import { DRILLS, type DrillReport } from '../../verify/drill/drill-report.ts'
import { drillPdf } from '../../verify/drill/page.ts'
import { CHINA } from '../../verify/report/language.ts'
import { readReport, reportFile, reportIds, type SignedReport } from '../../verify/report/signed-report.ts'
import type { ApiDependencies } from '../dependencies.ts'
import { ANYBODY, define, defineRaw, type Routes } from '../route.ts'
import { damagedSchema, limitQuery } from '../schemas.ts'
import { readEach } from './read-each.ts'

const TAG = 'evidence'
const drillParam = z.object({ drill: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/) })

const drillSchema = z
  .object({
    drill: z.string(),
    number: z.string(),
    source: z.string(),
    scenario: z.string(),
    createdAt: z.string(),
    status: z.enum(['passed', 'failed', 'inconclusive']),
    sha256: z.string(),
  })
  .openapi('Drill')

/** Drills as signed reports. */
export function registerEvidence(routes: Routes, { repository }: ApiDependencies): void {
  const read = async (id: string): Promise<SignedReport<DrillReport>> => {
    repository.forgetSigners()
    return await readReport(repository, DRILLS, id).catch((error) => {
      if (!(error instanceof Failure && error.code === 'object-missing')) throw error
      throw new Failure('not-found', 'there is no drill of this id', { hints: ['GET /v1/drills lists them.'] })
    })
  }

  define(
    routes,
    {
      method: 'get',
      path: '/v1/drills',
      summary: 'drills that were held, newest first',
      tag: TAG,
      roles: ANYBODY,
      query: z.object({ limit: limitQuery(20, 100) }),
      result: z.object({ drills: z.array(drillSchema), damaged: damagedSchema }),
    },
    async ({ query }) => {
      const ids = (await reportIds(repository, DRILLS)).toReversed().slice(0, query.limit)
      const drills = await readEach(ids, async (id): Promise<z.infer<typeof drillSchema>> => summaryOf(await read(id)))
      return { drills: drills.read, damaged: drills.damaged }
    },
  )

  defineRaw(
    routes,
    {
      method: 'get',
      path: '/v1/drills/{drill}',
      summary: 'the report of a drill, and who signed it with which key',
      tag: TAG,
      roles: ANYBODY,
      params: drillParam,
      contentType: 'application/json',
    },
    async ({ params }) =>
      new Response(Buffer.from(reportFile(await read(params.drill))), {
        headers: { 'Content-Type': 'application/json' },
      }),
  )

  defineRaw(
    routes,
    {
      method: 'get',
      path: '/v1/drills/{drill}/pdf',
      summary: 'the report of a drill, to be printed',
      tag: TAG,
      roles: ANYBODY,
      params: drillParam,
      query: z.object({ language: z.enum(['zh', 'en']).default('zh') }),
      contentType: 'application/pdf',
      heavy: true,
    },
    async ({ params, query }) => {
      const bytes = await drillPdf(await read(params.drill), query.language, CHINA)
      return new Response(Buffer.from(bytes), { headers: { 'Content-Type': 'application/pdf' } })
    },
  )
}

function summaryOf({ report, sha256 }: SignedReport<DrillReport>) {
  const { id: drill, number, sourceName: source, scenario, createdAt, status } = report
  return { drill, number, source, scenario, createdAt, status, sha256 }
}
