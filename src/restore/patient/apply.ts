/**
 * A plan into the database that it was made for: authorised, unexpired, undone first, proved row by row, recorded.
 */
import { assert, Failure } from '../../errors.ts'
import { changesetOutcomeKey } from '../../repository/layout.ts'
import type { Repository } from '../../repository/repository.ts'
import type { ConnectionSettings, SchemaInfo, SourceIdentity } from '../../source/contract.ts'
import { isSameDatabase } from '../../source/identity.ts'
import { applyRows, openLiveRows } from '../../source/open.ts'
import type {
  AppliedRows,
  AppliedTransaction,
  ApplyRequest,
  RowEdit,
  WrittenCounts,
} from '../../source/row-contract.ts'
import { type Authorisation, authorise, refusedPlan } from './approval.ts'
import { type Changeset, type ChangesetEdit, writeChangeset, writeOutcome } from './changeset.ts'
import { type PlanRow, type ReadPlan, subjectsOf } from './plan-document.ts'

export interface ApplyPlanRequest {
  readonly repository: Repository
  /** With a role that may write. */
  readonly connection: ConnectionSettings
  readonly plan: ReadPlan
  readonly executor: string
  readonly emergencyReason: string | null
  readonly onePerson: boolean
  /** What the application's triggers find names by; default `"$user", public`. */
  readonly searchPath?: string
  /** `table.column` that triggers own. */
  readonly triggerColumns?: ReadonlySet<string>
  readonly lockTimeoutMs?: number
  readonly statementTimeoutMs?: number
  readonly signal: AbortSignal
  readonly nowMs: () => number
  readonly random: (bytes: number) => Uint8Array
}

export interface AppliedPlan {
  readonly changesetId: string
  readonly planId: string
  readonly patient: string
  readonly otherPatient?: string
  readonly authorisation: Authorisation
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  readonly triggered: Readonly<Record<string, number>>
  /** Rows that triggers wrote beside the plan's, by table; null when the server does not count them. */
  readonly sideEffects: Readonly<Record<string, WrittenCounts>> | null
  readonly seconds: number
}

/** Wards wait no longer than this for a row that we hold, nor we for theirs. */
const LOCK_TIMEOUT_MS = 1_000
const STATEMENT_TIMEOUT_MS = 15_000
const SEARCH_PATH = '"$user", public'

/**
 * @throws plan-refused, signature-refused; plan-moved; restore-unproved; target-failed; outcome-unknown; source-…
 */
export async function applyPlan(request: ApplyPlanRequest): Promise<AppliedPlan> {
  const { repository, plan, executor, emergencyReason, onePerson } = request
  const startedMs = request.nowMs()
  const authorisation = await authorise({ repository, plan, executor, emergencyReason, onePerson, nowMs: startedMs })
  const edits = editsOf(plan, await schemaOf(request))
  if (edits.length === 0) throw refusedPlan(plan, 'has nothing to write', ['Its policy leaves every row as it is.'])
  await refuseSecond(repository, plan)
  // A plan is carried out once: what was committed by it begins with its name.
  const changesetId = `${plan.document.planId}.${Buffer.from(request.random(4)).toString('hex')}`
  const applied = await applyRows(request.connection, {
    edits,
    expected: targetOf(plan),
    // In one order, whoever is named first.
    patientLocks: subjectsOf(plan.document).toSorted().map(lockNumber),
    mark: `changeset ${changesetId}`,
    searchPath: request.searchPath ?? SEARCH_PATH,
    triggerColumns: request.triggerColumns ?? new Set(),
    lockTimeoutMs: request.lockTimeoutMs ?? LOCK_TIMEOUT_MS,
    statementTimeoutMs: request.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS,
    signal: request.signal,
    beforeWriting: async (transaction) =>
      await writeChangeset(repository, changesetOf(request, { changesetId, startedMs, authorisation, transaction })),
  })
  const { inserted, updated, deleted } = applied
  const triggered = Object.fromEntries(applied.triggered)
  const sideEffects = applied.sideEffects && Object.fromEntries(applied.sideEffects)
  await recordEnd(request, changesetId, applied)
  const seconds = (request.nowMs() - startedMs) / 1000
  const { planId, patient, otherPatient } = plan.document
  const whose = { patient, ...(otherPatient !== undefined && { otherPatient }) }
  return { changesetId, planId, ...whose, authorisation, inserted, updated, deleted, triggered, sideEffects, seconds }
}

