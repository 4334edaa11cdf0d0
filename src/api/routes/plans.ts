import { z } from '@hono/zod-openapi'
import { Failure } from '../../errors.ts'
import { applyPlan } from '../../restore/patient/apply.ts'
import { readChangeset } from '../../restore/patient/changeset.ts'
import { pseudonymOf, refuseWithoutPurpose } from '../../restore/patient/look.ts'
import { type MadePlan, makePatientPlan, makeUndoPlan, type PlanOrder } from '../../restore/patient/make-plan.ts'
import { POLICIES } from '../../restore/patient/plan.ts'
import { planBytes, type ReadPlan } from '../../restore/patient/plan-document.ts'
import { standingOf, storedPlan, storedPlanIds, storePlan } from '../../restore/patient/plan-store.ts'
import { planRecord, type ShownRow, shownRows } from '../../restore/patient/plan-view.ts'
import { selectionOf } from '../../restore/patient/selection.ts'
import { sourceConnection, writerConnection } from '../../secrets.ts'
import type { Caller } from '../authentication.ts'
import type { ApiDependencies } from '../dependencies.ts'
import { ANYBODY, define, defineRaw, type Routes } from '../route.ts'
import {
  changesetParam,
  limitQuery,
  momentSchema,
  patientSchema,
  planParam,
  purposeSchema,
  sourceParam,
} from '../schemas.ts'
import { atMoment } from './patients.ts'
import { appliedSchema, planSchema, rowSchema } from './plan-schemas.ts'
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

const applyBody = z.strictObject({
  /** Of the plan that was looked at and approved: any other is refused. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Goes ahead without approval; the counter-signature stays open. */
  emergencyReason: z.string().min(3).max(500).optional(),
})

/** A plan is made, looked at, approved (approvals.ts) and applied; what was applied is undone by a plan like it. */
export function registerPlans(routes: Routes, dependencies: ApiDependencies): void {
  registerMaking(routes, dependencies)
  registerLooking(routes, dependencies)
  registerWriting(routes, dependencies)
}

function registerMaking(routes: Routes, dependencies: ApiDependencies): void {
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

function registerLooking(routes: Routes, dependencies: ApiDependencies): void {
  const { repository, nowMs } = dependencies

  define(
    routes,
    {
      method: 'get',
      path: '/v1/plans',
      summary: 'plans that were made here, newest first',
      tag: TAG,
      roles: ANYBODY,
      query: z.object({ limit: limitQuery(20, 100) }),
      result: z.object({ plans: z.array(z.string()) }),
    },
    async ({ query }) => ({ plans: (await storedPlanIds(repository)).slice(0, query.limit) }),
  )

  define(
    routes,
    {
      method: 'get',
      path: '/v1/plans/{plan}',
      summary: 'what a plan would do, in counts, and whether it is approved',
      tag: TAG,
      roles: ANYBODY,
      params: planParam,
      result: planSchema,
    },
    async ({ params }) => await shownPlan(dependencies, await freshPlan(dependencies, params.plan)),
  )

  defineRaw(
    routes,
    {
      method: 'get',
      path: '/v1/plans/{plan}/document',
      summary: 'the plan itself: the SHA-256 of these bytes is its digest, which an approver signs',
      tag: TAG,
      roles: ['operator', 'approver', 'auditor'],
      params: planParam,
      contentType: 'application/json',
    },
    async ({ params }) => {
      const plan = await freshPlan(dependencies, params.plan)
      return new Response(Buffer.from(planBytes(plan)), { headers: { 'Content-Type': 'application/json' } })
    },
  )

  define(
    routes,
    {
      method: 'post',
      path: '/v1/plans/{plan}/preview',
      summary: 'row by row, before beside after; values masked unless asked for',
      tag: TAG,
      roles: ['operator', 'approver'],
      params: planParam,
      body: z.strictObject({
        purpose: purposeSchema,
        showValues: z.boolean().default(false),
        /** Rows to pass over. */
        offset: z.int().nonnegative().default(0),
        limit: z.int().min(1).max(500).default(100),
      }),
      result: z.object({ sha256: z.string(), rows: z.array(rowSchema), more: z.boolean() }),
    },
    async ({ params, body, caller }) => {
      refuseWithoutPurpose(body.purpose)
      const plan = await freshPlan(dependencies, params.plan)
      const values = body.showValues ? 'shown' : 'masked'
      const detail = `plan ${params.plan}, values ${values}: ${body.purpose}`
      const deed = { actor: caller.actor, action: 'patient.preview', subject: plan.document.patient, detail }
      const rows = await repository.audit.around(deed, nowMs, async () => page(plan, body))
      return { sha256: plan.sha256, rows: rows.slice(0, body.limit), more: rows.length > body.limit }
    },
  )
}

function registerWriting(routes: Routes, dependencies: ApiDependencies): void {
  const { configuration, repository, world, nowMs, random, signal } = dependencies

  define(
    routes,
    {
      method: 'post',
      path: '/v1/plans/{plan}/apply',
      summary: 'write an approved plan into production, in one transaction',
      tag: TAG,
      roles: OPERATOR,
      params: planParam,
      body: applyBody,
      result: appliedSchema,
      once: true,
      heavy: true,
      writes: true,
    },
    async ({ params, body, caller }) => {
      const plan = await freshPlan(dependencies, params.plan)
      refuseOtherDigest(plan, body.sha256)
      const configured = configuredSource(configuration, plan.document.sourceName)
      const connection = await writerConnection(configured, world)
      const { searchPath, triggerColumns } = configured.writer!
      const emergency = body.emergencyReason === undefined ? '' : `; emergency: ${body.emergencyReason}`
      const detail = `plan ${params.plan}${emergency}`
      const deed = { actor: caller.actor, action: 'patient.apply', subject: plan.document.patient, detail }
      const apply = () =>
        applyPlan({
          repository,
          connection,
          plan,
          executor: caller.person,
          emergencyReason: body.emergencyReason ?? null,
          onePerson: configuration.approval === 'one-person',
          ...(searchPath !== null && { searchPath }),
          triggerColumns: new Set(triggerColumns),
          signal,
          nowMs,
          random,
        })
      return await repository.audit.around(deed, nowMs, apply, (done) => done.changesetId)
    },
  )
}

/** As stored, by signers as they are now. */
export async function freshPlan({ repository }: ApiDependencies, planId: string): Promise<ReadPlan> {
  repository.forgetSigners()
  return await storedPlan(repository, planId)
}

export async function shownPlan({ repository, nowMs }: ApiDependencies, plan: ReadPlan) {
  return { ...planRecord(plan), standing: await standingOf(repository, plan, nowMs()) }
}

/** What was approved, and what is applied, is one digest: whoever applies says which. @throws plan-moved */
export function refuseOtherDigest(plan: ReadPlan, sha256: string): void {
  if (plan.sha256 === sha256) return
  throw new Failure('plan-moved', `plan ${plan.document.planId} has digest ${plan.sha256}, and ${sha256} was meant`, {
    hints: ['Look at the plan again.'],
  })
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

/** One more than asked for, where there are more. */
function page(plan: ReadPlan, { offset, limit, showValues }: { offset: number; limit: number; showValues: boolean }) {
  const rows: ShownRow[] = []
  let passed = 0
  for (const row of shownRows(plan, showValues)) {
    passed += 1
    if (passed > offset) rows.push(row)
    if (rows.length > limit) break
  }
  return rows
}
