/** The tree of a stored table, from what its manifest says. */
import { Failure } from '../errors.ts'
import type { TableManifest } from './manifest.ts'
import type { TreeSpec } from './tree/spec.ts'

/** @throws repository-damaged when the table's key or anchor is none of its columns */
export function tableSpec(table: TableManifest): TreeSpec {
  const position = (column: string): number => {
    const found = table.columns.findIndex((candidate) => candidate.name === column)
    if (found >= 0) return found
    throw new Failure('repository-damaged', `the manifest's table ${table.name} has no column ${column}`, {
      context: { table: table.name },
    })
  }
  return {
    name: table.name,
    fieldCount: table.columns.length,
    anchor: table.anchor === null ? null : position(table.anchor),
    key: table.primaryKey.map(position),
  }
}
