/** Rows of a table by month, counted by the database itself: what a certificate's own counts are held against. */
import type { ConnectionSettings } from '../contract.ts'
import type { MonthCount } from '../row-contract.ts'
import { connect } from './connect.ts'
import { toPostgresFailure } from './failures.ts'
import { quoteName } from './quote.ts'

/** @returns months as `YYYY-MM`, and `-` for rows without a moment. @throws source-…, missing-rights */
export async function countByMonth(
  settings: ConnectionSettings,
  counts: readonly MonthCount[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>[]> {
  signal.throwIfAborted()
  await using session = await connect(settings, 'read')
  try {
    const counted: ReadonlyMap<string, number>[] = []
    for (const count of counts) {
      signal.throwIfAborted()
      const rows = await session.query(`SELECT ${monthExpression(count)} AS month, count(*)::text AS rows
        FROM ONLY ${count.sqlName} GROUP BY 1`)
      counted.push(new Map(rows.map(({ month, rows: text }) => [month ?? '-', Number(text)])))
    }
    return counted
  } catch (error) {
    throw toPostgresFailure(error, { doing: 'counting the rows of a restored copy', side: 'source' })
  }
}

function monthExpression({ column, hasZone, utcOffsetMinutes }: MonthCount): string {
  if (column === null) return `'-'`
  const name = quoteName(column)
  const local = hasZone ? `(${name} AT TIME ZONE 'UTC' + interval '${Math.trunc(utcOffsetMinutes)} minutes')` : name
  return `CASE WHEN isfinite(${name}) THEN to_char(${local}, 'YYYY-MM') ELSE '-' END`
}
