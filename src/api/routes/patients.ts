import { z } from '@hono/zod-openapi'
import { patientClosure } from '../../restore/patient/closure.ts'
import { findPatients } from '../../restore/patient/find.ts'
import { type PatientState, pseudonymOf, refuseWithoutPurpose, withStateAt } from '../../restore/patient/look.ts'
import { fieldOfText } from '../../restore/patient/stored-row.ts'
import type { ApiDependencies } from '../dependencies.ts'
import { define, type Routes } from '../route.ts'
import { momentSchema, patientSchema, purposeSchema, sourceParam } from '../schemas.ts'
import { configuredSource } from './sources.ts'

const FOUND_MAX = 50
const TAG = 'patients'
const OPERATOR = ['operator'] as const

const foundSchema = z
  .object({
    labelColumns: z.array(z.string()).readonly(),
    patients: z.array(z.object({ key: z.string(), label: z.array(z.string().nullable()) })),
    more: z.boolean(),
  })
  .openapi('FoundPatients')

const shownSchema = z
  .object({
    patient: z.string().openapi({ description: 'pseudonym' }),
    asOf: z.object({ snapshot: z.string(), sourceTime: z.string() }),
    tables: z.array(z.object({ table: z.string(), category: z.string(), found: z.string(), rows: z.int() })),
    needed: z.int(),
    leftOut: z.array(z.object({ table: z.string(), reason: z.string() })).readonly(),
    /** Tables whose rows are the snapshot's, which is older than the moment. */
    older: z.array(z.object({ table: z.string(), reason: z.string() })).readonly(),
  })
  .openapi('PatientCounts')

/** Whoever looks says why: it is in the audit, with the patient's pseudonym, before the answer is sent. */
export function registerPatients(routes: Routes, dependencies: ApiDependencies): void {
  const { repository, nowMs } = dependencies

  define(
    routes,
    {
      method: 'post',
      path: '/v1/sources/{source}/patients/find',
      summary: 'patients by key or label, as of a moment',
      tag: TAG,
      roles: OPERATOR,
      params: sourceParam,
      body: z.strictObject({ text: patientSchema, at: momentSchema, purpose: purposeSchema }),
      result: foundSchema,
      heavy: true,
    },
    async ({ params, body, caller, signal }) => {
      refuseWithoutPurpose(body.purpose)
      return await atMoment(dependencies, { sourceName: params.source, at: body.at, signal }, async ({ stored }) => {
        const subject = stored.manifest.snapshotId
        const deed = { actor: caller.actor, action: 'patient.find', subject, detail: body.purpose }
        const found = await repository.audit.around(deed, nowMs, () => findPatients(stored, body.text, FOUND_MAX))
        const patients = found.patients.map(({ key, label }) => ({
          key: key.toString('utf8'),
          label: label.map((field) => field?.toString('utf8') ?? null),
        }))
        return { labelColumns: found.labelColumns, patients, more: found.more }
      })
    },
  )

  define(
    routes,
    {
      method: 'post',
      path: '/v1/sources/{source}/patients/show',
      summary: 'how many rows a patient has in each table, as of a moment',
      tag: TAG,
      roles: OPERATOR,
      params: sourceParam,
      body: z.strictObject({ patient: patientSchema, at: momentSchema, purpose: purposeSchema }),
      result: shownSchema,
      heavy: true,
    },
    async ({ params, body, caller, signal }) => {
      refuseWithoutPurpose(body.purpose)
      return await atMoment(dependencies, { sourceName: params.source, at: body.at, signal }, async ({ stored }) => {
        const patient = pseudonymOf(repository, body.patient)
        const deed = { actor: caller.actor, action: 'patient.show', subject: patient, detail: body.purpose }
        const closure = await repository.audit.around(deed, nowMs, () =>
          patientClosure(stored, fieldOfText(body.patient)),
        )
        const { snapshotId, position } = stored.manifest
        return {
          patient,
          asOf: { snapshot: snapshotId, sourceTime: position.sourceTime },
          tables: closure.tables
            .filter(({ rows }) => rows.length > 0)
            .map(({ table, found, rows }) => ({
              table: table.name,
              category: table.category,
              found,
              rows: rows.length,
            })),
          needed: closure.needed.length,
          leftOut: closure.leftOut,
          older: closure.older,
        }
      })
    },
  )
}

export interface AskedMoment {
  readonly sourceName: string
  readonly at: string
  readonly signal: AbortSignal
}

/** @throws not-found for an unknown source; as `withStateAt` does */
export async function atMoment<T>(
  { configuration, repository, temporaryDirectory }: ApiDependencies,
  { sourceName, at, signal }: AskedMoment,
  work: (opened: PatientState) => Promise<T>,
): Promise<T> {
  const { name } = configuredSource(configuration, sourceName)
  // A long-lived process: who may sign may have changed since it last looked.
  repository.forgetSigners()
  return await withStateAt({ repository, sourceName: name, at }, { temporaryDirectory, signal }, work)
}
