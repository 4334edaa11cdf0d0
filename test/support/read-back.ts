/**
 * Everything that a repository's snapshots hold, read back through every digest, and judged against what the source
 * held: the judge of the fault sweep and of the kills.
 */
import { MANIFEST_PREFIX } from '../../src/repository/layout.ts'
import type { Manifest, TableManifest } from '../../src/repository/manifest.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { tableSpec } from '../../src/repository/table-spec.ts'
import { locatorSpec } from '../../src/repository/tree/spec.ts'
import { TreeReader } from '../../src/repository/tree/tree-reader.ts'
import type { FakeTables } from './fake-source.ts'

/** A table's rows as sorted lines: which order they lie in is the tree's affair. */
export type SnapshotLines = Readonly<Record<string, readonly string[]>>

/** @throws whatever reading throws: a snapshot that is listed must read back whole */
export async function readSnapshot(repository: Repository, snapshotId: string): Promise<SnapshotLines> {
  const { manifest } = await repository.readManifest(snapshotId)
  await repository.readIndex(manifest)
  return await readTrees(repository, manifest)
}

/** All that a manifest names, and that locators have as many rows. @throws as `readSnapshot` */
export async function readTrees(repository: Repository, manifest: Manifest): Promise<SnapshotLines> {
  const lines: Record<string, readonly string[]> = {}
  for (const table of manifest.tables) lines[table.name] = await readTableLines(repository, table)
  await readLocators(repository, manifest)
  return lines
}

/** Of every manifest that the store lists. */
export async function readEverySnapshot(repository: Repository): Promise<Map<string, SnapshotLines>> {
  const found = new Map<string, SnapshotLines>()
  for await (const { key } of repository.store.list(MANIFEST_PREFIX)) {
    const snapshotId = key.slice(MANIFEST_PREFIX.length)
    found.set(snapshotId, await readSnapshot(repository, snapshotId))
  }
  return found
}

export function linesOfTables(tables: FakeTables): SnapshotLines {
  return Object.fromEntries(Object.entries(tables).map(([name, table]) => [name, [...table.lines].sort()]))
}

async function readTableLines(repository: Repository, table: TableManifest): Promise<string[]> {
  const reader = new TreeReader(tableSpec(table), repository.chunkReader(), repository.keyring.secrets)
  const text: Buffer[] = []
  for await (const rows of reader.leaves(table.rows)) text.push(Buffer.from(rows.text))
  return Buffer.concat(text).toString('utf8').split('\n').slice(0, -1).sort()
}

async function readLocators(repository: Repository, manifest: Manifest): Promise<void> {
  for (const table of manifest.tables) {
    const spec = locatorSpec(tableSpec(table))
    if (!spec || !table.locator) continue
    const reader = new TreeReader(spec, repository.chunkReader(), repository.keyring.secrets)
    let rows = 0
    for await (const leaf of reader.leaves(table.locator)) rows += leaf.count
    if (rows !== table.rows.rows)
      throw new Error(`the locator of ${table.name} has ${rows} rows, the table ${table.rows.rows}`)
  }
}
