/**
 * Rows of one patient into the live database: one transaction that the wards never notice.
 *
 *     BEGIN REPEATABLE READ, short time-outs ─→ advisory lock of the patient ─→ rows locked in key order, as the plan has them?
 *     ─→ undo stored ─→ deletes, children first; inserts and updates, parents first ─→ constraints checked ─→ read back,
 *     byte for byte ─→ mark ─→ COMMIT ─→ the outcome, even when the connection dies there (outcome.ts)
 *
 * Rows that are put back go in by COPY, one statement a table: foreign keys within the table are checked at its end,
 * identity columns take what the lines say, and triggers fire as for the application (P19).
 */
import { from as copyFrom } from 'pg-copy-streams'
import { Failure } from '../../errors.ts'
import { notCommitted, otherDatabase, patientBusy, rowsHeld } from '../apply-failures.ts'
import type { ConnectionSettings } from '../contract.ts'
import { isSameDatabase } from '../identity.ts'
import type { AppliedRows, AppliedTransaction, ApplyRequest, RowEdit } from '../row-contract.ts'
import { checkPresent, proveFuture } from '../row-proof.ts'
import { childrenFirst, countEdits, deletionsOf, groupByTable, lateDeletes, type TableEdits } from '../write-order.ts'
import { connect, type Session } from './connect.ts'
import { deferrableKeys } from './deferrable-keys.ts'
import { deleteStatements, updateStatements } from './edit-statements.ts'
import { isConnectionLoss, isServerError, toPostgresFailure } from './failures.ts'
import { readIdentity } from './identity.ts'
import { refuseOrphans } from './orphans.ts'
import { settleOutcome } from './outcome.ts'
import { quoteName, quoteText } from './quote.ts'
import { writingTransaction } from './row-locks.ts'
import { sideEffectsOf } from './side-effects.ts'

/** Somebody holds a row, changed it since our snapshot, or a deadlock was broken at our expense. */
const MOVED = new Set(['55P03', '40001', '40P01', '57014'])

/**
 * @throws plan-moved when a row is not as the plan has it, or is held by somebody; restore-unproved when a trigger made
 * something else of a row; target-failed when a constraint refuses; outcome-unknown; source-…
 */
export async function applyRows(settings: ConnectionSettings, request: ApplyRequest): Promise<AppliedRows> {
  request.signal.throwIfAborted()
  const session = await connect(settings, 'write')
  const stop = () => session.destroy()
  request.signal.addEventListener('abort', stop, { once: true })
  let transaction: AppliedTransaction | null = null
  let committing = false
  let triggered: ReadonlyMap<string, number> = new Map()
  let sideEffects: AppliedRows['sideEffects'] = null
  try {
    const identity = await readIdentity(session)
    if (!isSameDatabase(request.expected, identity)) throw otherDatabase(request.expected, identity)
    await begin(session, request)
    const tables = groupByTable(request.edits)
    const writing = writingTransaction(session)
    await checkPresent(writing, tables)
    transaction = { id: await transactionId(session), identity }
    await request.beforeWriting(transaction)
    await write(session, tables, request.searchPath)
    triggered = await proveFuture(writing, tables, request.triggerColumns)
    sideEffects = await sideEffectsOf(session, tables)
    await session.query('SELECT pg_logical_emit_message(true, $1, $2)', ['chartkeep', request.mark])
    request.signal.throwIfAborted()
    committing = true
    await session.query('COMMIT')
    return { transaction, ...countEdits(request.edits), triggered, sideEffects }
  } catch (error) {
    if (committing && transaction && (isConnectionLoss(error) || !isServerError(error))) {
      await settle(settings, transaction)
      return { transaction, ...countEdits(request.edits), triggered, sideEffects }
    }
    if (request.signal.aborted) throw request.signal.reason
    throw explain(error)
  } finally {
    request.signal.removeEventListener('abort', stop)
    session.destroy()
  }
}

