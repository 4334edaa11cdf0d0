/**
 * What a restore of one patient would do, row by row. Nothing is decided anywhere else: what a plan does not name is not
 * written.
 *
 *     policy     missing rows    changed rows    newer rows     conflicting rows
 *     missing    put back        left            left           left, with their cause
 *     changed    put back        set back        left           left, with their cause
 *     exact      put back        set back        taken out      left, with their cause
 *
 * Rows that a wrong merge moved are told as moved only where both patients are named (unmerge.ts), and go back under every
 * policy.
 */
import { Failure } from '../../errors.ts'
import type { Manifest } from '../../repository/manifest.ts'
import type { Closure, LeftOut } from './closure.ts'
import type { PlanDocument } from './plan-document.ts'
import { fieldNumber, type Reference, referencesOf } from './references.ts'
import type { NeededFact, PatientFacts, RowFact, RowStatus, TableFacts } from './row-status.ts'
import { type Selection, type Selects, selector } from './selection.ts'
import { fieldsText } from './stored-row.ts'

export const POLICIES = ['missing', 'changed', 'exact'] as const
export type Policy = (typeof POLICIES)[number]
/** Of two patients: what was written since is whose it is by what it hangs on, and never taken out. */
export const UNMERGE_POLICIES = ['missing', 'changed'] as const
export type RowAction = 'insert' | 'update' | 'delete' | 'none'

export interface PlanWish {
  readonly policy: Policy
  readonly selection: Selection
  /** That values of columns which are gone cannot be put back is accepted. */
  readonly acceptLoss: boolean
}

export interface PlannedRow extends RowFact {
  readonly action: RowAction
  /** The key of the patient whose it will be, where that is another than now. */
  readonly goesTo?: Buffer
}

export interface PlannedTable extends Omit<TableFacts, 'rows'> {
  readonly rows: readonly PlannedRow[]
}

export interface PatientPlan {
  readonly manifest: Manifest
  readonly kind: Exclude<PlanDocument['kind'], { readonly kind: 'undo' }>
  readonly patients: readonly Buffer[]
  readonly tables: readonly PlannedTable[]
  readonly needed: readonly NeededFact[]
  readonly leftOut: readonly LeftOut[]
}

const ACTIONS: Readonly<Record<RowStatus, Readonly<Record<Policy, RowAction>>>> = {
  missing: { missing: 'insert', changed: 'insert', exact: 'insert' },
  changed: { missing: 'none', changed: 'update', exact: 'update' },
  newer: { missing: 'none', changed: 'none', exact: 'delete' },
  moved: { missing: 'update', changed: 'update', exact: 'update' },
  same: { missing: 'none', changed: 'none', exact: 'none' },
  conflicting: { missing: 'none', changed: 'none', exact: 'none' },
}

/**
 * @throws bad-usage when the selection names what the source does not have; schema-changed when columns that rows would
 * need are gone and that is not accepted
 */
export function planPatient(closure: Closure, facts: PatientFacts, wish: PlanWish): PatientPlan {
  const { manifest, patients, leftOut } = closure
  refuseStranger(closure)
  const isWanted = selector(manifest, facts.tables, wish.selection)
  const tables = planTables(manifest, facts.tables, { ...wish, isWanted })
  const kind = { kind: 'restore', policy: wish.policy } as const
  return { manifest, kind, patients, tables, needed: facts.needed, leftOut }
}

export interface TablesWish extends Pick<PlanWish, 'policy' | 'acceptLoss'> {
  readonly isWanted: Selects
}

/** @throws schema-changed, as `planPatient` */
export function planTables(manifest: Manifest, facts: readonly TableFacts[], wish: TablesWish): PlannedTable[] {
  const tables = withParents(
    manifest,
    facts.map((table) => planTable(table, wish)),
  )
  if (!wish.acceptLoss) refuseLoss(tables)
  return tables
}

function planTable(table: TableFacts, { policy, isWanted }: TablesWish): PlannedTable {
  const rows = table.rows.map((fact): PlannedRow => {
    const action = isWanted(table, fact) ? ACTIONS[fact.status][policy] : 'none'
    const obstacle = action === 'delete' ? deleteObstacle(table) : null
    const { status, past, present, columns, cause } = fact
    return { status, past, present, columns, cause: obstacle ?? cause, action: obstacle === null ? action : 'none' }
  })
  return { ...table, rows }
}

const PARENT_NOT_SELECTED = 'the row that it hangs on is missing, and not selected'

/** A row is not put back without the row that it hangs on, when the selection leaves that one out: and so on down. */
function withParents(manifest: Manifest, tables: readonly PlannedTable[]): PlannedTable[] {
  const rows = new Map(tables.map((table) => [table.table.name, [...table.rows]]))
  const references = referencesOf(manifest).filter(({ from }) => rows.has(from.name))
  for (let grew = true; grew; ) {
    grew = false
    for (const reference of references) {
      const lacking = lackingValues(reference, rows)
      if (lacking.size === 0) continue
      const own = rows.get(reference.from.name)!
      for (const [index, row] of own.entries()) {
        if (!writesPast(row.action) || !lacking.has(fieldsText(row.past!, reference.fromFields) ?? '')) continue
        own[index] = { ...row, action: 'none', cause: PARENT_NOT_SELECTED }
        grew = true
      }
    }
  }
  return tables.map((table) => ({ ...table, rows: rows.get(table.table.name)! }))
}

/** Of rows that are missing and stay so: what could be referred to, unless another row has it. */
function lackingValues({ to, toColumns }: Reference, rows: ReadonlyMap<string, readonly PlannedRow[]>): Set<string> {
  const lacking: string[] = []
  const there = new Set<string | null>([null])
  for (const table of to) {
    const fields = toColumns.map((column) => fieldNumber(table, column))
    for (const { action, status, past, present } of rows.get(table.name) ?? []) {
      if (present) there.add(fieldsText(present, fields))
      if (past && writesPast(action)) there.add(fieldsText(past, fields))
      else if (past && status === 'missing') lacking.push(fieldsText(past, fields) ?? '')
    }
  }
  return new Set(lacking.filter((value) => value !== '' && !there.has(value)))
}

/** Taking out is the one thing that must be able to come back whole, and hit no other row. */
function deleteObstacle({ table, columnsNew, columnsLost, olderBecause }: TableFacts): string | null {
  if (table.primaryKey.length === 0) return 'a table without a key: which of equal rows is meant cannot be said'
  if (olderBecause !== null)
    return 'the table is known as of the snapshot only: the row may have been there at the moment'
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
