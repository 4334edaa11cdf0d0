/**
 * Rebuilds a whole database into an empty one, and proves it.
 *
 *     schema → rows, tables in parallel → keys and indexes, in parallel → attach → foreign keys, in parallel
 *            → everything else → sequences → statistics → every root computed anew from the rebuilt database
 *
 * The target is marked as unfinished from the first statement to the last. A run that was killed leaves the mark, and
 * the next run begins by clearing what it marked: nothing else is ever cleared (I8).
 */
import { Failure } from '../errors.ts'
import type { BuildPool } from '../intake/build-pool.ts'
import { type ProvenTable, proveRoots } from '../intake/prove-roots.ts'
import type { Manifest, TableManifest } from '../repository/manifest.ts'
import type { Repository } from '../repository/repository.ts'
import { tableSpec } from '../repository/table-spec.ts'
import type { ConnectionSettings, DdlStep, NotCaptured, Target } from '../source/contract.ts'
import { openSource, openTarget } from '../source/open.ts'
import { LoadPool } from './load-pool.ts'

export interface RestoreRequest {
  readonly repository: Repository
  readonly manifest: Manifest
  readonly into: ConnectionSettings
  readonly buildPool: BuildPool
  readonly signal: AbortSignal
  readonly nowMs: () => number
  readonly onProgress: (event: RestoreProgress) => void
}

export type RestoreStage =
  | 'clearing an unfinished restore'
  | 'schema'
  | 'rows'
  | 'keys and indexes'
  | 'foreign keys'
  | 'sequences and statistics'
  | 'proof'

export type RestoreProgress =
  | { readonly kind: 'stage'; readonly stage: RestoreStage }
  | { readonly kind: 'rows'; readonly bytes: number; readonly bytesTotal: number; readonly bytesPerSecond: number }

export interface RestoreReport {
  readonly snapshot: string
  readonly rows: number
  readonly tables: number
  /** Until rows, keys and indexes were usable. */
  readonly secondsUsable: number
  readonly secondsProof: number
  readonly seconds: number
  readonly verified: true
  /** What could not be rebuilt although every row is there. */
  readonly skipped: readonly NotCaptured[]
  readonly notCaptured: readonly NotCaptured[]
}

const PARALLEL = 2

/** @throws target-…, repository-damaged, restore-unproved, store-… */
export async function restoreDatabase(request: RestoreRequest): Promise<RestoreReport> {
  const { manifest, into } = request
  const startedMs = request.nowMs()
  await using target = await openTarget(into)
  const mark = `chartkeep: unfinished restore into this database (repository ${request.repository.id})`
  if ((await target.readMark()) === mark) {
    request.onProgress({ kind: 'stage', stage: 'clearing an unfinished restore' })
    await target.clear()
  }
  await target.assertUsable(manifest.source)
  await target.setMark(mark)

  const skipped = await rebuild(request, target)
  const usableMs = request.nowMs()
  request.onProgress({ kind: 'stage', stage: 'proof' })
  await prove(request)
  await target.setMark(null)

  const endedMs = request.nowMs()
  return {
    snapshot: manifest.snapshotId,
    rows: manifest.tables.reduce((sum, table) => sum + table.rows.rows, 0),
    tables: manifest.tables.length,
    secondsUsable: (usableMs - startedMs) / 1000,
    secondsProof: (endedMs - usableMs) / 1000,
    seconds: (endedMs - startedMs) / 1000,
    verified: true,
    skipped,
    notCaptured: [...manifest.notCaptured, ...manifest.ddl.notCarried],
  }
}

async function rebuild(request: RestoreRequest, target: Target): Promise<NotCaptured[]> {
  const { manifest, onProgress } = request
  const steps = (phase: DdlStep['phase']) => manifest.ddl.steps.filter((step) => step.phase === phase)
  const skipped: NotCaptured[] = []

  onProgress({ kind: 'stage', stage: 'schema' })
  await target.runSteps(steps('before-rows'))
  onProgress({ kind: 'stage', stage: 'rows' })
  await loadTables(request)
  onProgress({ kind: 'stage', stage: 'keys and indexes' })
  skipped.push(...(await runParallel(request, steps('key-or-index'))))
  await target.runSteps(steps('attach'))
  onProgress({ kind: 'stage', stage: 'foreign keys' })
  skipped.push(...(await runParallel(request, steps('foreign-key'))))
  await target.runSteps(steps('after'))
  onProgress({ kind: 'stage', stage: 'sequences and statistics' })
  await target.setSequences(manifest.sequences)
  await target.finish()
  return [...skipped, ...target.skipped]
}

