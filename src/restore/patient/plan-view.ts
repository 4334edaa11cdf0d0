/** A plan as it is shown before anything is written: counts for everybody, rows masked unless values are asked for. */
import type { PlanDocument, ReadPlan } from './plan-document.ts'

export const STATUSES = ['missing', 'changed', 'newer', 'conflicting'] as const
export const ACTIONS = ['insert', 'update', 'delete'] as const
/** Of a value: enough to know it by, too little to be read over a shoulder. */
const MASK_KEEPS = 1

type Rows = PlanDocument['tables'][number]['rows']

export interface ShownRow {
  readonly table: string
  readonly status: Rows[number]['status']
  readonly action: Rows[number]['action']
  readonly cause: string | null
  /** Those that differ; all of them where there is nothing to compare with. */
  readonly columns: readonly ShownColumn[]
}

/** Null where there is no row; NULL as `NULL`. */
export interface ShownColumn {
  readonly name: string
  readonly past: string | null
  readonly present: string | null
}

/** Without rows and values. */
export function planRecord({ document, sha256 }: ReadPlan) {
  const { sealed: _, tables, ...rest } = document
  return { ...rest, sha256, tables: tables.map(({ rows, ...table }) => ({ ...table, ...countsOf(rows) })) }
}

/** Row by row, in the plan's order. */
export function* shownRows({ document, values }: ReadPlan, showValues: boolean): Generator<ShownRow> {
  for (const [index, table] of document.tables.entries()) {
    for (const [position, row] of table.rows.entries()) {
      const lines = values.rows[index]![position]!
      const names = row.columns.length > 0 ? row.columns : table.columns
      const columns = names.map((name) => {
        const field = table.columns.indexOf(name)
        return {
          name,
          past: shownField(lines.past, field, showValues),
          present: shownField(lines.present, field, showValues),
        }
      })
      yield { table: table.name, status: row.status, action: row.action, cause: row.cause, columns }
    }
  }
}

/** By status and by action. */
export function countsOf(rows: Rows): Readonly<Record<(typeof STATUSES)[number] | (typeof ACTIONS)[number], number>> {
  const statuses = STATUSES.map((status) => [status, rows.filter((row) => row.status === status).length] as const)
  const actions = ACTIONS.map((kind) => [kind, rows.filter((row) => row.action === kind).length] as const)
  return Object.fromEntries([...statuses, ...actions]) as ReturnType<typeof countsOf>
}

/** A note may hold what a terminal obeys, or what turns the order of letters round: neither may change what is approved. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '·')
}

function shownField(line: string | null, field: number, showValues: boolean): string | null {
  if (line === null) return null
  const text = Buffer.from(line.split('\t')[field] ?? '', 'latin1').toString('utf8')
  if (text === '\\N') return 'NULL'
  const shown = printable(text)
  if (showValues) return shown
  const kept = text.length > MASK_KEEPS ? shown.slice(0, MASK_KEEPS) : ''
  return `${kept}${'*'.repeat(Math.min(8, Math.max(1, text.length - MASK_KEEPS)))}`
}
