/**
 * A snapshot: every table as of one position, proved and stored.
 *
 *     source ─ consistent read ─→ threads: sort, cut, digest, encode ─→ packs ─→ index ─→ manifest
 *
 * Leaves that the previous snapshot of the same source has are not stored again, whichever way they were read. The
 * manifest is written last, when the store has been asked for everything that it names; until then nothing refers to
 * what was stored, and a run that dies leaves only packs (I2), which the next one uses (adopt-packs.ts).
 */
import { randomBytes } from 'node:crypto'
import { Failure } from '../errors.ts'
import { type BuildAll, buildAllTables } from '../intake/build-all.ts'
import type { TableConsumer } from '../intake/build-pool.ts'
import { includedTables, type PatientLayout, planTables, type TablePlan } from '../intake/table-plan.ts'
import { indexKey, manifestKey, timedIdAfter } from '../repository/layout.ts'
import { FORMAT_VERSION, type Manifest, type TableManifest } from '../repository/manifest.ts'
import { PackWriter } from '../repository/pack/pack-writer.ts'
import type { ReadManifest, Repository } from '../repository/repository.ts'
import { locatorSpec, type TreeSpec } from '../repository/tree/spec.ts'
import { storedNodes } from '../repository/tree/stored-leaves.ts'
import { TreeReader } from '../repository/tree/tree-reader.ts'
import type { TreeRoot } from '../repository/tree/tree-root.ts'
import { type BuiltLeaf, TreeWriter } from '../repository/tree/tree-writer.ts'
import type { ConsistentRead, Source } from '../source/contract.ts'
import { tool } from '../tool.ts'
import { type AdoptedPacks, adoptPacks } from './adopt-packs.ts'
import { confirmPacks, confirmRead } from './confirm-stored.ts'
import { logSnapshot } from './log-snapshot.ts'
import { choosePrevious, listSnapshots, type SnapshotMode } from './previous.ts'
import { type ProgressListener, SnapshotProgress } from './progress.ts'

export interface SnapshotRequest {
  readonly sourceName: string
  readonly source: Source
  readonly layout: PatientLayout
  readonly repository: Repository
  readonly pool: BuildAll['pool']
  readonly signal: AbortSignal
  readonly nowMs: () => number
  readonly sleep: (ms: number) => Promise<void>
  readonly onProgress: ProgressListener
  readonly lockTimeoutMs?: number
  readonly packBytesTarget?: number
}

export interface SnapshotReport {
  readonly snapshot: string
  readonly mode: SnapshotMode
  readonly modeReason: string
  readonly rows: number
  readonly tables: number
  readonly bytesRead: number
  readonly bytesStored: number
  readonly leavesStored: number
  readonly leavesReused: number
  /** Of those reused: what a run that did not come to its end had stored. */
  readonly leavesAdopted: number
  readonly packsAdopted: number
  readonly notCaptured: number
  readonly position: string
  readonly seconds: number
}

const LOCK_TIMEOUT_MS = 5_000
/** When the application waits for us we let go, and try again a little later (P11). */
const ATTEMPTS = 4
const PAUSE_AFTER_YIELD_MS = 5_000

/**
 * @throws every source-…, store-… and repository-… failure; `yielded-to-application` when the application wanted our
 * tables at every attempt
 */
export async function takeSnapshot(request: SnapshotRequest): Promise<SnapshotReport> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await attemptSnapshot(request)
    } catch (error) {
      const yielded = error instanceof Failure && error.code === 'yielded-to-application'
      if (!yielded || attempt === ATTEMPTS || request.signal.aborted) throw error
      request.onProgress({ kind: 'yielded', attempt, pauseMs: PAUSE_AFTER_YIELD_MS })
      await request.sleep(PAUSE_AFTER_YIELD_MS)
    }
  }
}

