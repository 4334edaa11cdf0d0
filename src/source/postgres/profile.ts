/**
 * Facts about columns for `discover`, computed in the database: no value leaves it.
 *
 * A look takes the rows of a table's first pages only as far as the sample needs, and looks each value up by the
 * referenced column's own equality. It is bounded in time: a look without an index behind it is given up, and says
 * "unknown", so that discovering never burdens the wards.
 */
import type { ColumnRef, SourceProfile } from '../contract.ts'
import type { Session } from './connect.ts'
import { isServerError } from './failures.ts'
import { quoteName } from './quote.ts'

type Failing = <T>(doing: string, work: () => Promise<T>) => Promise<T>

const LOOK_TIMEOUT_MS = 5000

/** Types without a common equality, an equality that fails on a value, and looks that take too long. */
const UNKNOWN = new Set(['42883', '42804', '22P02', '57014', '55P03'])

export function postgresProfile(session: Session, failing: Failing): SourceProfile {
  return {
    containedShare: (column, referenced, sampleRows) =>
      failing(`comparing ${shown(column)} with ${shown(referenced)}`, () =>
        look(session, containedQuery(column, referenced, sampleRows), (row) =>
          row.share === null || row.share === undefined ? null : Number(row.share),
        ),
      ),
    looksUnique: (column, sampleRows) =>
      failing(
        `sampling ${shown(column)}`,
        async () => (await look(session, uniqueQuery(column, sampleRows), (row) => row.is_unique === 't')) ?? false,
      ),
  }
}

function containedQuery(column: ColumnRef, referenced: ColumnRef, sampleRows: number): string {
  const value = quoteName(column.column)
  return `WITH sampled AS MATERIALIZED (SELECT DISTINCT v FROM (
      SELECT ${value} AS v FROM ${column.sqlName} WHERE ${value} IS NOT NULL LIMIT ${Math.ceil(sampleRows)}) taken)
    SELECT avg(CASE WHEN EXISTS (SELECT FROM ${referenced.sqlName} r WHERE r.${quoteName(referenced.column)} = sampled.v)
      THEN 1 ELSE 0 END)::float8 AS share FROM sampled`
}

function uniqueQuery(column: ColumnRef, sampleRows: number): string {
  const value = quoteName(column.column)
  return `SELECT count(*) = count(DISTINCT v) AS is_unique FROM (
      SELECT ${value} AS v FROM ${column.sqlName} WHERE ${value} IS NOT NULL LIMIT ${Math.ceil(sampleRows)}) taken`
}

async function look<T>(
  session: Session,
  query: string,
  answer: (row: Readonly<Record<string, string | null>>) => T,
): Promise<T | null> {
  await session.query('BEGIN READ ONLY')
  try {
    await session.query(`SET LOCAL statement_timeout = ${LOOK_TIMEOUT_MS}; SET LOCAL lock_timeout = 1000`)
    const [row] = await session.query(query)
    return row === undefined ? null : answer(row)
  } catch (error) {
    if (isServerError(error) && UNKNOWN.has(error.code)) return null
    throw error
  } finally {
    await session.query('ROLLBACK')
  }
}

function shown(ref: ColumnRef): string {
  return `${ref.sqlName}.${quoteName(ref.column)}`
}
