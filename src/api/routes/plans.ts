import { z } from '@hono/zod-openapi'
import { Failure } from '../../errors.ts'
import { applyPlan } from '../../restore/patient/apply.ts'
import { refuseWithoutPurpose } from '../../restore/patient/look.ts'
import { planBytes, type ReadPlan, subjectsOf } from '../../restore/patient/plan-document.ts'
import { standingOf, storedPlan, storedPlanIds } from '../../restore/patient/plan-store.ts'
import { planRecord, type ShownRow, shownRows } from '../../restore/patient/plan-view.ts'
import { writerConnection } from '../../secrets.ts'
import type { ApiDependencies } from '../dependencies.ts'
import { ANYBODY, define, defineRaw, type Routes } from '../route.ts'
import { limitQuery, planParam, purposeSchema } from '../schemas.ts'
import { appliedSchema, planSchema, rowSchema } from './plan-schemas.ts'
import { configuredSource } from './sources.ts'

const TAG = 'plans'
const OPERATOR = ['operator'] as const
const applyBody = z.strictObject({
  /** Of the plan that was looked at and approved: any other is refused. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Goes ahead without approval; the counter-signature stays open. */
  emergencyReason: z.string().min(3).max(500).optional(),
})

/** A plan is made (plan-making.ts), looked at, approved (approvals.ts) and applied. */
export function registerPlans(routes: Routes, dependencies: ApiDependencies): void {
  registerLooking(routes, dependencies)
  registerWriting(routes, dependencies)
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
      const deed = { actor: caller.actor, action: 'patient.preview', detail }
      const subjects = subjectsOf(plan.document)
      const rows = await repository.audit.aroundEach(deed, subjects, nowMs, async () => page(plan, body))
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
      const deed = { actor: caller.actor, action: 'patient.apply', detail }
      const [subject, ...others] = subjectsOf(plan.document)
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
      return await repository.audit.aroundEach(deed, others, nowMs, () =>
        repository.audit.around({ ...deed, subject: subject! }, nowMs, apply, (done) => done.changesetId),
      )
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
