/**
 * Proves that a database holds the rows of a snapshot: reads every table at one position, builds its trees for their
 * digests alone, and compares root with root. Nothing is read from the repository but the manifest, and nothing is
 * stored. Equal roots mean equal rows, every one of them, in every field (docs/FORMAT.md, "Digests").
 *
 * The rows' order in the database does not matter, nor which server it is: the trees are built as the manifest says,
 * not as the database's own keys would have it.
 */
import { assert } from '../errors.ts'
import type { Manifest, TableManifest } from '../repository/manifest.ts'
import type { Repository } from '../repository/repository.ts'
import { tableSpec } from '../repository/table-spec.ts'
import { locatorSpec, type TreeSpec } from '../repository/tree/spec.ts'
import { TreeWriter } from '../repository/tree/tree-writer.ts'
import type { ConsistentRead, Source, TableInfo } from '../source/contract.ts'
import { buildAllTables } from './build-all.ts'
import type { BuildPool, TableConsumer } from './build-pool.ts'
import type { TablePlan } from './table-plan.ts'

export interface ProvenTable {
  readonly table: string
  readonly expectedRoot: string
  /** Null when the database has no such table, or it has other columns. */
  readonly foundRoot: string | null
  /** Of the locator; null for both where the table has none. */
  readonly expectedLocator: string | null
  readonly foundLocator: string | null
  readonly expectedRows: number
  /** Rows found in the database. */
  readonly rows: number
  /** The database's columns are not the snapshot's. */
  readonly columnsDiffer: boolean
  readonly equal: boolean
}

export interface ProveRootsRequest {
  /** The database to look at: a restored one, or the source itself. */
  readonly source: Source
  readonly manifest: Manifest
  /** For its keys: roots are salted. */
  readonly repository: Repository
  readonly pool: BuildPool
  readonly signal: AbortSignal
  readonly lockTimeoutMs?: number
  readonly onProgress?: (bytesRead: number) => void
}

const LOCK_TIMEOUT_MS = 5_000

/** In the order of the manifest's tables. @throws every source-… failure, duplicate-key, yielded-to-application */
export async function proveRoots(request: ProveRootsRequest): Promise<ProvenTable[]> {
  const { source, manifest, signal } = request
  const there = new Set((await source.introspect()).tables.map((table) => table.name))
  const tables = manifest.tables.map((table) => table.name).filter((name) => there.has(name))
  if (tables.length === 0) return manifest.tables.map((table) => outcome(table, null, null))

  const lockTimeoutMs = request.lockTimeoutMs ?? LOCK_TIMEOUT_MS
  await using read = await source.openRead({ tables, signal, lockTimeoutMs })
  return await proveRead({ ...request, read })
}

/** As `proveRoots`, of a read that is open already, of all tables. */
export async function proveRead(
  request: Omit<ProveRootsRequest, 'source' | 'lockTimeoutMs'> & { readonly read: ConsistentRead },
): Promise<ProvenTable[]> {
  const { read, manifest, repository } = request
  const infos = new Map(read.schema.tables.map((table) => [table.name, table]))
  const comparable = manifest.tables.filter((table) => hasSameColumns(table, infos.get(table.name)))
  const digests = new DigestTrees(repository)
  await buildAllTables({
    read,
    plans: comparable.map((table) => manifestPlan(table, infos)),
    pool: request.pool,
    secrets: repository.keyring.secrets,
    encode: false,
    store: repository.storeSettings,
    capabilities: repository.store.capabilities,
    previousOf: () => null,
    consumerOf: async (plan) => digests.begin(plan, request.onProgress ?? (() => {})),
    onTableDone: (plan) => digests.finish(plan),
    signal: request.signal,
  })
  return manifest.tables.map((table) =>
    outcome(table, infos.get(table.name) ?? null, digests.found.get(table.name) ?? null),
  )
}

/** Order and names; types are the schema's affair, and the text of the values would show a difference. */
export function hasSameColumns(table: TableManifest, info: TableInfo | undefined): boolean {
  if (info?.columns.length !== table.columns.length) return false
  return table.columns.every((column, index) => column.name === info.columns[index]?.name)
}

/** The plan by which the snapshot's tree was built, over the database's table. */
export function manifestPlan(table: TableManifest, infos: ReadonlyMap<string, TableInfo>): TablePlan {
  const info = infos.get(table.name)
  assert(info, `the read has table ${table.name}`)
  const { category, anchor, anchorPath } = table
  return { table: info, spec: tableSpec(table), category, anchor, anchorPath }
}

interface FoundRoots {
  readonly rows: string
  readonly rowCount: number
  readonly locator: string | null
}

/** Trees that exist as digests only. */
class DigestTrees {
  readonly found = new Map<string, FoundRoots>()
  readonly #repository: Repository
  readonly #open = new Map<string, { rows: TreeWriter; locator: TreeWriter | null }>()

  constructor(repository: Repository) {
    this.#repository = repository
  }

  begin(plan: TablePlan, onRead: (bytes: number) => void): TableConsumer {
    const locator = locatorSpec(plan.spec)
    const writers = { rows: this.#writer(plan.spec), locator: locator ? this.#writer(locator) : null }
    this.#open.set(plan.table.name, writers)
    return {
      onLeaf: async (tree, leaf) => await writers[tree]?.addLeaf(leaf),
      onRead,
      onPreviousDamaged: () => {},
    }
  }

  async finish(plan: TablePlan): Promise<void> {
    const writers = this.#open.get(plan.table.name)
    assert(writers, `table ${plan.table.name} was begun`)
    this.#open.delete(plan.table.name)
    const rows = await writers.rows.finish()
    const locator = (await writers.locator?.finish()) ?? null
    this.found.set(plan.table.name, { rows: rows.digest, rowCount: rows.rows, locator: locator?.digest ?? null })
  }

  #writer(spec: TreeSpec): TreeWriter {
    const keys = this.#repository.keyring.secrets
    return new TreeWriter({ treeName: spec.name, keys, leafPacks: null, nodePacks: null, storedNodes: new Map() })
  }
}

function outcome(table: TableManifest, info: TableInfo | null, found: FoundRoots | null): ProvenTable {
  const expectedLocator = table.locator?.digest ?? null
  const equal = found !== null && found.rows === table.rows.digest && found.locator === expectedLocator
  return {
    table: table.name,
    expectedRoot: table.rows.digest,
    foundRoot: found?.rows ?? null,
    expectedLocator,
    foundLocator: found?.locator ?? null,
    expectedRows: table.rows.rows,
    rows: found?.rowCount ?? 0,
    columnsDiffer: info !== null && found === null,
    equal,
  }
}
