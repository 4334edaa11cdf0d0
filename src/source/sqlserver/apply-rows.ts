/**
 * Rows of one patient into the live database: one transaction that the wards never notice.
 *
 *     BEGIN, short time-outs ─→ application lock of the patient ─→ rows locked in key order, as the plan has them?
 *     ─→ undo stored ─→ mark ─→ deletes, children first; inserts and updates, parents first ─→ read back, byte for byte ─→ COMMIT
 *     ─→ the outcome, even when the connection dies there
 *
 * Under READ COMMITTED, because the application's triggers run in it: rows of the plan are locked (UPDLOCK) until the end,
 * so that what was compared is what is written. SQL Server checks keys with each statement: of a circle of foreign keys
 * it refuses the first row. Triggers fire as for the application (P19); what they wrote beside the plan nothing counts.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../../errors.ts'
import { notCommitted, otherDatabase, patientBusy, rowsHeld } from '../apply-failures.ts'
import type { ConnectionSettings } from '../contract.ts'
import { isSameDatabase } from '../identity.ts'
import type { AppliedRows, AppliedTransaction, ApplyRequest, RowEdit } from '../row-contract.ts'
import { checkPresent, proveFuture } from '../row-proof.ts'
import { childrenFirst, countEdits, deletionsOf, groupByTable, lateDeletes, type TableEdits } from '../write-order.ts'
import { connect, type Session } from './connect.ts'
import { deleteRows, updateRows } from './edit-statements.ts'
import { errorNumber, isConnectionLoss, isTimeout, toSqlServerFailure } from './failures.ts'
import { readIdentity } from './identity.ts'
import { readTables } from './introspect.ts'
import { refuseOrphans } from './orphans.ts'
import { quoteText } from './quote.ts'
import { leaveMark } from './restore-mark.ts'
import { writingTransaction } from './row-locks.ts'
import { insertLines } from './staging.ts'

/** Somebody holds a row, changed it since, or a deadlock was broken at our expense. */
const MOVED = new Set([1222, 1205, 3960])
/** Between COMMIT and its answer: how often, and how long apart, the rows are looked at again. */
const ATTEMPTS = 30
const PAUSE_MS = 1_000

/**
 * @throws plan-moved when a row is not as the plan has it, or is held by somebody; restore-unproved when a trigger made
 * something else of a row; target-failed when a constraint refuses; outcome-unknown; source-…
 */
export async function applyRows(settings: ConnectionSettings, request: ApplyRequest): Promise<AppliedRows> {
  request.signal.throwIfAborted()
  const session = await connect(settings, 'target', request.statementTimeoutMs)
  const stop = () => session.destroy()
  request.signal.addEventListener('abort', stop, { once: true })
  let committing: AppliedRows | null = null
  try {
    const tables = groupByTable(request.edits)
    const { writing, transaction } = await begin(session, request)
    await checkPresent(writing, tables)
    await request.beforeWriting(transaction)
    await leaveMark(session, `${request.mark} ${transaction.id}`)
    await write(session, tables)
    const triggered = await proveFuture(writing, tables, request.triggerColumns)
    request.signal.throwIfAborted()
    committing = { transaction, ...countEdits(request.edits), triggered, sideEffects: null }
    await session.query('COMMIT TRANSACTION')
    return committing
  } catch (error) {
    if (committing && isConnectionLoss(error)) {
      await settle(settings, request, committing.transaction)
      return committing
    }
    if (request.signal.aborted) throw request.signal.reason
    throw explain(error)
  } finally {
    request.signal.removeEventListener('abort', stop)
    session.destroy()
  }
}