async function attemptSnapshot(request: SnapshotRequest): Promise<SnapshotReport> {
  const { repository, source, signal } = request
  const startedMs = request.nowMs()
  const snapshotIds = await listSnapshots(repository)
  // Before the read begins: orphans may be many, and a snapshot of the database must not wait for them (P11).
  const adopted = await adoptPacks(repository, { snapshotIds, signal })
  reportAdopted(request, adopted)
  const tables = includedTables(await source.introspect(), request.layout).map((table) => table.name)
  const lockTimeoutMs = request.lockTimeoutMs ?? LOCK_TIMEOUT_MS
  await using read = await source.openRead({ tables, signal, lockTimeoutMs })
  const plans = planTables(read.schema, request.layout)
  const chosen = await choosePrevious(repository, {
    snapshotIds,
    sourceName: request.sourceName,
    identity: read.identity,
  })
  const { previous, latest, mode, modeReason } = chosen
  const progress = new SnapshotProgress(plans, request.nowMs, request.onProgress)

  const run = new SnapshotRun(request, { read, previous: previous?.manifest ?? null, adopted, progress })
  const [bytesRead, ddl] = await together(signal, (stop) => [run.buildTrees(plans, stop), read.readDdl()] as const)
  const written = await run.flush()
  const packs = [...written, ...adopted.packsUsed]
  await confirmPacks(repository.store, packs)

  const snapshotId = timedIdAfter(latest?.manifest.snapshotId ?? null, startedMs, randomBytes(4))
  const indexSha256 = await repository.writeIndex({ format: 1, snapshotId, packs })
  const bytesStored = written.reduce((sum, pack) => sum + pack.bytes, 0)
  const manifest: Manifest = {
    format: FORMAT_VERSION,
    snapshotId,
    repositoryId: repository.id,
    sourceName: request.sourceName,
    source: read.identity,
    position: read.position,
    mode,
    modeReason,
    patient: request.layout.patient ? { ...request.layout.patient, label: [...request.layout.patient.label] } : null,
    tables: plans.map((plan) => run.tableManifest(plan)),
    sequences: [...read.schema.sequences],
    ddl: { origin: ddl.origin, steps: [...ddl.steps], notCarried: [...ddl.notCarried] },
    notCaptured: [...read.schema.notCaptured, ...excluded(request.layout)],
    indexSha256,
    previous: latest ? { snapshotId: latest.manifest.snapshotId, sha256: latest.sha256 } : null,
    tool,
    run: {
      startedAt: new Date(startedMs).toISOString(),
      endedAt: new Date(request.nowMs()).toISOString(),
      bytesRead,
      bytesStored,
      leavesStored: run.leavesStored,
      leavesReused: run.leavesReused,
    },
  }
  await confirmRead(indexKey(snapshotId), () => repository.readIndex(manifest))
  const sha256 = await repository.writeManifest(manifest)
  await confirmRead(manifestKey(snapshotId), () => repository.readManifest(snapshotId))
  await logSnapshot(repository, { snapshotIds, written: { snapshotId, sha256 }, nowMs: request.nowMs })
  return report(manifest, { adopted, seconds: (request.nowMs() - startedMs) / 1000 })
}

function reportAdopted({ onProgress }: SnapshotRequest, adopted: AdoptedPacks): void {
  const { leaves, packs, damagedPacks, packsLeftAside } = adopted
  if (packs.size + damagedPacks.length + packsLeftAside === 0) return
  onProgress({ kind: 'adopted', packs: packs.size, leaves, damagedPacks: damagedPacks.length, packsLeftAside })
}

/** Both at once; when one fails the other is stopped, and the failure is the first one's. */
async function together<A, B>(
  signal: AbortSignal,
  start: (signal: AbortSignal) => readonly [Promise<A>, Promise<B>],
): Promise<[A, B]> {
  const stop = new AbortController()
  const works = start(AbortSignal.any([signal, stop.signal]))
  for (const work of works) work.catch((error) => stop.abort(error))
  await Promise.allSettled(works)
  return await Promise.all(works)
}

interface RunParts {
  readonly read: ConsistentRead
  readonly previous: ReadManifest['manifest'] | null
  readonly adopted: AdoptedPacks
  readonly progress: SnapshotProgress
}

