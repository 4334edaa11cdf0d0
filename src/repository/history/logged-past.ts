/**
 * One change log while the past is read: its transactions up to a place, one after the other, and what closes tables on
 * the way. Where the log is not whole, that is told and not thrown: a later snapshot goes on.
 */
import { Failure } from '../../errors.ts'
import type { LoggedPart } from '../change-log/change.ts'
import type { ClosedTable } from '../change-log/closed-tables.ts'
import { type ChangeLog, openLog } from '../change-log/reader.ts'
import { parseLsn } from '../lsn.ts'
import type { Repository } from '../repository.ts'
import type { LoggedManifest } from '../state/target.ts'
import { parseVisibility, WholeXids } from '../visibility.ts'
import { endIn, type Interval } from './interval.ts'

export class LoggedPast {
  readonly log: ChangeLog
  /** Where transactions that are asked about end, at the most. */
  readonly end: bigint
  /** Behind the last transaction that was read. */
  reached: bigint
  /** Why it goes no further, or null. */
  broken: Failure | null = null
  readonly #parts: AsyncIterator<LoggedPart>
  readonly #xids: WholeXids
  #next: LoggedPart | null = null
  #closings: ClosedTable[]

  private constructor(log: ChangeLog, parts: AsyncIterator<LoggedPart>, closings: ClosedTable[], range: LogRange) {
    this.log = log
    this.#parts = parts
    this.#closings = closings
    this.end = range.end
    this.reached = range.from
    this.#xids = new WholeXids(range.firstXid)
  }

  /** From where the snapshot's transactions no longer are all in it. @returns why not, where the log cannot be read */
  static async open(repository: Repository, base: LoggedManifest, interval: Interval): Promise<LoggedPast | Failure> {
    try {
      const log = await openLog(repository, base.log.logId, base.log.head?.segment)
      const end = await endIn(log, interval)
      const { scanFrom, scanSegment, head } = base.log
      const from = parseLsn(scanFrom)
      const firstXid = parseVisibility(base.position.visible).xmax
      const closings = await log.closedTables(head === null ? 0 : head.segment + 1)
      const anchors = head && head.segment >= scanSegment ? [head] : []
      const toLsn = end > from ? end : from
      const parts = log.transactions({ fromSegment: scanSegment, fromLsn: from, toLsn, anchors })
      const past = new LoggedPast(log, parts[Symbol.asyncIterator](), closings, { from, end, firstXid })
      await past.#advance()
      return past
    } catch (error) {
      return gapOf(error)
    }
  }

  get logId(): string {
    return this.log.start.logId
  }

  /** The next transaction, or part of one, that commits before `bound`; null when there is none, or the log is broken. */
  async next(bound: bigint | null): Promise<LoggedPart | null> {
    const part = this.#next
    if (part === null || (bound !== null && part.commitLsn >= bound)) return null
    if (part.endLsn > this.reached) this.reached = part.endLsn
    await this.#advance()
    return part
  }

  /** Of every part that `next` gave, in that order, whatever is asked about: numbers go round. */
  wholeXid(part: LoggedPart): bigint {
    return this.#xids.of(part)
  }

  /** What closes tables up to `segment`, or in front of a position; each is told once, in order. */
  takeClosings(isReached: (closing: ClosedTable) => boolean): ClosedTable[] {
    const reached = this.#closings.filter(isReached)
    this.#closings = this.#closings.filter((closing) => !reached.includes(closing))
    return reached
  }

  async close(): Promise<void> {
    await this.#parts.return?.()
  }

  async #advance(): Promise<void> {
    try {
      const { done, value } = await this.#parts.next()
      this.#next = done ? null : value
    } catch (error) {
      this.#next = null
      this.broken = gapOf(error)
    }
  }
}

interface LogRange {
  readonly from: bigint
  readonly end: bigint
  /** Numbers of transactions are near it there. */
  readonly firstXid: bigint
}

/** A gap, and what is missing altogether, are answers; a store that does not answer is none. */
function gapOf(error: unknown): Failure {
  const isGap =
    error instanceof Failure && ['change-log-gap', 'object-missing', 'repository-damaged'].includes(error.code)
  if (isGap) return error
  throw error
}
