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
import type { BuildAll } from '../intake/build-all.ts'
import { includedTables, type PatientLayout, planTables } from '../intake/table-plan.ts'
import { indexKey, manifestKey, timedIdAfter } from '../repository/layout.ts'
import { FORMAT_VERSION, type Manifest } from '../repository/manifest.ts'
import type { Repository } from '../repository/repository.ts'
import type { Source } from '../source/contract.ts'
import { tool } from '../tool.ts'
import { type AdoptedPacks, adoptPacks } from './adopt-packs.ts'
import { confirmPacks, confirmRead } from './confirm-stored.ts'
import { logSnapshot } from './log-snapshot.ts'
import { choosePrevious, listSnapshots, type SnapshotMode } from './previous.ts'
import { type ProgressListener, SnapshotProgress } from './progress.ts'
import { SnapshotRun } from './snapshot-run.ts'

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
  /** Tables of which the previous snapshot had lost something: this one stored it again. */
  readonly tablesHealed: readonly string[]
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
    links: request.layout.links.map((link) => ({ ...link })),
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
  return report(manifest, {
    adopted,
    tablesHealed: [...run.tablesHealed].sort(),
    seconds: (request.nowMs() - startedMs) / 1000,
  })
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

function excluded(layout: PatientLayout): Manifest['notCaptured'] {
  return [...layout.exclude].map((name) => ({ kind: 'table', name, reason: 'excluded by the configuration' }))
}

function report(
  manifest: Manifest,
  run: { adopted: AdoptedPacks; tablesHealed: string[]; seconds: number },
): SnapshotReport {
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
    tablesHealed: run.tablesHealed,
    notCaptured: manifest.notCaptured.length,
    position: manifest.position.lsn,
    seconds: run.seconds,
  }
}