async function begin(session: Session, request: ApplyRequest): Promise<void> {
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  await session.query(
    `SET LOCAL lock_timeout = ${Math.ceil(request.lockTimeoutMs)}; ` +
      `SET LOCAL statement_timeout = ${Math.ceil(request.statementTimeoutMs)}`,
  )
  for (const lock of request.patientLocks) {
    const [row] = await session.query('SELECT pg_try_advisory_xact_lock($1::bigint) AS held', [`${lock}`])
    if (row?.held !== 't') throw patientBusy()
  }
}

async function transactionId(session: Session): Promise<string> {
  const [row] = await session.query('SELECT pg_current_xact_id() AS id')
  return row?.id ?? ''
}

async function write(session: Session, tables: readonly TableEdits[], searchPath: string): Promise<void> {
  // What the application's triggers call they find by the application's path; ours is empty.
  await session.query(`SET LOCAL search_path = ${searchPath}`)
  await session.query('SET CONSTRAINTS ALL DEFERRED')
  const ordered = childrenFirst(tables, await deferrableKeys(session, tables))
  const late = lateDeletes(tables)
  await deleteRows(session, ordered, (edit) => !late.has(edit))
  for (const edits of ordered.toReversed()) {
    await insertRows(session, edits)
    for (const statement of updateStatements(edits, session.encoding)) await counted(session, statement)
  }
  await deleteRows(session, ordered, (edit) => late.has(edit))
  await session.query('SET CONSTRAINTS ALL IMMEDIATE')
  await session.query("SET LOCAL search_path = ''")
}

async function deleteRows(
  session: Session,
  ordered: readonly TableEdits[],
  isMeant: (edit: RowEdit) => boolean,
): Promise<void> {
  const deletions = deletionsOf(ordered, isMeant)
  for (const edits of deletions) {
    await refuseOrphans(session, edits, deletions)
    for (const statement of deleteStatements(edits, session.encoding)) await counted(session, statement)
  }
}

/** What was locked and compared cannot be gone: a trigger or a rule then turned the statement aside. */
async function counted(
  session: Session,
  statement: { readonly sql: string; readonly rows: number; readonly table: string },
) {
  const result = await session.client.query(statement.sql)
  if (result.rowCount === statement.rows) return
  throw unproved(statement.table, `${result.rowCount} rows were written, not ${statement.rows}`)
}

async function insertRows(session: Session, { table, columns, rows }: TableEdits): Promise<void> {
  const lines = rows.filter(({ kind }) => kind === 'insert').map(({ future }) => future!)
  if (lines.length === 0) return
  const names = columns.map(quoteName).join(', ')
  const encoding = quoteText(session.encoding)
  const stream = session.client.query(copyFrom(`COPY ${table.sqlName} (${names}) FROM STDIN (ENCODING ${encoding})`))
  await new Promise<void>((resolve, reject) => {
    stream.on('error', reject)
    stream.on('finish', resolve)
    for (let start = 0; start < lines.length; start += LINES_AT_ONCE) {
      stream.write(Buffer.concat(lines.slice(start, start + LINES_AT_ONCE).flatMap((line) => [line, NEWLINE])))
    }
    stream.end()
  })
  if (stream.rowCount !== lines.length)
    throw unproved(table.name, `${stream.rowCount} rows were stored, not ${lines.length}`)
}

const NEWLINE = Buffer.of(0x0a)
/** A write to the socket for each line would cost more than the line. */
const LINES_AT_ONCE = 500

function unproved(table: string, what: string): Failure {
  return new Failure('restore-unproved', `in ${table}, ${what}: a trigger may turn them aside; nothing was written`, {
    context: { table },
  })
}

/** The connection died between our COMMIT and its answer. @throws outcome-unknown, or that it was rolled back */
async function settle(settings: ConnectionSettings, transaction: AppliedTransaction): Promise<void> {
  const outcome = await settleOutcome(settings, transaction)
  if (outcome !== 'committed') throw notCommitted(outcome, transaction)
}

function explain(error: unknown): Error {
  if (isServerError(error) && MOVED.has(error.code)) {
    return rowsHeld(`SQLSTATE ${error.code}`, { sqlstate: error.code })
  }
  return toPostgresFailure(error, { doing: 'restoring rows', side: 'target' })
}
