/**
 * Snapshots made by hand, with the right keys and everything in its place, so that a test can put a lie at one single
 * spot: a value, a digest, an order, a boundary. The leaves are cut here, not by the code that backups use.
 */
import { randomBytes } from 'node:crypto'
import { changesSpec, TRANSACTIONS_SPEC } from '../../src/repository/fold/change-tree.ts'
import type { Manifest, TableManifest } from '../../src/repository/manifest.ts'
import { packPayload } from '../../src/repository/pack/chunk.ts'
import { PackWriter } from '../../src/repository/pack/pack-writer.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { initRepository } from '../../src/repository/repository-lifecycle.ts'
import { tableSpec } from '../../src/repository/table-spec.ts'
import { type CutRule, isCut, keyHash, LEAF_CUT } from '../../src/repository/tree/boundary.ts'
import { TreeDigester } from '../../src/repository/tree/digest.ts'
import { encodeLeaf } from '../../src/repository/tree/leaf-codec.ts'
import { parseRows, rowKey } from '../../src/repository/tree/rows.ts'
import { locatorSpec, type TreeSpec } from '../../src/repository/tree/spec.ts'
import type { TreeRoot } from '../../src/repository/tree/tree-root.ts'
import { type BuiltLeaf, TreeWriter } from '../../src/repository/tree/tree-writer.ts'
import { MemoryStore } from './memory-store.ts'

export interface ForgedTable {
  readonly name: string
  readonly columns: readonly string[]
  readonly primaryKey: readonly string[]
  readonly anchor: string | null
  readonly anchorPath: readonly string[]
  /** In the order of keys, without newlines. */
  readonly lines: readonly string[]
  /** In the order of keys; what the lines give when not given. */
  readonly locatorLines?: readonly string[]
  /** Of the tree of its changes, in the order of keys; none when not given. */
  readonly changeLines?: readonly string[]
  /** Rows in each leaf, instead of what the rule says. */
  readonly rowsPerLeaf?: number
  readonly nodeCut?: CutRule
  /** The lie. */
  readonly alter?: (leaves: BuiltLeaf[], spec: TreeSpec) => BuiltLeaf[]
}

export async function memoryRepository(): Promise<{ repository: Repository; store: MemoryStore }> {
  const store = new MemoryStore()
  const secret = { kind: 'key-file', bytes: randomBytes(32) } as const
  const world = { nowMs: () => Date.UTC(2026, 0, 1), random: randomBytes }
  const { repository } = await initRepository(store, { url: 'memory:' }, [secret], world)
  return { repository, store }
}

/** `more`: further members of the manifest. @returns the snapshot's id, and the roots by table */
export async function forgeSnapshot(
  repository: Repository,
  tables: readonly ForgedTable[],
  more: Partial<Manifest> & { readonly transactionLines?: readonly string[] } = {},
): Promise<{ snapshotId: string; roots: Map<string, TreeRoot> }> {
  const snapshotId = `20260102T000000Z-${randomBytes(4).toString('hex')}`
  const packs = new PackWriter({
    store: repository.store,
    dataKey: repository.keyring.currentDataKey,
    random: randomBytes,
  })
  const manifests: TableManifest[] = []
  for (const table of tables) manifests.push(await forgeTable(repository, packs, table))
  const { transactionLines, ...members } = more
  if (members.log && transactionLines) {
    const leaves = cutLeaves(repository, TRANSACTIONS_SPEC, transactionLines)
    members.log = { ...members.log, transactions: await forgeTree(repository, packs, {}, TRANSACTIONS_SPEC, leaves) }
  }
  const indexSha256 = await repository.writeIndex({ format: 1, snapshotId, packs: [...(await packs.flush())] })
  const manifest = { ...manifestOf(repository, snapshotId, manifests, indexSha256), ...members }
  const sha256 = await repository.writeManifest(manifest)
  await repository.ledger.append({ snapshot: snapshotId, manifest: sha256, time: '2026-01-02T00:00:00Z' })
  return { snapshotId, roots: new Map(manifests.map(({ name, rows }) => [name, rows])) }
}

/** A leaf of these lines, with the digest and the key that they have. */
export function leafOf(repository: Repository, spec: TreeSpec, lines: readonly string[]): BuiltLeaf {
  const text = Buffer.from(lines.map((line) => `${line}\n`).join(''))
  const rows = parseRows(spec, text)
  return {
    digest: new TreeDigester(repository.keyring.secrets, spec.name).leafDigest(rows, 0, rows.count),
    lastKey: Uint8Array.from(rowKey(rows, rows.count - 1)),
    rows: rows.count,
    textBytes: text.length,
    payload: packPayload(encodeLeaf(text, rows.count, spec.fieldCount)),
    place: null,
  }
}