async function begin(session: Session, request: ApplyRequest) {
  const identity = await readIdentity(session)
  if (!isSameDatabase(request.expected, identity)) throw otherDatabase(request.expected, identity)
  const tables = await readTables(session)
  // Of a deadlock with the wards, we are the victim.
  const lockTimeoutMs = Math.ceil(request.lockTimeoutMs)
  await session.query(`SET XACT_ABORT ON; SET DEADLOCK_PRIORITY LOW; SET LOCK_TIMEOUT ${lockTimeoutMs}`)
  await session.query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED')
  await session.query('BEGIN TRANSACTION')
  for (const lock of request.patientLocks) if (!(await lockPatient(session, lock))) throw patientBusy()
  // A name for the record: SQL Server answers no question about a transaction that is over.
  const [row] = await session.query('SELECT CONVERT(nvarchar(36), NEWID()) AS id')
  const transaction: AppliedTransaction = { id: row?.id ?? '', identity }
  return { writing: writingTransaction(session, tables), transaction }
}

/** Until the transaction ends. */
async function lockPatient(session: Session, patient: bigint): Promise<boolean> {
  const [row] = await session.query(
    `DECLARE @held int; EXEC @held = sp_getapplock @Resource = ${quoteText(`chartkeep patient ${patient}`)}, ` +
      "@LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 0; SELECT @held AS held",
  )
  return Number(row?.held ?? -1) >= 0
}

async function write(session: Session, tables: readonly TableEdits[]): Promise<void> {
  const ordered = childrenFirst(tables, new Map())
  const late = lateDeletes(tables)
  await takeOut(session, ordered, (edit) => !late.has(edit))
  for (const edits of ordered.toReversed()) {
    await insertRows(session, edits)
    await updateRows(session, edits)
  }
  await takeOut(session, ordered, (edit) => late.has(edit))
}

async function takeOut(
  session: Session,
  ordered: readonly TableEdits[],
  isMeant: (edit: RowEdit) => boolean,
): Promise<void> {
  const deletions = deletionsOf(ordered, isMeant)
  for (const edits of deletions) {
    await refuseOrphans(session, edits, deletions)
    await deleteRows(session, edits)
  }
}

async function insertRows(session: Session, { table, columns, rows }: TableEdits): Promise<void> {
  const lines = rows.filter(({ kind }) => kind === 'insert').map(({ future }) => future!.toString('utf8'))
  if (lines.length === 0) return
  const stored = await insertLines(session, { sqlName: table.sqlName, columns }, (store) => store(lines))
  if (stored === lines.length) return
  throw new Failure('restore-unproved', `in ${table.name}, ${stored} rows were stored, not ${lines.length}`, {
    context: { table: table.name },
  })
}

/**
 * The connection died between our COMMIT and its answer. Who holds the patient's lock again knows that the transaction is
 * over, and its rows say how it ended.
 * @throws outcome-unknown, or that it was rolled back
 */
async function settle(
  settings: ConnectionSettings,
  request: ApplyRequest,
  transaction: AppliedTransaction,
): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    await sleep(PAUSE_MS)
    const outcome = await lookAgain(settings, request).catch(() => 'unknown' as const)
    if (outcome === 'committed') return
    if (outcome !== 'unknown') throw notCommitted(outcome, transaction)
  }
  throw notCommitted('unknown', transaction)
}

async function lookAgain(settings: ConnectionSettings, request: ApplyRequest) {
  await using session = await connect(settings, 'target', request.statementTimeoutMs)
  const { writing } = await begin(session, request)
  const tables = groupByTable(request.edits)
  if (await holds(proveFuture(writing, tables, request.triggerColumns))) return 'committed' as const
  return (await holds(checkPresent(writing, tables))) ? ('rolled back' as const) : ('unknown' as const)
}

async function holds(proof: Promise<unknown>): Promise<boolean> {
  return await proof.then(
    () => true,
    (error: unknown) => {
      if (error instanceof Failure && ['plan-moved', 'restore-unproved'].includes(error.code)) return false
      throw error
    },
  )
}

function explain(error: unknown): Error {
  const number = errorNumber(error)
  if (isTimeout(error) || (number !== undefined && MOVED.has(number))) {
    const said = number === undefined ? 'a statement took too long' : `error ${number}`
    return rowsHeld(said)
  }
  return toSqlServerFailure(error, { doing: 'restoring rows', side: 'target' })
}
