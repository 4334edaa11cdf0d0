/** From a wish to a signed plan: looks at the live database, and writes down what would be done to it. */
import { Failure } from '../../errors.ts'
import { timedId } from '../../repository/layout.ts'
import type { Repository } from '../../repository/repository.ts'
import type { ConnectionSettings, SourceIdentity } from '../../source/contract.ts'
import { isSameDatabase } from '../../source/identity.ts'
import { openLiveRows } from '../../source/open.ts'
import type { LiveRows } from '../../source/row-contract.ts'
import { type Changeset, establishOutcome, readChangeset } from './changeset.ts'
import { bothSides } from './live-patient.ts'
import { type PlanWish, planPatient } from './plan.ts'
import { planContent } from './plan-content.ts'
import { type PlanContent, type WrittenPlan, writePlan } from './plan-document.ts'
import { factsOf } from './row-status.ts'
import { fieldOfText } from './stored-row.ts'
import type { StoredRows } from './stored-rows.ts'
import { undoContent } from './undo.ts'
import { planUnmerge, type UnmergeWish } from './unmerge.ts'

const LOCK_TIMEOUT_MS = 5_000
/** Longer ago, and the ward has gone on. */
const PLAN_LIFE_MS = 60 * 60 * 1000

export interface PlanOrder {
  readonly repository: Repository
  /** With the role that reads. */
  readonly connection: ConnectionSettings
  /** The person who asks for it, and who cannot approve it. */
  readonly requester: string
  readonly signal: AbortSignal
  readonly nowMs: () => number
  readonly random: (bytes: number) => Uint8Array
}

export type MadePlan = WrittenPlan

export interface PatientToPlan {
  readonly stored: StoredRows
  /** The patient's key, as text. */
  readonly patient: string
  /** The moment, as it was asked for. */
  readonly asked: string
  readonly wish: PlanWish
}

/** Nothing is changed. @throws schema-changed, plan-refused, source-… */
export async function makePatientPlan(order: PlanOrder, asked: PatientToPlan): Promise<MadePlan> {
  return await makePlan(order, asked.asked, async (opening) => {
    const sides = await bothSides(asked.stored, [fieldOfText(asked.patient)], opening)
    const facts = await factsOf(sides, asked.stored)
    return planContent(planPatient(sides.closure, facts, asked.wish))
  })
}

export interface MergeToPlan extends Omit<PatientToPlan, 'patient' | 'wish'> {
  /** The two patients' keys, as text. */
  readonly patients: readonly [string, string]
  readonly wish: UnmergeWish
}

/** Nothing is changed. @throws as `planUnmerge`; source-… */
export async function makeUnmergePlan(
  order: PlanOrder,
  { stored, patients, asked, wish }: MergeToPlan,
): Promise<MadePlan> {
  return await makePlan(order, asked, async (opening) => {
    const sides = await bothSides(stored, patients.map(fieldOfText), opening)
    return planContent(planUnmerge(sides.closure, await factsOf(sides, stored), wish))
  })
}

/** Nothing is changed. @throws bad-usage for an unknown changeset; plan-refused, outcome-unknown, schema-changed */
export async function makeUndoPlan(order: PlanOrder, changesetId: string): Promise<MadePlan> {
  const changeset = await readChangeset(order.repository, changesetId)
  const outcome = await establishOutcome(order.repository, changeset, order.connection, order.nowMs())
  return await makePlan(order, `before changeset ${changesetId}`, async (opening) => {
    const live = await opening
    refuseElsewhere(changeset, live.identity)
    return await undoContent(live, changeset, outcome)
  })
}

/** What was written into one database is not taken back in another (F19). */
function refuseElsewhere({ changesetId, transaction }: Changeset, found: SourceIdentity): void {
  if (isSameDatabase(transaction, found)) return
  const { systemId, databaseOid } = transaction
  throw new Failure(
    'plan-refused',
    `changeset ${changesetId} was applied to database ${databaseOid} of system ${systemId}, and this is ${found.databaseOid} of ${found.systemId}`,
    { context: { changeset: changesetId }, hints: ['Give --into with the database that it was applied to.'] },
  )
}

async function makePlan(
  order: PlanOrder,
  asked: string,
  content: (opening: Promise<LiveRows>) => Promise<PlanContent>,
): Promise<MadePlan> {
  const { repository, signal } = order
  const createdMs = order.nowMs()
  const opening = openLiveRows(order.connection, { signal, lockTimeoutMs: LOCK_TIMEOUT_MS })
  // Whoever waits for it is told; until somebody does, it may have failed.
  opening.catch(() => {})
  try {
    const made = await content(opening)
    const { identity, position } = await opening
    return await writePlan(repository, made, {
      planId: timedId(createdMs, order.random(4)),
      asked,
      target: identity,
      lookedAt: position,
      requester: order.requester,
      createdMs,
      expiresMs: createdMs + PLAN_LIFE_MS,
      salt: order.random(16),
    })
  } finally {
    await opening.then(
      (live) => live[Symbol.asyncDispose](),
      () => {},
    )
  }
}
