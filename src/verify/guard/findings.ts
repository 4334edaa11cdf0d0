/** What of a change is more than a change may be. An error is history that was changed, a warning what nobody can tell. */
import type { GuardEnd, GuardFinding, GuardSnapshot, GuardTable } from './guard-report.ts'

/** Empty: nothing that was there before is another now, but where the rules allow it or the record is open. */
export function findingsOf(tables: readonly GuardTable[], ends: readonly GuardSnapshot[]): GuardFinding[] {
  const findings: GuardFinding[] = []
  const error = (message: string) => findings.push({ severity: 'error', message })
  const doubt = (message: string) => findings.push({ severity: 'warning', message })
  for (const { snapshot, proved, remark } of ends) {
    if (proved === 'failed') error(`snapshot ${snapshot} is not what the database held: ${remark}`)
    else if (proved !== 'passed') doubt(`snapshot ${snapshot} was not proved against the database: ${remark ?? proved}`)
  }
  for (const { table, updated, deleted, columnsGone, rowsBefore, movedOut, rootAfter, notComparable } of tables) {
    // Of a part that is gone, and all of whose rows are in other parts, nothing is lost.
    if (rootAfter === null && rowsBefore > movedOut) error(`table ${table} of ${rowsBefore} rows is gone`)
    if (notComparable !== null) doubt(`table ${table} could not be compared: ${notComparable}`)
    if (columnsGone.length > 0 && rowsBefore > 0)
      error(`table ${table} has lost ${columnsGone.join(', ')} of ${rowsBefore} rows`)
    if (updated.closed > 0) error(`table ${table}: ${updated.closed} rows of closed records were changed`)
    if (deleted.closed + deleted.open > 0 && rootAfter !== null) {
      error(
        `table ${table}: ${deleted.closed + deleted.open} rows were deleted, ${deleted.closed} of them of closed records`,
      )
    }
    const unknown = updated.unknown + (rootAfter === null ? 0 : deleted.unknown)
    if (unknown > 0) {
      doubt(
        `table ${table}: ${unknown} rows that were there before were changed or deleted, and nothing says when its records are closed`,
      )
    }
  }
  return findings
}

export function judge(findings: readonly GuardFinding[]): GuardEnd['history'] {
  if (findings.some(({ severity }) => severity === 'error')) return 'changed'
  return findings.length > 0 ? 'undecided' : 'unchanged'
}
