/**
 * A snapshot: every table as of one position, proved and stored.
 *
 *     source ─ consistent read ─→ threads: sort, cut, digest, encode ─→ packs ─→ index ─→ manifest
 *     last snapshot + change log ─→ fold ────────────────────────────────┘
 *
 * It goes along the change log where that tells everything since the last snapshot (incremental-snapshot.ts); by the rows
 * that changed where there is no log, and the database can name them (net-snapshot.ts); and reads every row where neither
 * is so (full-snapshot.ts); the manifest says which, and why.
 *
 * Leaves that the previous snapshot of the same source has are not stored again, whichever way they were read. The
 * manifest is written last, when the store has been asked for everything that it names; until then nothing refers to
 * what was stored, and a run that dies leaves only packs (I2), which the next one uses (adopt-packs.ts).
 */
import { Failure } from '../errors.ts'
import type { BuildAll } from '../intake/build-all.ts'
import { includedTables, type PatientLayout } from '../intake/table-plan.ts'
import { leaseName } from '../repository/lease.ts'
import type { Manifest } from '../repository/manifest.ts'
import { SNAPSHOT_LEASE } from '../repository/readers.ts'
import type { Repository } from '../repository/repository.ts'
import { withLease } from '../repository/with-lease.ts'
import type { Source } from '../source/contract.ts'
import { type AdoptedPacks, adoptPacks } from './adopt-packs.ts'
import { type FullParts, takeFull } from './full-snapshot.ts'
import { takeIncremental } from './incremental-snapshot.ts'
import { asRefusal, LogLink, NotAlongTheLog } from './log-link.ts'
import type { LoggedManifest } from './log-place.ts'
import { hasMarks, takeByNetChanges } from './net-snapshot.ts'
import { choosePrevious, listSnapshots, type PreviousSnapshot, type SnapshotMode } from './previous.ts'
import type { ProgressListener } from './progress.ts'
import { type Gathered, writeSnapshot } from './write-snapshot.ts'

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
  /** Who takes it, for whoever finds the lease held: one snapshot of a source is taken at a time. Without: no lease. */
  readonly holder?: string
}

export interface SnapshotReport {
  readonly snapshot: string
  readonly mode: SnapshotMode
  readonly modeReason: string
  readonly rows: number
  readonly tables: number
  /** In full, from the source. */
  readonly tablesRead: number
  /** Carried on along the change log; the transactions and changes that this took. */
  readonly tablesFolded: number
  readonly transactions: number
  readonly changes: number
  /** The change log that carries on from this snapshot, or null. */
  readonly log: string | null
  readonly bytesRead: number
  readonly bytesStored: number
  readonly leavesStored: number
  readonly leavesReused: number
  /** Of those reused: what a run that did not come to its end had stored. */
  readonly leavesAdopted: number
  readonly packsAdopted: number
  /** Tables of which the previous snapshot had lost something: this one stored it again. */
  readonly tablesHealed: readonly string[]
  /**
   * Tables of which snapshots taken after `since` may lack changes that the source never told; this one has them. Nothing
   * that is stored is damaged.
   */
  readonly changesLeftOut: readonly { readonly table: string; readonly since: string }[]
  readonly notCaptured: number
  readonly position: string
  readonly seconds: number
}

/** When the application waits for us we let go, and try again a little later (P11). */
const ATTEMPTS = 4
const PAUSE_AFTER_YIELD_MS = 5_000

/**
 * @throws every source-…, store-… and repository-… failure; `yielded-to-application` when the application wanted our
 * tables at every attempt
 */
export async function takeSnapshot(request: SnapshotRequest): Promise<SnapshotReport> {
  if (request.holder === undefined) return await takeUnderLease(request, () => {})
  const { repository, sourceName, holder, nowMs, signal } = request
  const name = leaseName(repository.id, SNAPSHOT_LEASE, sourceName)
  return await withLease(repository, { name, holder, nowMs, signal }, (held, assertHeld) =>
    takeUnderLease({ ...request, signal: held }, assertHeld),
  )
}

async function takeUnderLease(request: SnapshotRequest, assertHeld: () => void): Promise<SnapshotReport> {
  let refusal: NotAlongTheLog | null = null
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await attemptSnapshot(request, { refusal, assertHeld, isLast: attempt === ATTEMPTS })
    } catch (error) {
      if (error instanceof NotAlongTheLog) {
        refusal = error
        request.onProgress({ kind: 'reads-in-full', reason: error.message })
        continue
      }
      if (hasSchemaChanged(error) && attempt < ATTEMPTS) continue
      const yielded = error instanceof Failure && error.code === 'yielded-to-application'
      if (!yielded || attempt === ATTEMPTS || request.signal.aborted) throw error
      request.onProgress({ kind: 'yielded', attempt, pauseMs: PAUSE_AFTER_YIELD_MS })
      await request.sleep(PAUSE_AFTER_YIELD_MS)
    }
  }
}

interface Attempt {
  /** Why the way along the change log is not tried, or null. */
  readonly refusal: NotAlongTheLog | null
  readonly assertHeld: () => void
  readonly isLast: boolean
}

/** What the look at the schema found is not there any more when it is to be locked. */
function hasSchemaChanged(error: unknown): boolean {
  return error instanceof Failure && ['schema-changed', 'object-missing-in-source'].includes(error.code)
}

