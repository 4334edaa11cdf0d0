/**
 * A snapshot of which every row is read, at one position. Where a change log is written beside it, the snapshot takes
 * its place in it, so that the next one can go on from here.
 */
import { includedTables, planTables } from '../intake/table-plan.ts'
import type { SegmentHead } from '../repository/change-log/segment-store.ts'
import { parseLsn } from '../repository/lsn.ts'
import { parseVisibility } from '../repository/visibility.ts'
import type { ConsistentRead, ReadPosition, SchemaInfo } from '../source/contract.ts'
import type { AdoptedPacks } from './adopt-packs.ts'
import {
  asReason,
  closedBetween,
  type LogLink,
  NotAlongTheLog,
  refuseBehind,
  type TableResolution,
} from './log-link.ts'
import { handsOver, type LoggedManifest, type LogPlace, lateTables, placeOf, scanFromOf } from './log-place.ts'
import type { PreviousSnapshot } from './previous.ts'
import { SnapshotProgress } from './progress.ts'
import type { SnapshotRequest } from './snapshot.ts'
import { SnapshotRun } from './snapshot-run.ts'
import { changedMeanwhile, tablesSince } from './tables-since.ts'
import { together } from './together.ts'
import type { Gathered } from './write-snapshot.ts'

export interface FullParts {
  /** All tables, before any lock. */
  readonly schema: SchemaInfo
  /** Whether the schema may change under this attempt: then what was made too late is named. */
  readonly isLast: boolean
  readonly adopted: AdoptedPacks
  readonly chosen: PreviousSnapshot
  readonly modeReason: string
  /** Null when there is no log to stand in. */
  readonly link: LogLink | null
}

const LOCK_TIMEOUT_MS = 5_000
/** How long to wait for transactions that began before the log did. */
const HAND_OVER_TRIES = 20
const HAND_OVER_PAUSE_MS = 500

export async function takeFull(
  request: SnapshotRequest,
  parts: FullParts,
): Promise<{ readonly run: SnapshotRun; readonly gathered: Gathered }> {
  const { chosen, modeReason } = parts
  const standing = parts.link ? await Standing.before(parts.link, chosen) : null
  const { run, plans, read, bytesRead, ddl, madeMeanwhile } = await readAll(request, parts, standing)
  const names = plans.map(({ table }) => table.name)
  const place = (await standing?.after(read.position, names)) ?? null
  const tables = plans.map((plan) => run.readTable(plan, place?.resolutions.get(plan.table.name) ?? null))
  const { identity, position, schema } = read
  const told = {
    mode: chosen.mode,
    modeReason: standing?.refusal ? `${modeReason}; ${standing.refusal}` : modeReason,
    log: place?.log ?? null,
    folded: null,
    madeMeanwhile,
  }
  return { run, gathered: { identity, position, schema, tables, ddl, bytesRead, ...told } }
}

/** Its locks are given back on return. */
async function readAll(request: SnapshotRequest, parts: FullParts, standing: Standing | null) {
  const { schema, isLast, chosen, adopted } = parts
  const tables = includedTables(schema, request.layout).map(({ name }) => name)
  await using read = await openHandedOver(request, tables, standing)
  const since = tablesSince(schema, read)
  if (since.made.length > 0 && !isLast) throw changedMeanwhile(since)
  const plans = planTables(read.schema, request.layout)
  const progress = new SnapshotProgress(plans, request.nowMs, request.onProgress)
  const run = new SnapshotRun(request, { read, previous: chosen.previous?.manifest ?? null, adopted, progress })
  const works = (stop: AbortSignal) => [run.buildTrees(plans, stop), read.readDdl()] as const
  const [bytesRead, ddl] = await together(request.signal, works)
  return { run, plans, read, bytesRead, ddl, madeMeanwhile: since.made }
}

/** A read that the log can carry on from, where that can be had. */
async function openHandedOver(
  { source, signal, sleep, lockTimeoutMs = LOCK_TIMEOUT_MS }: SnapshotRequest,
  tables: readonly string[],
  standing: Standing | null,
): Promise<ConsistentRead> {
  for (let tries = 1; ; tries += 1) {
    const read = await source.openRead({ tables, signal, lockTimeoutMs, netChanges: true })
    if (!standing || standing.refusal !== null || standing.accepts(read)) return read
    if (tries === HAND_OVER_TRIES) {
      standing.refuse('it waits for a transaction that began before the change log did, so changes do not carry on')
      return read
    }
    await read[Symbol.asyncDispose]()
    await sleep(HAND_OVER_PAUSE_MS)
  }
}