async function refuseSecond(repository: Repository, plan: ReadPlan): Promise<void> {
  const done = await repository.sealed.names(changesetOutcomeKey(`${plan.document.planId}.`))
  if (done.length > 0) throw refusedPlan(plan, 'was carried out before', ['Make a new plan, and have it approved.'])
}

function targetOf({ document }: ReadPlan): ApplyRequest['expected'] {
  const { databaseName, databaseOid, systemId } = document.target
  return { engine: document.target.engine as SourceIdentity['engine'], databaseName, databaseOid, systemId }
}

/** The rows are in the database already: what cannot be written down now can be found out later by the transaction. */
async function recordEnd(
  { repository, nowMs }: ApplyPlanRequest,
  changesetId: string,
  applied: AppliedRows,
): Promise<void> {
  const { inserted, updated, deleted, triggered } = applied
  await writeOutcome(repository, {
    changesetId,
    outcome: 'committed',
    endedAt: new Date(nowMs()).toISOString(),
    inserted,
    updated,
    deleted,
    triggered: Object.fromEntries(triggered),
    sideEffects: applied.sideEffects && Object.fromEntries(applied.sideEffects),
  })
}

/** The tables as they are now, and that this is the database which the plan was made for (F19). */
async function schemaOf({ connection, plan, signal }: ApplyPlanRequest): Promise<SchemaInfo> {
  await using live = await openLiveRows(connection, { signal, lockTimeoutMs: LOCK_TIMEOUT_MS })
  refuseOther(plan, live.identity)
  return live.schema
}

function refuseOther(plan: ReadPlan, found: SourceIdentity): void {
  const { target } = plan.document
  if (isSameDatabase({ ...found, ...target } as SourceIdentity, found)) return
  throw refusedPlan(
    plan,
    `was made for database ${target.databaseName} of system ${target.systemId}, and this is ${found.databaseName} of ${found.systemId}`,
    ['Make a plan for this database.'],
  )
}

function editsOf({ tables }: ReadPlan, schema: SchemaInfo): RowEdit[] {
  return tables.flatMap(({ name, columns, rows }) => {
    const written = rows.filter(({ action }) => action !== 'none')
    if (written.length === 0) return []
    const table = schema.tables.find((info) => info.name === name)
    if (!table || !columns.every((column) => table.columns.some((known) => known.name === column))) {
      throw new Failure('schema-changed', `table ${name} has changed since the plan was made`, {
        context: { table: name },
        hints: ['Make a new plan.'],
      })
    }
    return written.map((row): RowEdit => ({ ...editOf(row), table, columns }))
  })
}

function editOf({ action, past, present }: PlanRow): ChangesetEdit {
  assert(action !== 'none', 'a row that stays as it is was filtered out')
  return { kind: action, present: action === 'insert' ? null : present, future: action === 'delete' ? null : past }
}

interface Begun {
  readonly changesetId: string
  readonly startedMs: number
  readonly authorisation: Authorisation
  readonly transaction: AppliedTransaction
}

function changesetOf({ plan, executor }: ApplyPlanRequest, begun: Begun): Changeset {
  const { document } = plan
  const { id, identity } = begun.transaction
  const { engine, systemId, timeline, databaseOid } = identity
  const [patient, otherPatient] = plan.patients.map((key) => key.toString('latin1'))
  return {
    changesetId: begun.changesetId,
    planId: document.planId,
    planSha256: plan.sha256,
    sourceName: document.sourceName,
    patient: patient!,
    ...(otherPatient !== undefined && { otherPatient }),
    kind: document.kind.kind,
    requester: document.requester,
    executor,
    authorisation: describeAuthorisation(begun.authorisation),
    startedAt: new Date(begun.startedMs).toISOString(),
    snapshotId: document.moment.snapshotId,
    transaction: { id, engine, systemId, timeline, databaseOid },
    tables: plan.tables.map(({ name, category, columns, rows }) => {
      const written = rows.filter(({ action }) => action !== 'none')
      return { name, category, columns, rows: written.map(editOf) }
    }),
  }
}

export function describeAuthorisation(authorisation: Authorisation): string {
  if (authorisation.kind === 'approved') return `approved by ${authorisation.by}`
  return authorisation.kind === 'emergency' ? `emergency: ${authorisation.reason}` : 'one person'
}

/** From `P-` and sixteen base32 letters: the same patient, the same number. */
function lockNumber(pseudonym: string): bigint {
  let number = 0n
  for (const letter of pseudonym.slice(2, 14)) {
    number = number * 32n + BigInt('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter))
  }
  return number
}