async function attemptSnapshot(request: SnapshotRequest, attempt: Attempt): Promise<SnapshotReport> {
  const { repository, source, sourceName, signal } = request
  const { refusal, assertHeld, isLast } = attempt
  const startedMs = request.nowMs()
  const snapshotIds = await listSnapshots(repository)
  // Before the read begins: orphans may be many, and a snapshot of the database must not wait for them (P11).
  const adopted = await adoptPacks(repository, { snapshotIds, signal })
  reportAdopted(request, adopted)
  const schema = await source.introspect()
  const tables = includedTables(schema, request.layout).map((table) => table.name)
  const identity = await source.identify()
  const chosen = await choosePrevious(repository, { snapshotIds, sourceName, identity })
  const found = await LogLink.find({ ...request, identity, tables })
  const link = found instanceof LogLink ? found : null
  const previous = standsIn(chosen.previous?.manifest ?? null, found)

  const parts = { schema, isLast, adopted, chosen, link }
  const { run, gathered } = await take(request, { ...parts, refusal, previous })
  const writing = { run, adopted, snapshotIds, latest: chosen.latest, startedMs, assertHeld }
  const manifest = await writeSnapshot(request, writing, gathered)
  return report(manifest, {
    adopted,
    folded: gathered.folded,
    tablesHealed: [...run.tablesHealed].sort(),
    changesLeftOut: [...run.changesLeftOut].sort().map(([table, since]) => ({ table, since })),
    seconds: (request.nowMs() - startedMs) / 1000,
  })
}

interface Ways extends Omit<FullParts, 'modeReason'> {
  readonly refusal: NotAlongTheLog | null
  /** In the log that is written now. */
  readonly previous: LoggedManifest | NotAlongTheLog
}

async function take(request: SnapshotRequest, { refusal, previous, ...parts }: Ways) {
  const { chosen, link } = parts
  const last = chosen.previous?.manifest ?? null
  if (refusal === null && link && !(previous instanceof NotAlongTheLog)) {
    return await takeIncremental(request, { ...parts, link, previous }).catch(asRefusal)
  }
  if (refusal === null && !link && hasMarks(last)) {
    return await takeByNetChanges(request, { ...parts, previous: last }).catch(asRefusal)
  }
  return await takeFull(request, { ...parts, modeReason: fullReason(chosen, refusal, previous) })
}

/** Whether the last snapshot stands in the log that is written now, or why not. */
function standsIn(previous: Manifest | null, found: LogLink | NotAlongTheLog): LoggedManifest | NotAlongTheLog {
  if (!(found instanceof LogLink)) return found
  const { logId, previousLog } = found.log.start
  if (previous?.log?.logId === logId) return { ...previous, log: previous.log }
  if (previous?.log && previousLog) {
    return new NotAlongTheLog(`the change log began anew since the last snapshot: ${previousLog.reason}`)
  }
  return new NotAlongTheLog('the last snapshot does not stand in the change log')
}

/** A base says for itself why it is one. */
function fullReason(
  { mode, modeReason }: PreviousSnapshot,
  refusal: NotAlongTheLog | null,
  previous: LoggedManifest | NotAlongTheLog,
): string {
  if (mode === 'base') return modeReason
  const why = refusal ?? (previous instanceof NotAlongTheLog ? previous : null)
  return `${why?.message ?? modeReason}: every row was read`
}

function reportAdopted({ onProgress }: SnapshotRequest, adopted: AdoptedPacks): void {
  const { leaves, packs, damagedPacks, packsLeftAside } = adopted
  if (packs.size + damagedPacks.length + packsLeftAside === 0) return
  onProgress({ kind: 'adopted', packs: packs.size, leaves, damagedPacks: damagedPacks.length, packsLeftAside })
}

function report(
  manifest: Manifest,
  run: Pick<SnapshotReport, 'tablesHealed' | 'changesLeftOut' | 'seconds'> & {
    readonly adopted: AdoptedPacks
    readonly folded: Gathered['folded']
  },
): SnapshotReport {
  return {
    snapshot: manifest.snapshotId,
    mode: manifest.mode,
    modeReason: manifest.modeReason,
    rows: manifest.tables.reduce((sum, table) => sum + table.rows.rows, 0),
    tables: manifest.tables.length,
    tablesRead: manifest.tables.filter(({ taken }) => taken !== 'folded').length,
    tablesFolded: manifest.tables.filter(({ taken }) => taken === 'folded').length,
    transactions: run.folded?.transactions ?? 0,
    changes: run.folded?.changes ?? 0,
    log: manifest.log?.logId ?? null,
    bytesRead: manifest.run.bytesRead,
    bytesStored: manifest.run.bytesStored,
    leavesStored: manifest.run.leavesStored,
    leavesReused: manifest.run.leavesReused,
    leavesAdopted: run.adopted.leavesUsed,
    packsAdopted: run.adopted.packsUsed.length,
    tablesHealed: run.tablesHealed,
    changesLeftOut: run.changesLeftOut,
    notCaptured: manifest.notCaptured.length,
    position: manifest.position.lsn,
    seconds: run.seconds,
  }
}
