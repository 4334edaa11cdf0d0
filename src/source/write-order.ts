/** The order in which tables are written, so that no foreign key is broken in between where that can be helped. */
import type { TableInfo } from './contract.ts'
import { splitLine } from './line-fields.ts'
import type { RowEdit } from './row-contract.ts'

export interface TableEdits {
  readonly table: TableInfo
  readonly columns: readonly string[]
  readonly rows: readonly RowEdit[]
}

export function groupByTable(edits: readonly RowEdit[]): TableEdits[] {
  const groups = Map.groupBy(edits, ({ table }) => table.name)
  return [...groups.values()].map((rows) => ({ table: rows[0]!.table, columns: rows[0]!.columns, rows }))
}

/** Names of foreign keys that wait for the end of the transaction, by table. */
export type DeferrableKeys = ReadonlyMap<string, ReadonlySet<string>>

/**
 * Those that refer before those that are referred to. A circle is entered where only keys that can wait are broken; where
 * there are none, the database refuses. Equal tables always come in the same order, so that two restores cannot wait for
 * each other.
 */
export function childrenFirst(tables: readonly TableEdits[], deferrable: DeferrableKeys): TableEdits[] {
  const parts = Map.groupBy(tables, ({ table }) => table.partitionOf ?? table.name)
  const waiting = new Set([...tables].sort((a, b) => (a.table.name < b.table.name ? -1 : 1)))
  const isReady = (edits: TableEdits, canWait: ReadonlySet<string>) =>
    edits.table.foreignKeys
      .filter(({ name }) => !canWait.has(name))
      .flatMap(({ references }) => parts.get(references) ?? tables.filter(({ table }) => table.name === references))
      .every((parent) => parent === edits || !waiting.has(parent))
  const parentsFirst: TableEdits[] = []
  while (waiting.size > 0) {
    const [first] = waiting
    const next =
      [...waiting].find((edits) => isReady(edits, NONE)) ??
      [...waiting].find((edits) => isReady(edits, deferrable.get(edits.table.name) ?? NONE)) ??
      first!
    waiting.delete(next)
    parentsFirst.push(next)
  }
  return parentsFirst.reverse()
}

const NONE: ReadonlySet<string> = new Set()

/** What each table is to lose of the rows that are meant, in the given order. */
export function deletionsOf(ordered: readonly TableEdits[], isMeant: (edit: RowEdit) => boolean): TableEdits[] {
  return ordered.map((edits) => ({
    ...edits,
    rows: edits.rows.filter((edit) => edit.kind === 'delete' && isMeant(edit)),
  }))
}

/**
 * Deletions that have to wait for the updates: rows of the plan refer to them as they are now, and will not any more. And
 * so on up, to what rows refer to that wait.
 */
export function lateDeletes(tables: readonly TableEdits[]): ReadonlySet<RowEdit> {
  const late = new Set<RowEdit>()
  const losing = tables.filter(({ rows }) => rows.some(({ kind }) => kind === 'delete'))
  for (let before = -1; late.size > before; ) {
    before = late.size
    for (const child of losing.length === 0 ? [] : tables) addReferred(late, child, losing)
  }
  return late
}

function addReferred(late: Set<RowEdit>, child: TableEdits, losing: readonly TableEdits[]): void {
  const leaving = child.rows.filter((row) => row.kind === 'update' || late.has(row))
  if (leaving.length === 0) return
  for (const { columns, references, referencedColumns } of child.table.foreignKeys) {
    const parents = losing.filter(
      ({ table: { name, partitionOf } }) => name === references || partitionOf === references,
    )
    if (parents.length === 0) continue
    const wanted = new Set(leaving.map(({ present }) => fieldsText(child.columns, present!, columns)))
    for (const parent of parents) {
      for (const row of parent.rows) {
        if (row.kind !== 'delete') continue
        if (wanted.has(fieldsText(parent.columns, row.present!, referencedColumns))) late.add(row)
      }
    }
  }
}

function fieldsText(columns: readonly string[], line: Buffer, wanted: readonly string[]): string {
  const fields = splitLine(line)
  return wanted.map((column) => fields[columns.indexOf(column)]?.toString('latin1') ?? '').join('\t')
}

export function countEdits(edits: readonly RowEdit[]): { inserted: number; updated: number; deleted: number } {
  const count = (kind: RowEdit['kind']) => edits.filter((edit) => edit.kind === kind).length
  return { inserted: count('insert'), updated: count('update'), deleted: count('delete') }
}
