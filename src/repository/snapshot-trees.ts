/** The trees of a snapshot, named: what a walk goes through and a finding speaks of. */
import { changesSpec, TRANSACTIONS_SPEC } from './fold/change-tree.ts'
import type { Manifest, TableManifest } from './manifest.ts'
import { tableSpec } from './table-spec.ts'
import { locatorSpec, type TreeSpec } from './tree/spec.ts'
import type { TreeRoot } from './tree/tree-root.ts'

/** The last two: what happened since the snapshot before, filed by anchor, and the transactions that did it. */
export type TreeKind = 'rows' | 'locator' | 'changes' | 'transactions'

export interface SnapshotTree {
  readonly snapshotId: string
  /** Null of the transactions. */
  readonly table: TableManifest | null
  readonly kind: TreeKind
  readonly spec: TreeSpec
  readonly root: TreeRoot
}

/** One of a table. */
export type TableTree = SnapshotTree & { readonly table: TableManifest }

export function treesOf(manifest: Manifest): SnapshotTree[] {
  const { snapshotId, log } = manifest
  const trees = manifest.tables.flatMap((table) => treesOfTable(snapshotId, table))
  if (!log?.transactions) return trees
  const transactions = { kind: 'transactions', spec: TRANSACTIONS_SPEC, root: log.transactions } as const
  return [...trees, { snapshotId, table: null, ...transactions }]
}

function treesOfTable(snapshotId: string, table: TableManifest): SnapshotTree[] {
  const common = { snapshotId, table }
  const spec = tableSpec(table)
  const locator = locatorSpec(spec)
  const trees: SnapshotTree[] = [{ ...common, kind: 'rows', spec, root: table.rows }]
  if (locator && table.locator) trees.push({ ...common, kind: 'locator', spec: locator, root: table.locator })
  if (table.changes) trees.push({ ...common, kind: 'changes', spec: changesSpec(spec), root: table.changes })
  return trees
}

export function isOfTable(tree: SnapshotTree): tree is TableTree {
  return tree.table !== null
}

/** The table's name, or none. */
export function tableNames({ table }: SnapshotTree): string[] {
  return table === null ? [] : [table.name]
}

/** Trees of one name and form share their leaves; one that was given another column or key shares none. */
export function specId(spec: TreeSpec): string {
  return JSON.stringify([spec.name, spec.fieldCount, spec.anchor, spec.key])
}
