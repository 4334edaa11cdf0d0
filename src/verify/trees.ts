/** The trees of a snapshot, named: what a walk goes through and a finding speaks of. */
import type { Manifest, TableManifest } from '../repository/manifest.ts'
import { tableSpec } from '../repository/table-spec.ts'
import { locatorSpec, type TreeSpec } from '../repository/tree/spec.ts'
import type { TreeRoot } from '../repository/tree/tree-root.ts'

export type TreeKind = 'rows' | 'locator'

export interface SnapshotTree {
  readonly snapshotId: string
  readonly table: TableManifest
  readonly kind: TreeKind
  readonly spec: TreeSpec
  readonly root: TreeRoot
}

export function treesOf(manifest: Manifest): SnapshotTree[] {
  return manifest.tables.flatMap((table) => {
    const common = { snapshotId: manifest.snapshotId, table }
    const spec = tableSpec(table)
    const locator = locatorSpec(spec)
    const rows: SnapshotTree = { ...common, kind: 'rows', spec, root: table.rows }
    return locator && table.locator
      ? [rows, { ...common, kind: 'locator', spec: locator, root: table.locator }]
      : [rows]
  })
}

/** Trees of one name and form share their leaves; one that was given another column or key shares none. */
export function specId(spec: TreeSpec): string {
  return JSON.stringify([spec.name, spec.fieldCount, spec.anchor, spec.key])
}