async function forgeTable(repository: Repository, packs: PackWriter, table: ForgedTable): Promise<TableManifest> {
  const { name, primaryKey, anchor, anchorPath } = table
  const base = {
    name,
    sqlName: name,
    oid: '1',
    category: '其他',
    partitionOf: null,
    columns: table.columns.map((column) => ({ name: column, type: 'text', notNull: false })),
    primaryKey: [...primaryKey],
    anchor,
    anchorPath: [...anchorPath],
  }
  const nowhere = { digest: '', level: 1, rows: 0, textBytes: 0, pack: '', offset: 0, storedBytes: 0 }
  const spec = tableSpec({ ...base, rows: nowhere, locator: null })
  const leaves = cutLeaves(repository, spec, table.lines, table.rowsPerLeaf)
  const rows = await forgeTree(repository, packs, table, spec, table.alter?.(leaves, spec) ?? leaves)
  const forLocator = locatorSpec(spec)
  const locator = forLocator
    ? await forgeTree(repository, packs, {}, forLocator, locatorLeaves(repository, table, spec, forLocator))
    : null
  if (!table.changeLines) return { ...base, rows, locator }
  const forChanges = changesSpec(spec)
  const changed = cutLeaves(repository, forChanges, table.changeLines, table.rowsPerLeaf)
  return { ...base, rows, locator, changes: await forgeTree(repository, packs, {}, forChanges, changed) }
}

async function forgeTree(
  repository: Repository,
  packs: PackWriter,
  { nodeCut }: { readonly nodeCut?: CutRule },
  spec: TreeSpec,
  leaves: readonly BuiltLeaf[],
): Promise<TreeRoot> {
  const writer = new TreeWriter({
    treeName: spec.name,
    keys: repository.keyring.secrets,
    leafPacks: packs,
    nodePacks: packs,
    storedNodes: new Map(),
    ...(nodeCut ? { nodeCut } : {}),
  })
  for (const leaf of leaves) await writer.addLeaf(leaf)
  return await writer.finish()
}

function cutLeaves(
  repository: Repository,
  spec: TreeSpec,
  lines: readonly string[],
  rowsPerLeaf?: number,
): BuiltLeaf[] {
  const hash = keyHash(repository.keyring.secrets.cutSeed, 0)
  const leaves: BuiltLeaf[] = []
  let pending: string[] = []
  let size = 0
  for (const line of lines) {
    pending.push(line)
    const bytes = Buffer.byteLength(line) + 1
    size += bytes
    const key = rowKey(parseRows(spec, Buffer.from(`${line}\n`)), 0)
    const cut = rowsPerLeaf ? pending.length === rowsPerLeaf : isCut(LEAF_CUT, size, bytes, hash(key))
    if (!cut) continue
    leaves.push(leafOf(repository, spec, pending))
    pending = []
    size = 0
  }
  return pending.length > 0 ? [...leaves, leafOf(repository, spec, pending)] : leaves
}

/** Keys of these tests are numbers in the order of the lines, or nearly so: sorted by number. */
function locatorLeaves(repository: Repository, table: ForgedTable, spec: TreeSpec, forLocator: TreeSpec): BuiltLeaf[] {
  const derived = table.lines.map((line) => {
    const fields = line.split('\t')
    return [...spec.key, spec.anchor!].map((field) => fields[field]).join('\t')
  })
  const lines = table.locatorLines ?? derived.sort((a, b) => Number(a.split('\t')[0]) - Number(b.split('\t')[0]))
  return cutLeaves(repository, forLocator, lines)
}

function manifestOf(
  repository: Repository,
  snapshotId: string,
  tables: readonly TableManifest[],
  indexSha256: string,
): Manifest {
  return {
    format: 1,
    snapshotId,
    repositoryId: repository.id,
    sourceName: 'forged',
    source: {
      engine: 'postgresql',
      systemId: '1',
      timeline: 1,
      databaseOid: '1',
      databaseName: 'forged',
      serverVersion: '17',
      serverVersionNumber: 170000,
      encoding: 'UTF8',
    },
    position: { lsn: '0/1', visible: '1:1:', sourceTime: '2026-01-02T00:00:00.000000Z' },
    mode: 'base',
    modeReason: 'forged',
    patient: { table: 'public.patient', key: 'patient_id', label: [] },
    tables: [...tables],
    sequences: [],
    ddl: { origin: 'none', steps: [], notCarried: [] },
    notCaptured: [],
    indexSha256,
    previous: null,
    tool: { name: 'chartkeep', version: '0', node: process.version },
    run: {
      startedAt: '2026-01-02T00:00:00.000Z',
      endedAt: '2026-01-02T00:00:00.000Z',
      bytesRead: 0,
      bytesStored: 0,
      leavesStored: 0,
      leavesReused: 0,
    },
  }
}
