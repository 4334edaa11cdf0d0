/**
 * One table of a consistent read, from whatever thread: a connection of its own joins the read's snapshot.
 *
 * Under its own lock it checks that the table is still the one the snapshot saw (P4): the same oid, columns and file.
 * The snapshot answers from catalog rows, `pg_relation_filenode()` and `pg_identify_object()` answer from the present,
 * and only where both agree does COPY read what the snapshot promises. Columns are always named; COPY of a table reads
 * that table only, not what inherits from it. The encoding is the database's own, so no byte is ever translated (P15).
 */
import { Failure } from '../../errors.ts'
import type { ReadTable, ReadTicket, TableTicket } from '../contract.ts'
import { connect, type Session } from './connect.ts'
import { CopyOut } from './copy-out.ts'
import { isConnectionLoss, isServerError, ROWS_HIDDEN_HINT, toPostgresFailure } from './failures.ts'
import { nameList } from './introspect.ts'
import { quoteName, quoteText } from './quote.ts'
import { hasYielded, yieldFailure } from './watcher.ts'

/** A lock that is not there at once has an ALTER before it, for which the watcher gives up the read anyway. */
const LOCK_TIMEOUT_MS = 10_000

export const readTable: ReadTable = async function* (ticket, table, signal) {
  signal.throwIfAborted()
  let session: Session | undefined
  const stop = () => session?.destroy()
  signal.addEventListener('abort', stop, { once: true })
  try {
    session = await connect(ticket.connection, 'read')
    signal.throwIfAborted()
    await joinSnapshot(session, ticket, table)
    yield* copyLines(session, ticket, table)
    await session.query('COMMIT')
  } catch (error) {
    throw signal.aborted ? signal.reason : await explain(error, ticket, table)
  } finally {
    signal.removeEventListener('abort', stop)
    session?.destroy()
  }
}

async function joinSnapshot(session: Session, ticket: ReadTicket, table: TableTicket): Promise<void> {
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  await session.query(`SET TRANSACTION SNAPSHOT ${quoteText(ticket.snapshot)}`)
  await session.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`)
  await session.query(`LOCK TABLE ONLY ${table.sqlName} IN ACCESS SHARE MODE`)
  await verifyTable(session, table)
}

async function verifyTable(session: Session, table: TableTicket): Promise<void> {
  const [row] = await session.query(
    `SELECT c.oid, c.relkind, c.relfilenode AS seen_storage, pg_relation_filenode(c.oid) AS present_storage,
       to_regclass(${quoteText(table.sqlName)})::oid AS present_oid,
       row_security_active(c.oid) AS hidden,
       (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns,
       (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
            AND (pg_identify_object('pg_catalog.pg_class'::regclass, c.oid, a.attnum)).identity
              IS DISTINCT FROM (pg_identify_object('pg_catalog.pg_class'::regclass, c.oid, 0)).identity
                || '.' || quote_ident(a.attname)) AS renamed
     FROM pg_catalog.pg_class c WHERE c.oid = $1::oid`,
    [table.oid],
  )
  if (row?.hidden === 't') {
    throw new Failure('rows-hidden', `row-level security hides rows of ${table.name}`, { hints: [ROWS_HIDDEN_HINT] })
  }
  const differences: string[] = []
  if (row?.relkind !== 'r') differences.push(`no table with oid ${table.oid} is there`)
  else {
    if (row.present_oid !== table.oid) differences.push(`oid ${row.present_oid}, not ${table.oid}`)
    for (const found of [row.seen_storage, row.present_storage]) {
      if (found !== table.storage) differences.push(`file ${found}, not ${table.storage}`)
    }
    const columns = nameList(row.columns)
    if (columns.join('\0') !== table.columns.join('\0') || row.renamed !== null) differences.push('other columns')
  }
  if (differences.length === 0) return
  throw new Failure('schema-changed', `${table.name} was changed since the snapshot: ${differences.join(', ')}`, {
    hints: ['Run the command again.'],
    context: { table: table.name },
  })
}

function copyLines(session: Session, ticket: ReadTicket, table: TableTicket): AsyncIterable<Uint8Array> {
  const columns = table.columns.length > 0 ? ` (${table.columns.map(quoteName).join(', ')})` : ''
  const statement = `COPY ${table.sqlName}${columns} TO STDOUT (ENCODING ${quoteText(ticket.encoding)})`
  return session.client.query(new CopyOut(statement)).views()
}

/** A lost connection may be our own doing, and a failed import its consequence. */
async function explain(error: unknown, ticket: ReadTicket, table: TableTicket): Promise<Error> {
  const isLost = isConnectionLoss(error)
  const isRefusedSnapshot = isServerError(error) && ['22023', '42704', '55000'].includes(error.code)
  if (isLost || isRefusedSnapshot) {
    const yielded = await hasYielded(ticket.connection).catch(() => false)
    if (yielded) return yieldFailure()
  }
  if (isRefusedSnapshot) {
    return new Failure('schema-changed', `the snapshot that ${table.name} was to be read at is gone`, {
      hints: ['Run the command again.'],
      context: { table: table.name },
    })
  }
  return toPostgresFailure(error, { doing: `reading ${table.name}`, side: 'source' })
}
