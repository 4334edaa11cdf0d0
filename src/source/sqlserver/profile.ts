/** Facts about columns for `discover`, computed in the database: no value leaves it. */
import type { ColumnRef, SourceProfile } from '../contract.ts'
import type { Row, Session } from './connect.ts'
import { errorNumber } from './failures.ts'
import { quoteName } from './quote.ts'

type Failing = <T>(doing: string, work: () => Promise<T>) => Promise<T>

/** Types that do not compare, values that do not convert, collations that conflict, and waits. */
const UNKNOWN = new Set([206, 245, 305, 306, 402, 421, 468, 1205, 1222, 8114, 8169])

export function sqlServerProfile(session: Session, failing: Failing): SourceProfile {
  return {
    containedShare: (column, referenced, sampleRows) =>
      failing(`comparing ${shown(column)} with ${shown(referenced)}`, () =>
        look(session, containedQuery(column, referenced, sampleRows), (row) =>
          row.looked === '0' ? null : Number(row.found) / Number(row.looked),
        ),
      ),
    looksUnique: (column, sampleRows) =>
      failing(
        `sampling ${shown(column)}`,
        async () =>
          (await look(session, uniqueQuery(column, sampleRows), (row) => row.taken === row.different)) ?? false,
      ),
  }
}

function containedQuery(column: ColumnRef, referenced: ColumnRef, sampleRows: number): string {
  const match = `EXISTS (SELECT 1 FROM ${referenced.sqlName} r WHERE r.${quoteName(referenced.column)} = d.v)`
  return `SELECT COUNT(*) AS looked, SUM(d.hit) AS found FROM (
      SELECT CASE WHEN ${match} THEN 1 ELSE 0 END AS hit FROM (SELECT DISTINCT s.v FROM (${sample(column, sampleRows)}) s) d
    ) d`
}

function uniqueQuery(column: ColumnRef, sampleRows: number): string {
  return `SELECT COUNT(*) AS taken, COUNT(DISTINCT s.v) AS different FROM (${sample(column, sampleRows)}) s`
}

function sample({ sqlName, column }: ColumnRef, sampleRows: number): string {
  const value = quoteName(column)
  return `SELECT TOP (${Math.ceil(sampleRows)}) ${value} AS v FROM ${sqlName} WHERE ${value} IS NOT NULL`
}

async function look<T>(session: Session, query: string, answer: (row: Row) => T): Promise<T | null> {
  try {
    await session.query('SET LOCK_TIMEOUT 1000')
    const [row] = await session.query(query)
    return row === undefined ? null : answer(row)
  } catch (error) {
    const number = errorNumber(error)
    if (number !== undefined && UNKNOWN.has(number)) return null
    throw error
  }
}

function shown(ref: ColumnRef): string {
  return `${ref.sqlName}.${quoteName(ref.column)}`
}
