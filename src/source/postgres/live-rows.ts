/**
 * Rows of one patient out of the live database: one read-only transaction, its rows found by index wherever the database
 * has one. What the application waits for is never held: an ACCESS SHARE lock on the tables asked about, and a
 * snapshot for as long as a preview takes.
 */
import { Failure } from '../../errors.ts'
import type { ConnectionSettings, ReadPosition } from '../contract.ts'
import type { LiveRows, LiveRowsOptions, RowQuery } from '../row-contract.ts'
import { connect, type Session } from './connect.ts'
import { fieldLiteral } from './copy-field.ts'
import { CopyOut } from './copy-out.ts'
import { ROWS_HIDDEN_HINT, toPostgresFailure } from './failures.ts'
import { readIdentity } from './identity.ts'
import { introspect } from './introspect.ts'
import { quoteName, quoteText } from './quote.ts'

/** Keys in one statement: so many that the database chooses between index and scan, few enough to be parsed at once. */
const VALUES_AT_ONCE = 20_000
const NEWLINE = 0x0a

/** @throws source-unreachable, source-login-refused, missing-rights, setting-not-pinned */
export async function openLiveRows(settings: ConnectionSettings, options: LiveRowsOptions): Promise<LiveRows> {
  options.signal.throwIfAborted()
  const session = await connect(settings, 'read')
  const stop = () => session.destroy()
  options.signal.addEventListener('abort', stop, { once: true })
  const close = async () => {
    options.signal.removeEventListener('abort', stop)
    await session[Symbol.asyncDispose]()
  }
  try {
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    await session.query(`SET LOCAL lock_timeout = ${Math.ceil(options.lockTimeoutMs)}`)
    const position = await readPosition(session)
    const identity = await readIdentity(session)
    const schema = await introspect(session, { sizes: 'recorded' })
    const rows = async (query: RowQuery) => await readRows(session, query)
    return { identity, position, schema, rows, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    if (options.signal.aborted) throw options.signal.reason
    throw toPostgresFailure(error, { doing: 'looking at the live database', side: 'source' })
  }
}

async function readPosition(session: Session): Promise<ReadPosition> {
  const [row] = await session.query(`
    SELECT pg_current_snapshot() AS visible,
      CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END AS lsn,
      to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS source_time`)
  return { lsn: row?.lsn ?? '', visible: row?.visible ?? '', sourceTime: row?.source_time ?? '' }
}

/** Also of a session that writes: what is read back must be the same text (src/restore/patient/apply). */
export async function readRows(session: Session, query: RowQuery): Promise<Buffer[]> {
  try {
    await refuseHidden(session, query)
    const found = new Map<string, Buffer>()
    const { values } = query.where
    for (let start = 0; start < values.length; start += VALUES_AT_ONCE) {
      const statement = selectStatement(query, values.slice(start, start + VALUES_AT_ONCE), session.encoding)
      const copy = new CopyOut(`COPY (${statement}) TO STDOUT (ENCODING ${quoteText(session.encoding)})`)
      for (const line of await linesOf(session.client.query(copy).lines())) found.set(line.toString('latin1'), line)
    }
    // Two equal values of one query would bring a row twice; of a table without a key, equal rows are told by `ctid`.
    return [...found.values()].map((line) => line.subarray(line.indexOf(0x09) + 1))
  } catch (error) {
    throw toPostgresFailure(error, { doing: `reading rows of ${query.table.name}`, side: 'source' })
  }
}

/** `ctid` first: it tells equal rows of a bag apart, and is taken off again. */
function selectStatement({ table, columns, where }: RowQuery, values: RowQuery['where']['values'], encoding: string) {
  const types = where.columns.map((column) => typeOf(table, column))
  const tuples = values.map((fields) => {
    const literals = fields.map((field, position) => fieldLiteral(field, types[position]!, encoding))
    return literals.length === 1 ? literals[0]! : `(${literals.join(', ')})`
  })
  const names = where.columns.map(quoteName)
  // Of rows, a list is an OR of as many conditions; a table of values is joined with.
  const isOne = names.length === 1
  const left = isOne ? names[0]! : `(${names.join(', ')})`
  const right = isOne ? tuples.join(', ') : `VALUES ${tuples.join(', ')}`
  return `SELECT ctid, ${columns.map(quoteName).join(', ')} FROM ONLY ${table.sqlName} WHERE ${left} IN (${right})`
}

function typeOf(table: RowQuery['table'], column: string): string {
  const found = table.columns.find(({ name }) => name === column)
  if (found) return found.type
  throw new Failure('schema-changed', `table ${table.name} has no column ${column} any more`, {
    context: { table: table.name },
  })
}

async function refuseHidden(session: Session, { table }: RowQuery): Promise<void> {
  const [row] = await session.query('SELECT row_security_active($1::oid) AS hidden', [table.oid])
  if (row?.hidden !== 't') return
  throw new Failure('rows-hidden', `row-level security hides rows of ${table.name}`, { hints: [ROWS_HIDDEN_HINT] })
}

async function linesOf(chunks: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const text = Buffer.concat(await Array.fromAsync(chunks, (chunk) => Buffer.from(chunk)))
  const lines: Buffer[] = []
  let start = 0
  for (let end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE, start)) {
    lines.push(text.subarray(start, end))
    start = end + 1
  }
  return lines
}
