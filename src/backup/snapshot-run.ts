/**
 * One attempt at a snapshot while it runs: the trees it builds, the packs it fills, what it counts.
 *
 *     thread: leaves in key order ─→ stored already? ─→ pack ─→ inner nodes ─→ root of the table
 */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { assert } from '../errors.ts'
import { type BuildAll, buildAllTables, type PreviousTrees } from '../intake/build-all.ts'
import type { TableConsumer } from '../intake/build-pool.ts'
import type { TablePlan } from '../intake/table-plan.ts'
import { type FoldedTable, foldTable } from '../repository/fold/fold-table.ts'
import { type FoldedTables, type FoldTables, foldTables } from '../repository/fold/fold-tables.ts'
import { changesToRows, type RowsNow } from '../repository/fold/rows-now.ts'
import type { Manifest, TableManifest } from '../repository/manifest.ts'
import { type PackRecord, PackWriter } from '../repository/pack/pack-writer.ts'
import type { Repository } from '../repository/repository.ts'
import { tableSpec } from '../repository/table-spec.ts'
import { locatorSpec, type TreeSpec } from '../repository/tree/spec.ts'
import { NO_STORED_NODES, storedNodes } from '../repository/tree/stored-leaves.ts'
import { TreeReader } from '../repository/tree/tree-reader.ts'
import type { TreeRoot } from '../repository/tree/tree-root.ts'
import { type BuiltLeaf, TreeWriter } from '../repository/tree/tree-writer.ts'
import type { ConsistentRead } from '../source/contract.ts'
import type { AdoptedPacks } from './adopt-packs.ts'
import type { TableResolution } from './log-link.ts'
import type { SnapshotProgress } from './progress.ts'

/** What an attempt needs of the request. */
export interface RunRequest {
  readonly repository: Repository
  readonly pool: BuildAll['pool']
  readonly packBytesTarget?: number
}

export interface RunParts {
  readonly read: ConsistentRead
  readonly previous: Manifest | null
  readonly adopted: AdoptedPacks
  readonly progress: SnapshotProgress
}

export class SnapshotRun {
  leavesStored = 0
  leavesReused = 0
  /** Tables of which the previous snapshot had lost something that is stored again now. */
  readonly tablesHealed = new Set<string>()
  /** Tables of which the source did not tell every change: the snapshots taken since then may lack some. */
  readonly changesLeftOut = new Map<string, string>()
  readonly #request: RunRequest
  readonly #read: ConsistentRead
  readonly #previous: ReadonlyMap<string, TableManifest>
  readonly #adopted: AdoptedPacks
  readonly #progress: SnapshotProgress
  readonly #lostPacks: ReadonlySet<string>
  readonly #leafPacks: PackWriter
  readonly #nodePacks: PackWriter
  readonly #writers = new Map<string, { rows: TreeWriter; locator: TreeWriter | null }>()
  readonly #roots = new Map<string, { rows: TreeRoot; locator: TreeRoot | null }>()

  constructor(request: RunRequest, { read, previous, adopted, progress }: RunParts) {
    this.#request = request
    this.#read = read
    this.#previous = new Map(previous?.tables.map((table) => [table.name, table]))
    this.#adopted = adopted
    this.#progress = progress
    this.#lostPacks = adopted.lostPacks
    const { store, keyring } = request.repository
    const { packBytesTarget } = request
    const target = packBytesTarget === undefined ? {} : { bytesTarget: packBytesTarget }
    const options = { store, dataKey: keyring.currentDataKey, random: randomBytes, ...target }
    this.#leafPacks = new PackWriter(options)
    this.#nodePacks = new PackWriter(options)
  }

  async buildTrees(plans: readonly TablePlan[], signal: AbortSignal): Promise<number> {
    const { repository, pool } = this.#request
    return await buildAllTables({
      read: this.#read,
      plans,
      pool,
      secrets: repository.keyring.secrets,
      encode: true,
      store: repository.storeSettings,
      capabilities: repository.store.capabilities,
      previousOf: (plan) => this.#previousTrees(plan),
      consumerOf: (plan) => this.#consumer(plan),
      onTableDone: (plan) => this.#finishTable(plan),
      signal,
    })
  }

