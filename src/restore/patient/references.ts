/** What refers to what, as of a moment: foreign keys, and the links that the configuration declares. */
import type { Manifest, TableManifest } from '../../repository/manifest.ts'

export interface Reference {
  /** For people: the constraint's name, or `link`. */
  readonly name: string
  readonly from: TableManifest
  /** Field numbers. */
  readonly fromFields: readonly number[]
  /** A table, or all leaf partitions of one. */
  readonly to: readonly TableManifest[]
  /** Field numbers, the same in every one of `to`: by name. */
  readonly toColumns: readonly string[]
}

/** In the order of the manifest's tables. References to a table that the snapshot does not hold are left out. */
export function referencesOf(manifest: Manifest): Reference[] {
  return manifest.tables.flatMap((table) => {
    const own = table.foreignKeys ?? []
    const links = (manifest.links ?? [])
      .filter((link) => link.table === table.name || link.table === table.partitionOf)
      .map((link) => ({
        name: 'link',
        columns: [link.column],
        references: link.referencedTable,
        referencedColumns: [link.referencedColumn],
      }))
    return [...own, ...links].flatMap((key) => {
      const to = tablesNamed(manifest, key.references)
      const fromFields = key.columns.map((column) => fieldNumber(table, column))
      // A generated column is not captured, so that what it refers to cannot be followed.
      if (to.length === 0 || fromFields.includes(-1)) return []
      return [{ name: key.name, from: table, fromFields, to, toColumns: key.referencedColumns }]
    })
  })
}

/** Of each table with an anchor, the one through which the anchor leads to patients; configured or found, key or not. */
export function anchorReferencesOf(manifest: Manifest): Reference[] {
  return manifest.tables.flatMap((table) => {
    const through = table.anchorPath[1]
    if (table.anchor === null || through === undefined) return []
    const dot = through.lastIndexOf('.')
    const to = tablesNamed(manifest, through.slice(0, dot))
    const fromFields = [fieldNumber(table, table.anchor)]
    return [{ name: 'anchor', from: table, fromFields, to, toColumns: [through.slice(dot + 1)] }]
  })
}

/** The table of that name, or the leaf partitions of it. */
export function tablesNamed(manifest: Manifest, name: string): TableManifest[] {
  return manifest.tables.filter((table) => table.name === name || table.partitionOf === name)
}

export function fieldNumber(table: TableManifest, column: string): number {
  return table.columns.findIndex((candidate) => candidate.name === column)
}
