/** Plans are made: to put one patient back, to take a merge apart, to undo what was applied. Nothing is changed by any. */
import { z } from '@hono/zod-openapi'
import { Failure } from '../../errors.ts'
import { readChangeset } from '../../restore/patient/changeset.ts'
import { pseudonymOf, refuseWithoutPurpose } from '../../restore/patient/look.ts'
import {
  type MadePlan,
  makePatientPlan,
  makeUndoPlan,
  makeUnmergePlan,
  type PlanOrder,
} from '../../restore/patient/make-plan.ts'
import { POLICIES, UNMERGE_POLICIES } from '../../restore/patient/plan.ts'
import { storePlan } from '../../restore/patient/plan-store.ts'
import { selectionOf } from '../../restore/patient/selection.ts'
import { sourceConnection } from '../../secrets.ts'
import type { Caller } from '../authentication.ts'
import type { ApiDependencies } from '../dependencies.ts'
import { define, type Routes } from '../route.ts'
import { changesetParam, momentSchema, patientSchema, purposeSchema, sourceParam } from '../schemas.ts'
import { atMoment } from './patients.ts'
import { planSchema } from './plan-schemas.ts'
import { shownPlan } from './plans.ts'
import { configuredSource } from './sources.ts'

const TAG = 'plans'
const OPERATOR = ['operator'] as const
const NAMES_MAX = 200
const ROWS_MAX = 10_000
const KEY_FIELDS_MAX = 32

/** By its primary key, as the database writes it. */
const selectedRow = z.strictObject({
  table: z.string().min(1).max(200),
  key: z.array(z.string().max(2000)).min(1).max(KEY_FIELDS_MAX),
})

const wishBody = z.strictObject({
  patient: patientSchema,
  at: momentSchema,
  policy: z.enum(POLICIES).default('missing'),
  categories: z.array(z.string().min(1).max(200)).max(NAMES_MAX).optional(),
  tables: z.array(z.string().min(1).max(200)).max(NAMES_MAX).optional(),
  /** Only these, whatever their table; not beside `categories` or `tables`. */
  rows: z.array(selectedRow).min(1).max(ROWS_MAX).optional(),
  acceptLoss: z.boolean().default(false),
  purpose: purposeSchema,
})

const unmergeBody = z.strictObject({
  patients: z.tuple([patientSchema, patientSchema]),
  /** Before the merge. */
  at: momentSchema,
  policy: z.enum(UNMERGE_POLICIES).default('missing'),
  /** Written since, on the key of one of the two itself: each is the other one's. */
  give: z.array(selectedRow).max(ROWS_MAX).default([]),
  acceptLoss: z.boolean().default(false),
  purpose: purposeSchema,
})

export function registerPlanMaking(routes: Routes, dependencies: ApiDependencies): void {
  registerRestore(routes, dependencies)
  registerUnmerge(routes, dependencies)
  registerUndo(routes, dependencies)
}

function registerRestore(routes: Routes, dependencies: ApiDependencies): void {
  const { configuration, repository, world, nowMs } = dependencies

  define(
    routes,
    {
      method: 'post',
      path: '/v1/sources/{source}/plans',
      summary: 'plan to put one patient back as of a moment',
      description:
        'Compares the patient then with the patient now, row by row. Nothing is changed. The plan waits here for an hour.',
      tag: TAG,
      roles: OPERATOR,
      params: sourceParam,
      body: wishBody,
      result: planSchema,
      status: 201,
      once: true,
      heavy: true,
    },
    async ({ params, body, caller, signal }) => {
      refuseWithoutPurpose(body.purpose)
      const { patient, at: asked, policy, acceptLoss, categories = [], tables = [], rows = null } = body
      const wish = { policy, selection: selectionOf({ categories, tables, rows }), acceptLoss }
      const configured = configuredSource(configuration, params.source)
      const subject = pseudonymOf(repository, patient)
      const deed = { actor: caller.actor, action: 'patient.plan', subject, detail: body.purpose }
      const moment = { sourceName: configured.name, at: asked, signal }
      const made = await atMoment(dependencies, moment, ({ stored }) =>
        repository.audit.around(deed, nowMs, async () => {
          const order = orderOf(dependencies, caller, await sourceConnection(configured, world), signal)
          return await kept(dependencies, await makePatientPlan(order, { stored, patient, asked, wish }))
        }),
      )
      return await shownPlan(dependencies, made.plan)
    },
  )
}