  /** When it returns, everything stored is durable. @returns the packs that this attempt wrote */
  async flush(): Promise<PackRecord[]> {
    const leafPacks = await this.#leafPacks.flush()
    return [...leafPacks, ...(await this.#nodePacks.flush())]
  }

  /** Of a table that was read. `resolution`: null where no change log is written. */
  readTable(plan: TablePlan, resolution: TableResolution | null): TableManifest {
    const roots = this.#roots.get(plan.table.name)
    assert(roots, `table ${plan.table.name} was built`)
    const told = resolution && { ...resolution, taken: 'read' as const, changes: null }
    const described = this.#described(plan)
    const readAt = described.netMark === undefined ? {} : { readAt: this.#read.position.sourceTime }
    return { ...described, ...roots, ...readAt, ...told }
  }

  /** Of a table that was folded. */
  foldedTable(
    plan: TablePlan,
    { rows, locator, changes }: FoldedTable,
    told: TableResolution & { readonly readAt?: string } = { resolution: 'transaction', resolutionReason: null },
  ): TableManifest {
    return { ...this.#described(plan), rows, locator, ...told, taken: 'folded', changes }
  }

  /** Advances tables of the snapshot before by part of a change log. @throws as `foldTables` */
  async fold(
    tables: readonly TableManifest[],
    along: Pick<FoldTables, 'transactions' | 'accept' | 'signal'>,
  ): Promise<FoldedTables> {
    const { keyring } = this.#request.repository
    const folded = await foldTables({
      ...along,
      tables: tables.map((table) => ({
        oid: table.oid,
        spec: tableSpec(table),
        columns: table.columns.map(({ name }) => name),
        rows: table.rows,
        locator: table.locator,
      })),
      chunks: this.#request.repository.chunkReader(),
      keys: keyring.secrets,
      leafPacks: this.#leafPacks,
      nodePacks: this.#nodePacks,
      spillDirectory: tmpdir(),
      changeTree: true,
      onTable: (table) => this.#progress.foldTable(table),
    })
    for (const { counts } of folded.tables.values()) this.leavesStored += counts.leavesStored
    return folded
  }

  /** Advances a table of the snapshot before by rows as they are now. @throws as `foldTable`, and what `rows` throws */
  async foldRows(
    { table, spec }: TablePlan,
    { rows, locator }: TableManifest,
    now: RowsNow['rows'],
    signal: AbortSignal,
  ): Promise<FoldedTable> {
    const keys = this.#request.repository.keyring.secrets
    const chunks = this.#request.repository.chunkReader()
    const previous = { rows, locator }
    const logged = { oid: table.oid, name: table.name, columns: table.columns.map(({ name }) => name), key: spec.key }
    const folded = await foldTable({
      ...{ spec, previous, chunks, keys, signal },
      leafPacks: this.#leafPacks,
      nodePacks: this.#nodePacks,
      spillDirectory: tmpdir(),
      changeTree: false,
      changes: changesToRows({ ...{ spec, previous, chunks, keys }, table: logged, rows: now }),
    })
    this.leavesStored += folded.counts.leavesStored
    this.#progress.foldTable(table.name)
    return folded
  }

  #described(plan: TablePlan): Omit<TableManifest, 'rows' | 'locator'> {
    const { table } = plan
    const netMark = this.#read.netChanges?.marks.get(table.name)
    return {
      ...(netMark !== undefined && { netMark }),
      name: table.name,
      sqlName: table.sqlName,
      oid: table.oid,
      category: plan.category,
      partitionOf: table.partitionOf,
      columns: table.columns.map(({ name, type, notNull }) => ({ name, type, notNull })),
      primaryKey: plan.spec.key.map((position) => table.columns[position]!.name),
      anchor: plan.anchor,
      anchorPath: [...plan.anchorPath],
      foreignKeys: table.foreignKeys.map(({ name, columns, references, referencedColumns }) => ({
        name,
        columns: [...columns],
        references,
        referencedColumns: [...referencedColumns],
      })),
    }
  }

  #previousTrees(plan: TablePlan): PreviousTrees | null {
    const table = this.#previous.get(plan.table.name)
    if (!table) return null
    return { rows: table.rows, locator: table.locator, lostPacks: [...this.#lostPacks] }
  }

  async #consumer(plan: TablePlan): Promise<TableConsumer> {
    const previous = this.#previous.get(plan.table.name)
    const locator = locatorSpec(plan.spec)
    const writers = {
      rows: await this.#writer(plan.table.name, plan.spec, previous?.rows ?? null),
      locator: locator ? await this.#writer(plan.table.name, locator, previous?.locator ?? null) : null,
    }
    this.#writers.set(plan.table.name, writers)
    this.#progress.startTable(plan)
    return {
      onLeaf: async (tree, built) => {
        const leaf = this.#withAdopted(built)
        this.#count(leaf)
        await writers[tree]?.addLeaf(leaf)
      },
      onRead: (bytes) => this.#progress.addRead(bytes),
      onPreviousDamaged: () => this.tablesHealed.add(plan.table.name),
    }
  }

  async #writer(table: string, spec: TreeSpec, previous: TreeRoot | null): Promise<TreeWriter> {
    const { repository } = this.#request
    const keys = repository.keyring.secrets
    const reader = new TreeReader(spec, repository.chunkReader(), keys)
    const stored = previous ? await storedNodes(reader, previous, this.#lostPacks) : NO_STORED_NODES
    if (stored.damaged) this.tablesHealed.add(table)
    return new TreeWriter({
      treeName: spec.name,
      keys,
      leafPacks: this.#leafPacks,
      nodePacks: this.#nodePacks,
      storedNodes: stored.places,
    })
  }

  async #finishTable(plan: TablePlan): Promise<void> {
    const writers = this.#writers.get(plan.table.name)
    assert(writers, `table ${plan.table.name} was begun`)
    const roots = { rows: await writers.rows.finish(), locator: (await writers.locator?.finish()) ?? null }
    this.#writers.delete(plan.table.name)
    this.#roots.set(plan.table.name, roots)
    this.#progress.finishTable(plan, roots.rows.rows)
  }

  #withAdopted(leaf: BuiltLeaf): BuiltLeaf {
    const place = leaf.place ? null : this.#adopted.use(leaf.digest)
    return place ? { ...leaf, payload: null, place } : leaf
  }

  #count(leaf: BuiltLeaf): void {
    if (leaf.place) this.leavesReused += 1
    else this.leavesStored += 1
    this.#progress.addStored(leaf.payload?.length ?? 0)
  }
}
