/** Plans that wait in the repository to be looked at, approved and applied: those that were made over the API. */
import { Failure } from '../../errors.ts'
import { changesetOutcomeKey, PLAN_PREFIX, planKey, timedId } from '../../repository/layout.ts'
import type { Repository } from '../../repository/repository.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'
import { approvalsOf } from './approval.ts'
import type { MadePlan } from './make-plan.ts'
import { type ReadPlan, readPlan } from './plan-document.ts'

export interface PlanStanding {
  readonly state: 'open' | 'approved' | 'applied' | 'expired'
  /** Keys of those who said yes; some may have been revoked since. */
  readonly approvals: readonly { readonly signerId: string; readonly approvedAt: string }[]
  /** What came of it, once it was applied. */
  readonly changeset: string | null
}

/** Durable on return. */
export async function storePlan({ sealed }: Repository, { bytes, plan }: MadePlan): Promise<void> {
  await sealed.write(planKey(plan.document.planId), OBJECT_TYPES.storedPlan, bytes)
}

/** @throws not-found; signature-refused, repository-damaged; store-… */
export async function storedPlan(repository: Repository, planId: string): Promise<ReadPlan> {
  const name = planKey(planId)
  const bytes = await repository.sealed.read(name, OBJECT_TYPES.storedPlan).catch((error) => {
    if (!(error instanceof Failure && error.code === 'object-missing')) throw error
    throw new Failure('not-found', `no plan ${planId} in this repository`, {
      hints: ['A plan that was written to a file stands there, and nowhere else.'],
    })
  })
  const plan = await readPlan(repository, bytes)
  if (plan.document.planId === planId) return plan
  throw new Failure('repository-damaged', `object ${name} is another plan`, { context: { object: name } })
}

/** Newest first. */
export async function storedPlanIds({ sealed }: Repository): Promise<string[]> {
  return (await sealed.names(PLAN_PREFIX)).map((name) => name.slice(PLAN_PREFIX.length)).toReversed()
}

/** @throws repository-damaged, signature-refused; store-… */
export async function standingOf(repository: Repository, plan: ReadPlan, nowMs: number): Promise<PlanStanding> {
  const { planId, expiresAt } = plan.document
  const given = await approvalsOf(repository, plan)
  const approvals = given.map(({ approval: { signerId, approvedAt } }) => ({ signerId, approvedAt }))
  const prefix = changesetOutcomeKey(`${planId}.`)
  const outcome = (await repository.sealed.names(prefix))[0] ?? null
  const changeset = outcome === null ? null : `${planId}.${outcome.slice(prefix.length)}`
  if (changeset !== null) return { state: 'applied', approvals, changeset }
  if (nowMs > Date.parse(expiresAt)) return { state: 'expired', approvals, changeset }
  return { state: given.some(({ by }) => by !== null) ? 'approved' : 'open', approvals, changeset }
}

/** Removes plans that were made before: they ran out long ago, and hold rows of patients. @returns how many */
export async function forgetPlans(repository: Repository, beforeMs: number): Promise<number> {
  const bound = planKey(timedId(beforeMs, new Uint8Array()))
  const old = (await repository.sealed.names(PLAN_PREFIX)).filter((name) => name < bound)
  for (const name of old) await repository.store.delete(name)
  return old.length
}
