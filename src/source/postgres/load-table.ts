/**
 * Rows into one table of the database being rebuilt: one COPY in one transaction.
 *
 * A table that is truncated in the same transaction may be filled with rows that are frozen from the start: whoever reads
 * them first, the building of the first index, need not look up their transaction and write every page once more; and a
 * server with `wal_level = minimal` writes no log of them. The table is empty, or it is not truncated.
 *
 * Lines arrive in the encoding they were read in, which must be the target's own. Triggers and foreign keys do not exist yet, so
 * there is nothing to keep from firing; COPY fills identity columns, GENERATED ALWAYS included, as the lines say.
 */
import { Failure } from '../../errors.ts'
import type { LoadTable } from '../contract.ts'
import { connect, type Session } from './connect.ts'
import { CopyIn } from './copy-in.ts'
import { toPostgresFailure } from './failures.ts'
import { quoteName, quoteText } from './quote.ts'

/** @throws target-failed, untranslatable-text, missing-rights, source-unreachable */
export const loadTable: LoadTable = async (connection, table, lines, signal) => {
  signal.throwIfAborted()
  const session = await connect(connection, 'write')
  const stop = () => session.destroy()
  signal.addEventListener('abort', stop, { once: true })
  try {
    signal.throwIfAborted()
    if (session.encoding !== table.encoding) throw otherEncoding({ target: session.encoding, source: table.encoding })
    await session.query('BEGIN; SET LOCAL synchronous_commit = off')
    const freeze = await truncateEmpty(session, table.sqlName)
    const columns = table.columns.length > 0 ? ` (${table.columns.map(quoteName).join(', ')})` : ''
    const statement = `COPY ${table.sqlName}${columns} FROM STDIN (FREEZE ${freeze}, ENCODING ${quoteText(table.encoding)})`
    const stored = await session.client.query(new CopyIn(statement)).send(lines)
    await session.query('COMMIT')
    return stored
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw toPostgresFailure(error, { doing: `loading ${table.sqlName}`, side: 'target' })
  } finally {
    signal.removeEventListener('abort', stop)
    session.destroy()
  }
}

/** Nobody's rows: only a table that is empty, and stays so under our lock. */
async function truncateEmpty(session: Session, sqlName: string): Promise<boolean> {
  await session.query(`LOCK TABLE ONLY ${sqlName} IN ACCESS EXCLUSIVE MODE`)
  const [row] = await session.query(`SELECT EXISTS (SELECT FROM ONLY ${sqlName}) AS filled`)
  if (row?.filled !== 'f') return false
  await session.query(`TRUNCATE ONLY ${sqlName}`)
  return true
}

/**
 * The same rows read from the rebuilt database must be the same bytes, which a translation would not leave. Nor does
 * PostgreSQL check what is said to be SQL_ASCII: since 14, COPY puts such bytes into a UTF8 database as they are.
 */
export function otherEncoding(encodings: { readonly target: string; readonly source: string }): Failure {
  const { target, source } = encodings
  return new Failure('target-failed', `the target's encoding is ${target}, the source's was ${source}`, {
    hints: [`Make the database with ENCODING '${source}' TEMPLATE template0.`],
  })
}
