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
import { from as copyFrom } from 'pg-copy-streams'
import { Failure } from '../../errors.ts'
import type { LoadTable } from '../contract.ts'
import { connect, type Session } from './connect.ts'
import { toPostgresFailure } from './failures.ts'
import { quoteName, quoteText } from './quote.ts'

/** Of lines under way before the reader is made to wait. */
const BUFFER_BYTES = 1 << 20

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
    const stream = session.client.query(
      copyFrom(`COPY ${table.sqlName}${columns} FROM STDIN (FREEZE ${freeze}, ENCODING ${quoteText(table.encoding)})`, {
        highWaterMark: BUFFER_BYTES,
      }),
    )
    await sendLines(stream, lines)
    await session.query('COMMIT')
    return stream.rowCount
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

type CopyStream = ReturnType<typeof copyFrom>

/** The server may refuse a row at any time: its answer ends the sending, whatever the sender is waiting for. */
async function sendLines(stream: CopyStream, lines: AsyncIterable<Uint8Array>): Promise<void> {
  const refused = Promise.withResolvers<never>()
  refused.promise.catch(() => {})
  stream.on('error', refused.reject)
  const finished = Promise.withResolvers<void>()
  stream.on('finish', finished.resolve)
  const iterator = lines[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), refused.promise])
      if (next.done) break
      if (!stream.write(next.value)) await Promise.race([drained(stream), refused.promise])
    }
    stream.end()
    await Promise.race([finished.promise, refused.promise])
  } catch (error) {
    // Not waited for: a reader that is stuck must not keep the refusal from being told.
    iterator.return?.().then(undefined, () => {})
    throw error
  }
}

function drained(stream: CopyStream): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  stream.once('drain', resolve)
  return promise
}