/** The place of a full read in the log, from a look before the read and one after it. */
class Standing {
  /** Why the snapshot takes no place in the log, or null. */
  refusal: string | null = null
  readonly #link: LogLink
  readonly #chosen: PreviousSnapshot
  /** Taken when the log had caught up; null when nobody writes it. */
  readonly #horizon: string | null
  readonly #before: SegmentHead | null

  private constructor(link: LogLink, chosen: PreviousSnapshot, before: SegmentHead | null, horizon: string | null) {
    this.#link = link
    this.#chosen = chosen
    this.#before = before
    this.#horizon = horizon
  }

  static async before(link: LogLink, chosen: PreviousSnapshot): Promise<Standing> {
    const caughtUp = await orReason(link.catchUp())
    if (!(caughtUp instanceof NotAlongTheLog)) return new Standing(link, chosen, caughtUp, await link.xidHorizon())
    if (await link.isWrittenElsewhere()) {
      const standing = new Standing(link, chosen, null, null)
      standing.refuse('the change log is written from another server, of which this one is a copy')
      return standing
    }
    const head = await orReason(link.head())
    if (!(head instanceof NotAlongTheLog)) return new Standing(link, chosen, head, null)
    const standing = new Standing(link, chosen, null, null)
    standing.refuse(`the change log cannot be read: ${head.message}`)
    return standing
  }

  refuse(reason: string): void {
    this.refusal = reason
  }

  accepts(read: ConsistentRead): boolean {
    return handsOver(parseVisibility(read.position.visible), this.#link.log.start.xidHorizon)
  }

  async after(
    position: ReadPosition,
    tables: readonly string[],
  ): Promise<{ readonly log: LogPlace; readonly resolutions: ReadonlyMap<string, TableResolution> } | null> {
    if (this.refusal !== null) return null
    const found = await orReason(this.#place(position, tables))
    if (!(found instanceof NotAlongTheLog)) return found
    this.refuse(`it takes no place in the change log: ${found.message}`)
    return null
  }

  async #place({ lsn, visible }: ReadPosition, tables: readonly string[]) {
    const { log } = this.#link
    const before = this.#before?.header.end ?? log.start.startLsn
    refuseBehind(parseLsn(lsn), before)
    const later = this.#horizon !== null ? await orReason(this.#link.catchUp()) : this.#before
    // Not got hold of a second time: whatever is closed from here on then counts as closed after the read.
    const head = later instanceof NotAlongTheLog ? this.#before : later
    const previous = this.#previous
    const from = previous === null ? log.start.startLsn : parseLsn(previous.log.scanFrom)
    const firstXid = previous === null ? BigInt(log.start.xidHorizon) : parseVisibility(previous.position.visible).xmax
    const scanFrom = await scanFromOf(log, visible, { from, before, firstXid })
    const closed = head
      ? await closedBetween(log, this.#before?.header.number ?? null, head.header.number)
      : new Set<string>()
    return {
      log: await placeOf({ log, scanFrom, head, transactions: null }),
      resolutions: await this.#link.resolutions(closed, await this.#late(tables, visible)),
    }
  }

  async #late(tables: readonly string[], visible: string): Promise<Set<string>> {
    const previous = this.#previous
    const closed = this.#before
      ? await closedBetween(this.#link.log, previous?.log.head?.segment ?? null, this.#before.header.number)
      : new Set<string>()
    return lateTables(visible, { tables, previous, closed, horizon: this.#horizon })
  }

  /** The snapshot before, when it stands in this log. */
  get #previous(): LoggedManifest | null {
    const previous = this.#chosen.previous?.manifest
    return previous?.log?.logId === this.#link.log.start.logId ? { ...previous, log: previous.log } : null
  }
}

async function orReason<T>(work: Promise<T>): Promise<T | NotAlongTheLog> {
  try {
    return await work
  } catch (error) {
    const reason = asReason(error)
    if (reason) return reason
    throw error
  }
}