function registerUnmerge(routes: Routes, dependencies: ApiDependencies): void {
  const { configuration, repository, world, nowMs } = dependencies

  define(
    routes,
    {
      method: 'post',
      path: '/v1/sources/{source}/unmerge-plans',
      summary: 'plan to take a wrong merge of two patients apart',
      description:
        'Rows that were one patient’s at the moment and hang on the other one now go back, all or none. Nothing is changed.',
      tag: TAG,
      roles: OPERATOR,
      params: sourceParam,
      body: unmergeBody,
      result: planSchema,
      status: 201,
      once: true,
      heavy: true,
    },
    async ({ params, body, caller, signal }) => {
      refuseWithoutPurpose(body.purpose)
      const { patients, at: asked, purpose, ...wish } = body
      const configured = configuredSource(configuration, params.source)
      const deed = { actor: caller.actor, action: 'patient.plan-unmerge', detail: purpose }
      const subjects = patients.map((patient) => pseudonymOf(repository, patient))
      const moment = { sourceName: configured.name, at: asked, signal }
      const made = await atMoment(dependencies, moment, ({ stored }) =>
        repository.audit.aroundEach(deed, subjects, nowMs, async () => {
          const order = orderOf(dependencies, caller, await sourceConnection(configured, world), signal)
          return await kept(dependencies, await makeUnmergePlan(order, { stored, patients, asked, wish }))
        }),
      )
      return await shownPlan(dependencies, made.plan)
    },
  )
}

function registerUndo(routes: Routes, dependencies: ApiDependencies): void {
  const { configuration, repository, world, nowMs } = dependencies

  define(
    routes,
    {
      method: 'post',
      path: '/v1/changesets/{changeset}/undo',
      summary: 'plan the opposite of what was applied',
      tag: TAG,
      roles: OPERATOR,
      params: changesetParam,
      body: z.strictObject({ purpose: purposeSchema }),
      result: planSchema,
      status: 201,
      once: true,
      heavy: true,
    },
    async ({ params, body, caller, signal }) => {
      refuseWithoutPurpose(body.purpose)
      repository.forgetSigners()
      const { sourceName } = await knownChangeset(dependencies, params.changeset)
      const configured = configuredSource(configuration, sourceName)
      const deed = { actor: caller.actor, action: 'patient.plan-undo', subject: params.changeset, detail: body.purpose }
      const made = await repository.audit.around(deed, nowMs, async () => {
        const order = orderOf(dependencies, caller, await sourceConnection(configured, world), signal)
        return await kept(dependencies, await makeUndoPlan(order, params.changeset))
      })
      return await shownPlan(dependencies, made.plan)
    },
  )
}

async function kept({ repository }: ApiDependencies, made: MadePlan): Promise<MadePlan> {
  await storePlan(repository, made)
  return made
}

function orderOf(
  { repository, nowMs, random }: ApiDependencies,
  caller: Caller,
  connection: PlanOrder['connection'],
  signal: AbortSignal,
): PlanOrder {
  return { repository, connection, requester: caller.person, signal, nowMs, random }
}

async function knownChangeset({ repository }: ApiDependencies, changesetId: string) {
  return await readChangeset(repository, changesetId).catch((error) => {
    if (!(error instanceof Failure && error.code === 'bad-usage')) throw error
    throw new Failure('not-found', `no changeset ${changesetId} in this repository`, {
      hints: ['`chartkeep audit` lists what was applied.'],
    })
  })
}
