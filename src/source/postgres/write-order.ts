/** The order in which tables are written, so that no foreign key is broken in between where that can be helped. */
import type { TableInfo } from '../contract.ts'
import type { RowEdit } from '../row-contract.ts'

export interface TableEdits {
  readonly table: TableInfo
  readonly columns: readonly string[]
  readonly rows: readonly RowEdit[]
}

export function groupByTable(edits: readonly RowEdit[]): TableEdits[] {
  const groups = Map.groupBy(edits, ({ table }) => table.name)
  return [...groups.values()].map((rows) => ({ table: rows[0]!.table, columns: rows[0]!.columns, rows }))
}

/**
 * Those that refer before those that are referred to. A circle is entered somewhere: its constraints must be deferrable,
 * or the database refuses. Equal tables always come in the same order, so that two restores cannot wait for each other.
 */
export function childrenFirst(tables: readonly TableEdits[]): TableEdits[] {
  const byName = new Map(tables.map((edits) => [edits.table.name, edits]))
  const parts = Map.groupBy(tables, ({ table }) => table.partitionOf ?? table.name)
  const parents = (table: TableInfo) => [
    ...new Set(table.foreignKeys.flatMap(({ references }) => parts.get(references) ?? byName.get(references) ?? [])),
  ]
  const ordered: TableEdits[] = []
  const visited = new Set<string>()
  const visit = (edits: TableEdits) => {
    if (visited.has(edits.table.name)) return
    visited.add(edits.table.name)
    for (const parent of parents(edits.table)) visit(parent)
    ordered.push(edits)
  }
  for (const name of [...byName.keys()].sort()) visit(byName.get(name)!)
  return ordered.reverse()
}
