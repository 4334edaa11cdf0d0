/** A plan as a page in the terminal: what would be written, by category and table, before a row of it is. */
import type { PlanDocument, ReadPlan } from '../restore/patient/plan-document.ts'
import { formatCount, formatTable } from './terminal.ts'

const STATUSES = ['missing', 'changed', 'newer', 'conflicting'] as const
const ACTIONS = ['insert', 'update', 'delete'] as const
const ROWS_SHOWN = 200
/** Of a value: enough to know it by, too little to be read over a shoulder. */
const MASK_KEEPS = 1

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
  for (const [cause, rows] of causesOf(document)) lines.push(`conflict  ${formatCount(rows)} rows ${cause}`)
  for (const { table, gone } of document.needed.filter((needed) => needed.gone > 0)) {
    lines.push(`gone      ${formatCount(gone)} rows of ${table} that the patient's refer to`)
  }
  for (const { table, reason } of document.leftOut) lines.push(`left out  ${table}: ${reason}`)
  return lines
}

export function planRecord({ document, sha256 }: ReadPlan): object {
  const { sealed: _, tables, ...rest } = document
  return { ...rest, sha256, tables: tables.map(({ rows, ...table }) => ({ ...table, ...countsOf(rows) })) }
}

/** Row by row, before beside after. Values are masked unless they are asked for. */
export function rowLines({ document, values }: ReadPlan, showValues: boolean): string[] {
  const lines: string[] = []
  for (const [index, table] of document.tables.entries()) {
    for (const [position, row] of table.rows.entries()) {
      if (lines.length >= ROWS_SHOWN) return [...lines, `… and more: the plan's file has all of them`]
      const { past, present } = values.rows[index]![position]!
      lines.push(`${table.name}  ${row.status} → ${row.action}${row.cause === null ? '' : `: ${row.cause}`}`)
      const shown = row.columns.length > 0 ? row.columns : table.columns
      for (const column of shown) {
        const field = table.columns.indexOf(column)
        const [then, now] = [past, present].map((line) => shownField(line, field, showValues))
        if (row.status === 'changed') lines.push(`    ${column}: ${now} → ${then}`)
        else lines.push(`    ${column}: ${past === null ? now : then}`)
      }
    }
  }
  return lines
}

function shownField(line: string | null, field: number, showValues: boolean): string {
  if (line === null) return '–'
  const text = Buffer.from(line.split('\t')[field] ?? '', 'latin1').toString('utf8')
  if (text === '\\N') return 'NULL'
  const shown = printable(text)
  if (showValues) return shown
  const kept = text.length > MASK_KEEPS ? shown.slice(0, MASK_KEEPS) : ''
  return `${kept}${'*'.repeat(Math.min(8, Math.max(1, text.length - MASK_KEEPS)))}`
}

/** A note may hold what a terminal obeys, or what turns the order of letters round: neither may change what is approved. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '·')
}

function describeKind({ kind }: PlanDocument): string {
  return kind.kind === 'undo' ? `undo of changeset ${kind.changesetId}` : `restore, policy ${kind.policy}`
}

type Rows = PlanDocument['tables'][number]['rows']

function countsOf(rows: Rows): Record<string, number> {
  const by = (name: string, holds: (row: Rows[number]) => boolean) => [name, rows.filter(holds).length] as const
  return Object.fromEntries([
    ...STATUSES.map((status) => by(status, (row) => row.status === status)),
    ...ACTIONS.map((kind) => by(kind, (row) => row.action === kind)),
  ])
}

function countRow({ name, category, same, rows }: PlanDocument['tables'][number]): string[] {
  const counts = countsOf(rows)
  return [
    category,
    name,
    formatCount(same),
    ...[...STATUSES, ...ACTIONS].map((column) => (counts[column] ? formatCount(counts[column]) : '·')),
  ]
}

function causesOf({ tables }: PlanDocument): Map<string, number> {
  const causes = new Map<string, number>()
  for (const { name, rows } of tables) {
    for (const { cause } of rows)
      if (cause !== null) causes.set(`of ${name}: ${cause}`, (causes.get(`of ${name}: ${cause}`) ?? 0) + 1)
  }
  return causes
}
