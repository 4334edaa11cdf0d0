/** What is known of each table at the end, from four independent places, side by side. */

import type { ProvenTable } from '../../src/intake/prove-roots.ts'
import type { Manifest } from '../../src/repository/manifest.ts'
import type { TableRows } from './databases.ts'
import type { TableResult } from './result.ts'

export interface Known {
  readonly base: Manifest
  readonly manifest: Manifest
  /** Of the rebuilt database. */
  readonly roots: readonly ProvenTable[]
  /** By the table's name in SQL, of the database that was backed up. */
  readonly source: ReadonlyMap<string, TableRows>
  /** The same, of the rebuilt one. */
  readonly target: ReadonlyMap<string, TableRows>
}

export function assembleTables({ base, manifest, roots, source, target }: Known): TableResult[] {
  const earlier = new Map(base.tables.map((table) => [table.name, table]))
  const proven = new Map(roots.map((table) => [table.table, table]))
  return manifest.tables.map((table) => ({
    name: table.name,
    category: table.category,
    rowsBase: earlier.get(table.name)?.rows.rows ?? 0,
    rowsSecond: table.rows.rows,
    changed: earlier.get(table.name)?.rows.digest !== table.rows.digest,
    rowsSource: source.get(table.sqlName)?.rows ?? -1,
    rowsRebuilt: target.get(table.sqlName)?.rows ?? -1,
    rootSnapshot: table.rows.digest,
    rootRebuilt: proven.get(table.name)?.foundRoot ?? null,
    locatorEqual: proven.get(table.name)?.equal ?? false,
    md5Source: source.get(table.sqlName)?.md5 ?? '',
    md5Rebuilt: target.get(table.sqlName)?.md5 ?? '',
  }))
}

/** Rows counted by three, roots by two, and a digest in which chartkeep has no part. */
export function isEqual(table: TableResult): boolean {
  return (
    table.rowsSource === table.rowsSecond &&
    table.rowsRebuilt === table.rowsSecond &&
    table.rootRebuilt === table.rootSnapshot &&
    table.locatorEqual &&
    table.md5Source !== '' &&
    table.md5Rebuilt === table.md5Source
  )
}
