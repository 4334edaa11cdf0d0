/** A plan as a page in the terminal: what would be written, by category and table, before a row of it is. */
import { type PlanDocument, type ReadPlan, subjectsOf } from '../restore/patient/plan-document.ts'
import { ACTIONS, countsOf, STATUSES, shownRows } from '../restore/patient/plan-view.ts'
import { formatCount, formatTable } from './terminal.ts'

export function planLines(plan: ReadPlan): string[] {
  const { document } = plan
  const lines = [
    `plan      ${document.planId}`,
    `digest    ${plan.sha256}`,
    ...subjectsOf(document).map((patient) => `patient   ${patient}`),
    `as of     ${document.moment.sourceTime} (${document.moment.asked}, snapshot ${document.moment.snapshotId})`,
    `into      ${document.target.databaseName} of system ${document.target.systemId}`,
    `kind      ${describeKind(document)}`,
    `expires   ${document.expiresAt}`,
    '',
    ...formatTable(
      ['category', 'table', 'same', ...STATUSES, ...ACTIONS],
      document.tables.map(countRow),
      [2, 3, 4, 5, 6, 7, 8, 9, 10],
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
  lines.push(...goingLines(document), ...leftAsTheyAre(document))
  for (const [cause, rows] of causesOf(document)) lines.push(`conflict  ${formatCount(rows)} rows ${cause}`)
  for (const { table, gone } of document.needed.filter((needed) => needed.gone > 0)) {
    lines.push(`gone      ${formatCount(gone)} rows of ${table} that the patient's refer to`)
  }
  for (const { table, reason } of document.leftOut) lines.push(`left out  ${table}: ${reason}`)
  return lines
}

/** Of a merge that is taken back: what changes hands. */
function goingLines(document: PlanDocument): string[] {
  const groups = document.tables.flatMap((table) => table.groups)
  return subjectsOf(document).flatMap((patient) => {
    const own = groups.filter(({ goesTo }) => goesTo === patient)
    const count = (holds: (group: (typeof own)[number]) => boolean) =>
      own.filter(holds).reduce((sum, { rows }) => sum + rows, 0)
    const written = count(({ status }) => status === 'moved')
    const along = count(({ status }) => status !== 'moved')
    if (written + along === 0) return []
    const rest = along === 0 ? '' : `; ${formatCount(along)} changed or written since go with what they hang on`
    return [`goes      ${formatCount(written)} rows go to ${patient}${rest}`]
  })
}

/** What the policy leaves: at three in the morning nobody knows the three of them by heart. */
function leftAsTheyAre({ kind, tables }: PlanDocument): string[] {
  if (kind.kind === 'undo' || kind.policy === 'exact') return []
  const all = tables.flatMap(({ groups }) => groups)
  const left = countsOf(all.filter(({ action, cause, goesTo }) => action === 'none' && cause === null && !goesTo))
  const stay = (rows: number, what: string, policy: string) =>
    rows === 0 ? [] : [`left      ${formatCount(rows)} rows that ${what} stay as they are (see --policy ${policy})`]
  return [
    ...(kind.policy === 'missing' ? stay(left.changed, 'were changed since', 'changed') : []),
    ...(kind.kind === 'unmerge' ? newerStay(left.newer) : stay(left.newer, 'were not there then', 'exact')),
  ]
}

function newerStay(rows: number): string[] {
  if (rows === 0) return []
  return [`left      ${formatCount(rows)} rows written since stay with whom they hang on now (see --rows and --give)`]
}

/** Row by row, all of them, before beside after: who approves may have to see the last one. Values are masked unless they are asked for. */
export function rowLines(plan: ReadPlan, showValues: boolean): string[] {
  const lines: string[] = []
  for (const { table, status, action, cause, goesTo, columns } of shownRows(plan, showValues)) {
    const whose = goesTo === undefined ? '' : `, goes to ${goesTo}`
    lines.push(`${table}  ${status} → ${action}${whose}${cause === null ? '' : `: ${cause}`}`)
    for (const { name, past, present } of columns) {
      if (status === 'changed' || status === 'moved') lines.push(`    ${name}: ${present ?? '–'} → ${past ?? '–'}`)
      else lines.push(`    ${name}: ${past ?? present}`)
    }
  }
  return lines
}

function describeKind({ kind }: PlanDocument): string {
  return kind.kind === 'undo' ? `undo of changeset ${kind.changesetId}` : `${kind.kind}, policy ${kind.policy}`
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
    for (const { cause, rows, goesTo } of groups)
      if (cause !== null && goesTo === undefined)
        causes.set(`of ${name}: ${cause}`, (causes.get(`of ${name}: ${cause}`) ?? 0) + rows)
  }
  return causes
}
