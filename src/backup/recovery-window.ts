/**
 * What could be restored: the snapshots of a source from the oldest on, and the stretches of time between them in which
 * any moment can be had.
 */
import { Failure } from '../errors.ts'
import { openLog } from '../repository/change-log/reader.ts'
import type { Repository } from '../repository/repository.ts'
import { completeUntil } from '../repository/state/log-cut.ts'

export interface SnapshotSummary {
  readonly snapshot: string
  readonly source: string
  /** By the database's clock. */
  readonly time: string
  readonly position: string
  readonly mode: string
  readonly tables: number
  readonly rows: number
  readonly bytesStored: number
  /** The change log that carries on from it. */
  readonly log: string | null
}

/** In which every transaction is kept. */
export interface Stretch {
  readonly log: string
  /** ISO 8601: the first snapshot that the log carries on from. */
  readonly from: string
  /** Null when that is not known: the log cannot be read. */
  readonly to: string | null
}

export interface RecoveryWindow {
  readonly source: string
  readonly oldest: SnapshotSummary | null
  readonly newest: SnapshotSummary | null
  readonly snapshots: number
  readonly stretches: readonly Stretch[]
  /** Snapshots that cannot be read, with the code of why. */
  readonly unreadable: readonly { readonly snapshot: string; readonly code: string }[]
}

/** Snapshots never change: what was read once is told again without reading. */
export class SnapshotSummaries {
  readonly #repository: Repository
  readonly #known = new Map<string, SnapshotSummary>()

  constructor(repository: Repository) {
    this.#repository = repository
  }

  /** @throws snapshot-not-found; repository-damaged, signature-refused; store-… */
  async one(snapshotId: string): Promise<SnapshotSummary> {
    const known = this.#known.get(snapshotId)
    if (known) return known
    const { manifest } = await this.#repository.readManifest(snapshotId)
    const summary = {
      snapshot: snapshotId,
      source: manifest.sourceName,
      time: manifest.position.sourceTime,
      position: manifest.position.lsn,
      mode: manifest.mode,
      tables: manifest.tables.length,
      rows: manifest.tables.reduce((sum, table) => sum + table.rows.rows, 0),
      bytesStored: manifest.run.bytesStored,
      log: manifest.log?.logId ?? null,
    }
    this.#known.set(snapshotId, summary)
    return summary
  }

  /** Of one source, oldest first, and those of which nobody can tell. @throws store-… */
  async of(sourceName: string): Promise<{ summaries: SnapshotSummary[]; unreadable: RecoveryWindow['unreadable'] }> {
    const ids = await this.#repository.snapshotIds()
    const there = new Set(ids)
    for (const id of this.#known.keys()) if (!there.has(id)) this.#known.delete(id)
    const summaries: SnapshotSummary[] = []
    const unreadable: { snapshot: string; code: string }[] = []
    for (const id of ids) {
      const read = this.#known.get(id) ?? (await this.#tryOne(id))
      if (read instanceof Failure) unreadable.push({ snapshot: id, code: read.code })
      else if (read.source === sourceName) summaries.push(read)
    }
    return { summaries, unreadable }
  }

  async #tryOne(snapshotId: string): Promise<SnapshotSummary | Failure> {
    const read = await this.#repository.tryManifest(snapshotId)
    return read instanceof Failure ? read : await this.one(snapshotId)
  }
}

/** @throws store-… */
export async function recoveryWindow(
  repository: Repository,
  snapshots: SnapshotSummaries,
  sourceName: string,
): Promise<RecoveryWindow> {
  const { summaries, unreadable } = await snapshots.of(sourceName)
  const first = new Map<string, SnapshotSummary>()
  for (const summary of summaries) if (summary.log !== null && !first.has(summary.log)) first.set(summary.log, summary)
  const stretches: Stretch[] = []
  for (const [log, { time }] of first) stretches.push({ log, from: time, to: await endOf(repository, log) })
  return {
    source: sourceName,
    oldest: summaries[0] ?? null,
    newest: summaries.at(-1) ?? null,
    snapshots: summaries.length,
    stretches,
    unreadable,
  }
}

/** ISO 8601: up to when everything that was committed is kept. */
async function endOf(repository: Repository, logId: string): Promise<string | null> {
  try {
    const log = await openLog(repository, logId)
    const untilUs = (await completeUntil(log)) ?? (await log.head())?.header.maxCommitTimeUs ?? null
    return untilUs === null ? null : new Date(Number(untilUs / 1000n)).toISOString()
  } catch (error) {
    if (error instanceof Failure && error.code === 'change-log-gap') return null
    throw error
  }
}
