import { z } from '@hono/zod-openapi'
import { parseEdge } from '../../repository/history/interval.ts'
import { ownWords, placeWords, timeRecord } from '../../restore/patient/event-view.ts'
import { pseudonymOf, refuseWithoutPurpose } from '../../restore/patient/look.ts'
import { fieldOfText } from '../../restore/patient/stored-row.ts'
import { patientTimeline } from '../../restore/patient/timeline.ts'
import type { ApiDependencies } from '../dependencies.ts'
import { define, type Routes } from '../route.ts'
import { patientSchema, purposeSchema, sourceParam } from '../schemas.ts'
import { configuredSource } from './sources.ts'

/** One patient's year is some thousands of transactions. */
const ENTRIES_MAX = 2_000

const countSchema = z.object({
  category: z.string(),
  table: z.string(),
  inserted: z.int(),
  changed: z.int(),
  deleted: z.int(),
  truncated: z.boolean(),
})

const timelineSchema = z
  .object({
    patient: z.string().openapi({ description: 'pseudonym' }),
    entries: z.array(
      z.object({
        change: z.string().openapi({ description: 'the moment just before it is `before:` and this' }),
        at: z.looseObject({ kind: z.enum(['transaction', 'between']) }),
        ours: z.string().nullable().openapi({ description: 'where it was a restore of ours' }),
        counts: z.array(countSchema).readonly(),
      }),
    ),
    gaps: z.array(z.object({ table: z.string(), since: z.string(), reason: z.string() })),
    more: z.boolean(),
  })
  .openapi('Timeline')

const edge = z.string().min(1).max(100).optional()

export function registerTimeline(routes: Routes, { configuration, repository, nowMs }: ApiDependencies): void {
  define(
    routes,
    {
      method: 'post',
      path: '/v1/sources/{source}/patients/timeline',
      summary: 'what happened to a patient, by transaction and category',
      tag: 'patients',
      roles: ['operator'],
      params: sourceParam,
      body: z.strictObject({
        patient: patientSchema,
        since: edge,
        until: edge,
        categories: z.array(z.string().min(1).max(200)).max(200).optional(),
        purpose: purposeSchema,
      }),
      result: timelineSchema,
      heavy: true,
    },
    async ({ params, body, caller, signal }) => {
      refuseWithoutPurpose(body.purpose)
      const { name: sourceName } = configuredSource(configuration, params.source)
      repository.forgetSigners()
      const patient = pseudonymOf(repository, body.patient)
      const interval = { since: edgeOf(body.since), until: edgeOf(body.until) }
      const categories = body.categories && body.categories.length > 0 ? new Set(body.categories) : null
      const deed = { actor: caller.actor, action: 'patient.timeline', subject: patient, detail: body.purpose }
      const { entries, gaps } = await repository.audit.around(deed, nowMs, () =>
        patientTimeline({ repository, sourceName, interval, signal }, fieldOfText(body.patient), categories),
      )
      return {
        patient,
        entries: entries.slice(0, ENTRIES_MAX).map(({ change, time, ours, counts }) => ({
          change,
          at: timeRecord(time),
          ours: ours && ownWords(ours),
          counts,
        })),
        gaps: gaps.map(({ table, reason, from }) => ({ table, reason, since: placeWords(from) })),
        more: entries.length > ENTRIES_MAX,
      }
    },
  )
}

/** @throws bad-usage */
function edgeOf(text: string | undefined) {
  return text === undefined ? null : parseEdge(text)
}
