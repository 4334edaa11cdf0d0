/**
 * Rows, keys and indexes of a database that is being rebuilt. An index is built as soon as the rows of its table are
 * there, on one lane, while other tables are still being loaded on the other: at no time does the server wait for us to
 * come to the end of something.
 */
import { Failure } from '../errors.ts'
import type { Manifest, TableManifest } from '../repository/manifest.ts'
import type { Repository } from '../repository/repository.ts'
import { tableSpec } from '../repository/table-spec.ts'
import type { ConnectionSettings, DdlStep, LoosenedCheck, NotCaptured, Target } from '../source/contract.ts'
import { openTarget } from '../source/open.ts'
import { LoadPool } from './load-pool.ts'
import { runTasks, type Task } from './tasks.ts'

/** As `pg_restore -j2`: more would only take from whatever else the server does. */
const LANES = 2
/** Of one table, several can be built at once; a constraint that is added, such as a key, has the table to itself. */
const INDEX = /^CREATE (?:UNIQUE )?(?:NONCLUSTERED )?INDEX\s/
/** Of building one index, to that of loading its table. */
const INDEX_WEIGHT = 0.3

export interface RebuildTables {
  readonly repository: Repository
  readonly manifest: Manifest
  readonly into: ConnectionSettings
  readonly signal: AbortSignal
  /** Bytes of row text that were sent. */
  readonly onLoaded: (bytes: number) => void
  readonly onRowsDone: () => void
}

export interface RebuiltTables {
  readonly skipped: readonly NotCaptured[]
  /** To be put back when partitions are attached. */
  readonly loosened: readonly LoosenedCheck[]
}

/** @throws target-…, repository-damaged, restore-unproved, store-… */
export async function rebuildTables(request: RebuildTables): Promise<RebuiltTables> {
  const { manifest, signal } = request
  await using pool = new LoadPool(LANES)
  await using targets = await openTargets(request.into)
  const rows = new Map<string, Task>()
  const loosened: LoosenedCheck[] = []
  let left = manifest.tables.length
  for (const table of manifest.tables) {
    const run = async (stop: AbortSignal) => {
      const load = () => loadTable(request, { table, pool, signal: stop })
      await load().catch(async (error) => {
        loosened.push(...(await targets.loosenFor(table, error)))
        await load()
      })
      left -= 1
      if (left === 0) request.onRowsDone()
    }
    const task = { weight: table.rows.textBytes, after: [], run }
    rows.set(table.name, task).set(table.sqlName, task)
  }
  const every = [...new Set(rows.values())]
  if (every.length === 0) request.onRowsDone()
  const indexes = manifest.ddl.steps
    .filter((step) => step.phase === 'key-or-index')
    .map((step): Task => {
      const table = targets.any.tableOf(step)
      const ofTable = rows.get(table ?? '')
      const weight = ofTable ? INDEX_WEIGHT * ofTable.weight : 0
      const locks = { tables: table === null ? [] : [table], areShared: INDEX.test(step.sql) }
      return { weight, after: ofTable ? [ofTable] : every, locks, run: () => targets.run(step) }
    })
  await runTasks([...every, ...indexes], LANES, signal)
  return { skipped: targets.skipped(), loosened }
}

/** Foreign keys, each in a transaction of its own, which has both tables to itself: those of the largest tables first. */
export async function addForeignKeys(
  request: Pick<RebuildTables, 'manifest' | 'into' | 'signal'>,
): Promise<NotCaptured[]> {
  const steps = request.manifest.ddl.steps.filter((step) => step.phase === 'foreign-key')
  if (steps.length === 0) return []
  await using targets = await openTargets(request.into)
  const bytes = bytesOfTables(request.manifest)
  const tasks = steps.map((step): Task => {
    const tables = targets.any.tablesOfForeignKey(step) ?? 'any'
    const weight = (tables !== 'any' && bytes.get(tables[0]!)) || 0
    return { weight, after: [], locks: { tables, areShared: false }, run: () => targets.run(step) }
  })
  await runTasks(tasks, LANES, request.signal)
  return targets.skipped()
}

/** By the name without quotes, as foreign keys name them; of a partitioned table, all its parts. */
function bytesOfTables({ tables }: Manifest): ReadonlyMap<string, number> {
  const bytes = new Map<string, number>()
  for (const { name, partitionOf, rows } of tables) {
    for (const table of partitionOf === null ? [name] : [name, partitionOf]) {
      bytes.set(table, (bytes.get(table) ?? 0) + rows.textBytes)
    }
  }
  return bytes
}

interface Targets extends AsyncDisposable {
  readonly any: Target
  run(step: DdlStep): Promise<void>
  /** @throws `error`, when it is not that rows break checks */
  loosenFor(table: TableManifest, error: unknown): Promise<readonly LoosenedCheck[]>
  skipped(): NotCaptured[]
}

/** One for each lane. */
async function openTargets(into: ConnectionSettings): Promise<Targets> {
  await using stack = new AsyncDisposableStack()
  const targets: Target[] = []
  for (let lane = 0; lane < LANES; lane += 1) targets.push(stack.use(await openTarget(into)))
  const idle = [...targets]
  const open = stack.move()
  return {
    any: targets[0]!,
    run: async (step) => {
      const target = idle.pop()!
      await target.runSteps([step])
      idle.push(target)
    },
    loosenFor: async ({ sqlName }, error) => {
      if (!(error instanceof Failure) || !targets[0]!.checks?.isBroken(error)) throw error
      await using target = await openTarget(into)
      const loosened = (await target.checks?.loosen(sqlName)) ?? []
      if (loosened.length === 0) throw error
      return loosened
    },
    skipped: () => targets.flatMap((target) => target.skipped),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

interface Load {
  readonly table: TableManifest
  readonly pool: LoadPool
  readonly signal: AbortSignal
}

async function loadTable(request: RebuildTables, { table, pool, signal }: Load): Promise<void> {
  const { repository, manifest, into } = request
  if (table.rows.rows === 0) return
  const columns = table.columns.map((column) => column.name)
  const task = {
    store: repository.storeSettings,
    capabilities: repository.store.capabilities,
    secrets: repository.keyring.secrets,
    spec: tableSpec(table),
    root: table.rows,
    connection: into,
    table: { sqlName: table.sqlName, columns, encoding: manifest.source.encoding },
  }
  const loaded = await pool.loadTable(task, request.onLoaded, signal)
  if (loaded === table.rows.rows) return
  throw new Failure(
    'restore-unproved',
    `the target stored ${loaded} rows of ${table.name}, the snapshot has ${table.rows.rows}`,
    { context: { table: table.name }, hints: ['Run the restore again into a new, empty database.'] },
  )
}
