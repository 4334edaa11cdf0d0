/** A plan as a page in the terminal: what would be written, by category and table, before a row of it is. */
import type { PlanDocument, ReadPlan } from '../restore/patient/plan-document.ts'
import { ACTIONS, countsOf, STATUSES, shownRows } from '../restore/patient/plan-view.ts'
import { formatCount, formatTable } from './terminal.ts'

export function planLines(plan: ReadPlan): string[] {
  const { document } = plan
  const lines = [
    `plan      ${document.planId}`,
    `digest    ${plan.sha256}`,
    `patient   ${document.patient}`,
    `as of     ${document.moment.sourceTime} (${document.moment.asked}, snapshot ${document.moment.snapshotId})`,
    `into      ${document.target.databaseName} of system ${document.target.systemId}`,
    `kind      ${describeKind(document)}`,
    `expires   ${document.expiresAt}`,
    '',
    ...formatTable(
      ['category', 'table', 'same', ...STATUSES, ...ACTIONS],
      document.tables.map(countRow),
      [2, 3, 4, 5, 6, 7, 8, 9],
    ),
    '',
  ]
  for (const { name, columnsLost, columnsNew } of document.tables) {
    if (columnsLost.length > 0) lines.push(`lost      ${name}: ${columnsLost.join(', ')} cannot be put back`)
    if (columnsNew.length > 0) lines.push(`new       ${name}: ${columnsNew.join(', ')} take their defaults`)
  }
  for (const { name, olderBecause } of document.tables) {
    if (olderBecause !== undefined)
      lines.push(`older     ${name}: as of snapshot ${document.moment.snapshotId} (${olderBecause})`)
  }
  lines.push(...leftAsTheyAre(document))
  for (const [cause, rows] of causesOf(document)) lines.push(`conflict  ${formatCount(rows)} rows ${cause}`)
  for (const { table, gone } of document.needed.filter((needed) => needed.gone > 0)) {
    lines.push(`gone      ${formatCount(gone)} rows of ${table} that the patient's refer to`)
  }
  for (const { table, reason } of document.leftOut) lines.push(`left out  ${table}: ${reason}`)
  return lines
}

/** What the policy leaves: at three in the morning nobody knows the three of them by heart. */
function leftAsTheyAre({ kind, tables }: PlanDocument): string[] {
  if (kind.kind === 'undo' || kind.policy === 'exact') return []
  const isLeft = ({ action, cause }: { action: string; cause: string | null }) => action === 'none' && cause === null
  const left = countsOf(tables.flatMap(({ groups }) => groups.filter(isLeft)))
  const stay = (rows: number, what: string, policy: string) =>
    rows === 0 ? [] : [`left      ${formatCount(rows)} rows that ${what} stay as they are (see --policy ${policy})`]
  return [
    ...(kind.policy === 'missing' ? stay(left.changed, 'were changed since', 'changed') : []),
    ...stay(left.newer, 'were not there then', 'exact'),
  ]
}

/** Row by row, all of them, before beside after: who approves may have to see the last one. Values are masked unless they are asked for. */
export function rowLines(plan: ReadPlan, showValues: boolean): string[] {
  const lines: string[] = []
  for (const { table, status, action, cause, columns } of shownRows(plan, showValues)) {
    lines.push(`${table}  ${status} → ${action}${cause === null ? '' : `: ${cause}`}`)
    for (const { name, past, present } of columns) {
      if (status === 'changed') lines.push(`    ${name}: ${present ?? '–'} → ${past ?? '–'}`)
      else lines.push(`    ${name}: ${past ?? present}`)
    }
  }
  return lines
}

function describeKind({ kind }: PlanDocument): string {
  return kind.kind === 'undo' ? `undo of changeset ${kind.changesetId}` : `restore, policy ${kind.policy}`
}

function countRow({ name, category, same, groups }: PlanDocument['tables'][number]): string[] {
  const counts = countsOf(groups)
  return [
    category,
    name,
    formatCount(same),
    ...[...STATUSES, ...ACTIONS].map((column) => (counts[column] ? formatCount(counts[column]) : '·')),
  ]
}

function causesOf({ tables }: PlanDocument): Map<string, number> {
  const causes = new Map<string, number>()
  for (const { name, groups } of tables) {
    for (const { cause, rows } of groups)
      if (cause !== null) causes.set(`of ${name}: ${cause}`, (causes.get(`of ${name}: ${cause}`) ?? 0) + rows)
  }
  return causes
}