async function loadTables(request: RestoreRequest): Promise<void> {
  const { manifest, repository, into } = request
  await using pool = new LoadPool(PARALLEL)
  const progress = rowProgress(request)
  const largestFirst = [...manifest.tables].sort((a, b) => b.rows.textBytes - a.rows.textBytes)

  await inLanes(pool.threads, largestFirst, request.signal, async (table, signal) => {
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
    const loaded = await pool.loadTable(task, progress, signal)
    if (loaded !== table.rows.rows) throw wrongCount(table, loaded)
  })
}

/** Steps that do not depend on each other, each in a transaction of its own. */
async function runParallel(request: RestoreRequest, steps: readonly DdlStep[]): Promise<NotCaptured[]> {
  const skipped: NotCaptured[] = []
  if (steps.length === 0) return skipped
  await using targets = new AsyncDisposableStack()
  const idle: Target[] = []
  for (let count = 0; count < Math.min(PARALLEL, steps.length); count += 1) {
    idle.push(targets.use(await openTarget(request.into)))
  }
  const every = [...idle]
  await inLanes(every.length, steps, request.signal, async (step) => {
    const target = idle.pop()!
    await target.runSteps([step])
    idle.push(target)
  })
  for (const target of every) skipped.push(...target.skipped)
  return skipped
}

/** Works through `items` in order, `lanes` at a time; the first failure stops the rest. */
async function inLanes<Item>(
  lanes: number,
  items: readonly Item[],
  outer: AbortSignal,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController()
  const signal = AbortSignal.any([outer, stop.signal])
  const waiting = [...items]
  const lane = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      signal.throwIfAborted()
      await work(item, signal)
    }
  }
  const running = Array.from({ length: lanes }, () =>
    lane().catch((error) => {
      stop.abort(error)
      throw error
    }),
  )
  await Promise.allSettled(running)
  if (outer.aborted) throw outer.reason
  if (stop.signal.aborted) throw stop.signal.reason
}

async function prove(request: RestoreRequest): Promise<void> {
  const { manifest, repository, buildPool, signal } = request
  await using rebuilt = await openSource(request.into)
  const proven = await proveRoots({ source: rebuilt, manifest, repository, pool: buildPool, signal })
  const unlike = proven.filter((table) => !table.equal)
  if (unlike.length === 0) return
  throw unproved(unlike)
}

function rowProgress(request: RestoreRequest): (bytes: number) => void {
  const startedMs = request.nowMs()
  const bytesTotal = request.manifest.tables.reduce((sum, table) => sum + table.rows.textBytes, 0)
  let total = 0
  return (bytes) => {
    total += bytes
    const elapsedMs = Math.max(1, request.nowMs() - startedMs)
    request.onProgress({ kind: 'rows', bytes: total, bytesTotal, bytesPerSecond: (total * 1000) / elapsedMs })
  }
}

function wrongCount(table: TableManifest, loaded: number): Failure {
  return new Failure(
    'restore-unproved',
    `the target stored ${loaded} rows of ${table.name}, the snapshot has ${table.rows.rows}`,
    { context: { table: table.name }, hints: ['Run the restore again into a new, empty database.'] },
  )
}

function unproved(unlike: readonly ProvenTable[]): Failure {
  const first = unlike[0]!
  const more = unlike.length > 1 ? ` and ${unlike.length - 1} more tables` : ''
  return new Failure(
    'restore-unproved',
    `${first.table}${more}: the rebuilt rows have root ${first.foundRoot ?? 'of none'}, the snapshot's have ${first.expectedRoot}`,
    {
      context: { tables: unlike.length },
      hints: ['Do not use this database. Run `chartkeep scrub`, then restore again into a new, empty database.'],
    },
  )
}
