/**
 * The change log beside a running backup: which one the source writes, whether somebody writes it now, and waiting
 * until it has got as far as the database.
 */
import { Failure } from '../errors.ts'
import { type CaptureQuestion, isFollowed, isWrittenElsewhere } from '../repository/capture-watch.ts'
import { type ChangeLog, listLogs, openLog } from '../repository/change-log/reader.ts'
import type { SegmentHead } from '../repository/change-log/segment-store.ts'
import { formatLsn } from '../repository/lsn.ts'
import type { Repository } from '../repository/repository.ts'
import type { CapturePlan, ChangeSource } from '../source/change-contract.ts'
import type { Source, SourceIdentity } from '../source/contract.ts'
import { isSameDatabase } from '../source/identity.ts'

export interface LinkQuestion {
  readonly repository: Repository
  readonly sourceName: string
  readonly source: Source
  readonly identity: SourceIdentity
  /** As `TableInfo.name`: those that are backed up. */
  readonly tables: readonly string[]
  readonly nowMs: () => number
  readonly sleep: (ms: number) => Promise<void>
  readonly signal: AbortSignal
}

/** A log that does not move for so long is not being written. */
const STALL_MS = 15_000
const LOOK_EVERY_MS = 50

/** Why a backup cannot go along the change log. The full read that follows says so. */
export class NotAlongTheLog extends Error {}

export class LogLink {
  readonly log: ChangeLog
  /** What can be captured of each table, as the database is now. */
  readonly plan: CapturePlan
  readonly #question: LinkQuestion
  readonly #changes: ChangeSource

  private constructor(question: LinkQuestion, changes: ChangeSource, log: ChangeLog, plan: CapturePlan) {
    this.#question = question
    this.#changes = changes
    this.log = log
    this.plan = plan
  }

  /** @returns why there is none, in words. @throws source-…, store-… */
  static async find(question: LinkQuestion): Promise<LogLink | NotAlongTheLog> {
    const { repository, sourceName, source, identity, tables } = question
    const { changes } = source
    const { logs, unreadable } = changes ? await listLogs(repository, sourceName) : { logs: [], unreadable: [] }
    const newest = logs.at(-1)
    if (!changes || !newest) return new NotAlongTheLog('changes are not captured')
    const unknown = unreadable.at(-1)
    if (unknown && unknown.logId > newest.logId) {
      return new NotAlongTheLog(`the start of change log ${unknown.logId} cannot be read`)
    }
    if (!isSameDatabase(newest.source, identity)) {
      return new NotAlongTheLog('the change log is of another database')
    }
    const slot = await changes.slotState(newest.slot)
    if (!slot || slot.walStatus.startsWith('lost')) {
      return new NotAlongTheLog(`the change log has come to its end: slot ${newest.slot} is ${slot ? 'lost' : 'gone'}`)
    }
    const plan = await changes.plan(tables, { allowsUnlimitedSlot: true })
    return new LogLink(question, changes, await openLog(repository, newest.logId), plan)
  }

  /**
   * Waits until the log holds everything that is committed now, as long as it moves.
   * @returns its newest segment then
   * @throws NotAlongTheLog when nobody writes it, it stands still, or the database has been put back behind it
   */
  async catchUp(): Promise<SegmentHead> {
    const { nowMs, sleep, signal } = this.#question
    if (!(await isFollowed(this.#capture()))) {
      throw new NotAlongTheLog(`capture is not running: the change log ends at ${formatLsn(await this.log.end())}`)
    }
    let end = await this.log.end()
    const wanted = await this.#changes.requestSeal().catch(asStandstill)
    refuseBehind(wanted, end)
    let movedMs = nowMs()
    for (;;) {
      signal.throwIfAborted()
      const head = await this.log.head()
      if (head && head.header.end >= wanted) return head
      if (head && head.header.end > end) {
        end = head.header.end
        movedMs = nowMs()
      }
      if (nowMs() - movedMs > STALL_MS) {
        const stands = `the change log stands at ${formatLsn(end)}, the source is at ${formatLsn(wanted)}`
        throw new NotAlongTheLog(`capture does not keep up: ${stands}`)
      }
      await sleep(LOOK_EVERY_MS)
    }
  }

  /** The newest segment, however old, or null. */
  async head(): Promise<SegmentHead | null> {
    return await this.log.head()
  }

  /** To be taken before a read, and after catching up. @see lateTables */
  async xidHorizon(): Promise<string> {
    return await this.#changes.xidHorizon()
  }

  /**
   * By their reasons: tables of which the stream does not tell everything.
   * @param closed since the read began
   * @param late of which a transaction that is older than their capture may have written rows that are neither in the
   * read nor in the stream
   */
  async resolutions(
    closed: ReadonlySet<string>,
    late: ReadonlySet<string> = new Set(),
  ): Promise<ReadonlyMap<string, TableResolution>> {
    const covered = await this.log.fingerprint()
    return new Map(
      this.plan.tables.map(({ table, resolution, reason }) => {
        if (resolution === 'snapshot') return [table, { resolution, resolutionReason: reason }]
        if (!covered.has(table)) return [table, coarse('capture does not follow it yet')]
        if (closed.has(table)) return [table, coarse('its definition changed while the snapshot was taken')]
        if (late.has(table)) return [table, coarse('a transaction older than its capture is open')]
        return [table, { resolution, resolutionReason: null }]
      }),
    )
  }

  /** @see isWrittenElsewhere */
  async isWrittenElsewhere(): Promise<boolean> {
    return await isWrittenElsewhere(this.#capture())
  }

  #capture(): CaptureQuestion {
    return { ...this.#question, slotState: () => this.#changes.slotState(this.log.start.slot) }
  }
}

/**
 * A database that was put back with its slot: what the log has of later is not in it.
 * @param end of the log, looked at before `position` was taken
 */
export function refuseBehind(position: bigint, end: bigint): void {
  if (position >= end) return
  throw new NotAlongTheLog(
    `the source stands at ${formatLsn(position)}, before the end of the change log at ${formatLsn(end)}: it was put back`,
  )
}

export interface TableResolution {
  readonly resolution: 'transaction' | 'snapshot'
  readonly resolutionReason: string | null
}

function coarse(resolutionReason: string): TableResolution {
  return { resolution: 'snapshot', resolutionReason }
}

/** Names of the tables that `(after, upTo]` of a log closes; null: from the first segment that is kept. @throws change-log-gap, store-… */
export async function closedBetween(log: ChangeLog, after: number | null, upTo: number): Promise<Set<string>> {
  const closed = await log.closedTables(after === null ? undefined : after + 1, upTo + 1)
  return new Set(closed.map(({ table }) => table))
}

/** What went wrong along the log is a reason to read in full; anything else is not. */
export function asReason(error: unknown): NotAlongTheLog | null {
  if (error instanceof NotAlongTheLog) return error
  if (!(error instanceof Failure)) return null
  const isOfTheLog = ['change-log-gap', 'history-differs', 'repository-damaged', 'object-missing'].includes(error.code)
  return isOfTheLog ? new NotAlongTheLog(error.message) : null
}

/** The database is there, and does not get on with telling changes: its rows can still be read. */
function asStandstill(error: unknown): never {
  throw error instanceof Failure && error.code === 'source-failed' ? new NotAlongTheLog(error.message) : error
}

/** For the end of a `catch`. */
export function asRefusal(error: unknown): never {
  throw asReason(error) ?? error
}
