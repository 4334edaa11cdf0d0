/**
 * What a restore of one patient would do, row by row. Nothing is decided anywhere else: what a plan does not name is not
 * written.
 *
 *     policy     missing rows    changed rows    newer rows     conflicting rows
 *     missing    put back        left            left           left, with their cause
 *     changed    put back        set back        left           left, with their cause
 *     exact      put back        set back        taken out      left, with their cause
 */
import { Failure } from '../../errors.ts'
import type { Manifest } from '../../repository/manifest.ts'
import type { Closure, LeftOut } from './closure.ts'
import type { NeededFact, PatientFacts, RowFact, RowStatus, TableFacts } from './row-status.ts'

export const POLICIES = ['missing', 'changed', 'exact'] as const
export type Policy = (typeof POLICIES)[number]
export type RowAction = 'insert' | 'update' | 'delete' | 'none'

export interface Selection {
  /** Null for all. A row is taken when its table is wanted by either. */
  readonly categories: ReadonlySet<string> | null
  /** As `TableManifest.name`, or the partitioned table's. */
  readonly tables: ReadonlySet<string> | null
}

export interface PlanWish {
  readonly policy: Policy
  readonly selection: Selection
  /** That values of columns which are gone cannot be put back is accepted. */
  readonly acceptLoss: boolean
}

export interface PlannedRow extends RowFact {
  readonly action: RowAction
}

export interface PlannedTable extends Omit<TableFacts, 'rows'> {
  readonly rows: readonly PlannedRow[]
}

export interface PatientPlan {
  readonly manifest: Manifest
  readonly patient: Buffer
  readonly policy: Policy
  readonly tables: readonly PlannedTable[]
  readonly needed: readonly NeededFact[]
  readonly leftOut: readonly LeftOut[]
}

const ACTIONS: Readonly<Record<RowStatus, Readonly<Record<Policy, RowAction>>>> = {
  missing: { missing: 'insert', changed: 'insert', exact: 'insert' },
  changed: { missing: 'none', changed: 'update', exact: 'update' },
  newer: { missing: 'none', changed: 'none', exact: 'delete' },
  same: { missing: 'none', changed: 'none', exact: 'none' },
  conflicting: { missing: 'none', changed: 'none', exact: 'none' },
}

/**
 * @throws bad-usage when the selection names what the source does not have; schema-changed when columns that rows would
 * need are gone and that is not accepted
 */
export function planPatient(closure: Closure, facts: PatientFacts, wish: PlanWish): PatientPlan {
  const { manifest, patient, leftOut } = closure
  refuseUnknown(manifest, wish.selection)
  refuseStranger(closure)
  const tables = facts.tables.map((table) => planTable(table, wish))
  if (!wish.acceptLoss) refuseLoss(tables)
  return { manifest, patient, policy: wish.policy, tables, needed: facts.needed, leftOut }
}

function planTable(table: TableFacts, { policy, selection }: PlanWish): PlannedTable {
  const isWanted = selects(selection, table)
  const rows = table.rows.map((fact): PlannedRow => {
    const action = isWanted ? ACTIONS[fact.status][policy] : 'none'
    const cause = action === 'delete' ? deleteObstacle(table) : null
    return cause === null ? { ...fact, action } : { ...fact, action: 'none', cause }
  })
  return { ...table, rows }
}

/** Taking out is the one thing that must be able to come back whole, and hit no other row. */
function deleteObstacle({ table, columnsNew, columnsLost }: TableFacts): string | null {
  if (table.primaryKey.length === 0) return 'a table without a key: which of equal rows is meant cannot be said'
  if (columnsNew.length + columnsLost.length > 0)
    return 'the table has other columns now: it could not be brought back whole'
  return null
}

/** A key that nobody had then may be a slip of the pen, or the same key spelt otherwise: everything now would look new. */
function refuseStranger({ manifest, tables }: Closure): void {
  const own = tables.filter(({ found }) => found === 'patient')
  if (own.some(({ rows }) => rows.length > 0)) return
  throw new Failure('bad-usage', `nobody had this key in ${manifest.patient?.table} at that moment`, {
    hints: ['`chartkeep patient find TEXT --at …` shows keys as the database writes them.'],
  })
}

function selects({ categories, tables }: Selection, { table }: TableFacts): boolean {
  if (categories === null && tables === null) return true
  const byName = tables?.has(table.name) || (table.partitionOf !== null && tables?.has(table.partitionOf))
  return Boolean(byName) || (categories?.has(table.category) ?? false)
}

function refuseUnknown({ tables }: Manifest, selection: Selection): void {
  const names = new Set(tables.flatMap(({ name, partitionOf }) => [name, partitionOf ?? name]))
  const categories = new Set(tables.map(({ category }) => category))
  const table = [...(selection.tables ?? [])].find((name) => !names.has(name))
  const category = [...(selection.categories ?? [])].find((name) => !categories.has(name))
  if (table === undefined && category === undefined) return
  const what = table === undefined ? `category ${category}` : `table ${table}`
  const known = table === undefined ? [...categories] : [...names]
  throw new Failure('bad-usage', `the snapshot has no ${what}`, { hints: [`It has: ${known.sort().join(', ')}.`] })
}

function refuseLoss(tables: readonly PlannedTable[]): void {
  const losing = tables.filter(
    ({ columnsLost, rows }) => columnsLost.length > 0 && rows.some(({ action }) => writesPast(action)),
  )
  const first = losing[0]
  if (!first) return
  const lost = losing.map(({ table, columnsLost }) => `${table.name} (${columnsLost.join(', ')})`).join('; ')
  throw new Failure('schema-changed', `columns are gone, or of another type, since then: ${lost}`, {
    context: { table: first.table.name },
    hints: ['Their values cannot be put back. Give --accept-loss to put back the rest of those rows.'],
  })
}

function writesPast(action: RowAction): boolean {
  return action === 'insert' || action === 'update'
}
