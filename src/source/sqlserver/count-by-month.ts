/** Rows of a table by month, counted by the database itself: what a certificate's own counts are held against. */
import type { ConnectionSettings } from '../contract.ts'
import type { MonthCount } from '../row-contract.ts'
import { connect } from './connect.ts'
import { toSqlServerFailure } from './failures.ts'
import { quoteName } from './quote.ts'

/** @returns months as `YYYY-MM`, and `-` for rows without a moment. @throws source-…, missing-rights */
export async function countByMonth(
  settings: ConnectionSettings,
  counts: readonly MonthCount[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>[]> {
  signal.throwIfAborted()
  await using session = await connect(settings, 'source')
  try {
    const counted: ReadonlyMap<string, number>[] = []
    for (const count of counts) {
      signal.throwIfAborted()
      const rows = await session.query(`SELECT m.month AS month, CONVERT(nvarchar(20), COUNT_BIG(*)) AS rows
        FROM (SELECT ${monthExpression(count)} AS month FROM ${count.sqlName}) m GROUP BY m.month`)
      counted.push(new Map(rows.map(({ month, rows: text }) => [month ?? '-', Number(text)])))
    }
    return counted
  } catch (error) {
    throw toSqlServerFailure(error, { doing: 'counting the rows of a restored copy', side: 'source' })
  }
}

function monthExpression({ column, hasZone, utcOffsetMinutes }: MonthCount): string {
  if (column === null) return "N'-'"
  const name = quoteName(column)
  const local = hasZone ? `SWITCHOFFSET(${name}, ${Math.trunc(utcOffsetMinutes)})` : name
  return `LEFT(CONVERT(nvarchar(34), ${local}, 121), 7)`
}