/** What one attempt holds while it runs. */
class SnapshotRun {
  leavesStored = 0
  leavesReused = 0
  readonly #request: SnapshotRequest
  readonly #read: ConsistentRead
  readonly #previous: ReadonlyMap<string, TableManifest>
  readonly #adopted: AdoptedPacks
  readonly #progress: SnapshotProgress
  readonly #leafPacks: PackWriter
  readonly #nodePacks: PackWriter
  readonly #writers = new Map<string, { rows: TreeWriter; locator: TreeWriter | null }>()
  readonly #roots = new Map<string, { rows: TreeRoot; locator: TreeRoot | null }>()

  constructor(request: SnapshotRequest, { read, previous, adopted, progress }: RunParts) {
    this.#request = request
    this.#read = read
    this.#previous = new Map(previous?.tables.map((table) => [table.name, table]))
    this.#adopted = adopted
    this.#progress = progress
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
      previousOf: (plan) => this.#previous.get(plan.table.name) ?? null,
      consumerOf: (plan) => this.#consumer(plan),
      onTableDone: (plan) => this.#finishTable(plan),
      signal,
    })
  }

  async flush() {
    const leafPacks = await this.#leafPacks.flush()
    return [...leafPacks, ...(await this.#nodePacks.flush())]
  }

  tableManifest(plan: TablePlan): TableManifest {
    const { table } = plan
    const roots = this.#roots.get(table.name)
    if (!roots) throw new Failure('defect', `assertion failed: table ${table.name} was built`)
    return {
      name: table.name,
      sqlName: table.sqlName,
      oid: table.oid,
      category: plan.category,
      partitionOf: table.partitionOf,
      columns: table.columns.map(({ name, type, notNull }) => ({ name, type, notNull })),
      primaryKey: plan.spec.key.map((position) => table.columns[position]!.name),
      anchor: plan.anchor,
      anchorPath: [...plan.anchorPath],
      ...roots,
    }
  }

  async #consumer(plan: TablePlan): Promise<TableConsumer> {
    const previous = this.#previous.get(plan.table.name)
    const locator = locatorSpec(plan.spec)
    const writers = {
      rows: await this.#writer(plan.spec, previous?.rows ?? null),
      locator: locator ? await this.#writer(locator, previous?.locator ?? null) : null,
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
    }
  }

  async #writer(spec: TreeSpec, previous: TreeRoot | null): Promise<TreeWriter> {
    const { repository } = this.#request
    const keys = repository.keyring.secrets
    const reader = new TreeReader(spec, repository.chunkReader(), keys)
    return new TreeWriter({
      treeName: spec.name,
      keys,
      leafPacks: this.#leafPacks,
      nodePacks: this.#nodePacks,
      storedNodes: previous ? await storedNodes(reader, previous) : new Map(),
    })
  }

  async #finishTable(plan: TablePlan): Promise<void> {
    const writers = this.#writers.get(plan.table.name)
    if (!writers) throw new Failure('defect', `assertion failed: table ${plan.table.name} was begun`)
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

function excluded(layout: PatientLayout): Manifest['notCaptured'] {
  return [...layout.exclude].map((name) => ({ kind: 'table', name, reason: 'excluded by the configuration' }))
}

function report(manifest: Manifest, run: { adopted: AdoptedPacks; seconds: number }): SnapshotReport {
  return {
    snapshot: manifest.snapshotId,
    mode: manifest.mode,
    modeReason: manifest.modeReason,
    rows: manifest.tables.reduce((sum, table) => sum + table.rows.rows, 0),
    tables: manifest.tables.length,
    bytesRead: manifest.run.bytesRead,
    bytesStored: manifest.run.bytesStored,
    leavesStored: manifest.run.leavesStored,
    leavesReused: manifest.run.leavesReused,
    leavesAdopted: run.adopted.leavesUsed,
    packsAdopted: run.adopted.packsUsed.length,
    notCaptured: manifest.notCaptured.length,
    position: manifest.position.lsn,
    seconds: run.seconds,
  }
}
