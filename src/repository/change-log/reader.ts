/**
 * Reads a log. Every segment that is read is held against the one read before it, and against whatever a manifest says
 * of it; where the chain does not hold, reading ends with `change-log-gap`, and no transaction of the segment that does
 * not fit, or of one behind it, is handed out.
 *
 * A transaction too large for one segment comes in parts. One that was never finished (the writer died in between) is
 * not handed out at all: it stands in the log once more, whole, if it was ever sent again.
 */
import { Failure } from '../../errors.ts'
import { formatLsn } from '../lsn.ts'
import type { Repository } from '../repository.ts'
import type { LoggedPart, StampedPart, TransactionStamp } from './change.ts'
import type { ClosedTable } from './closed-tables.ts'
import { type ChainProblem, chainProblem, findGap, gapFailure, problemOfError } from './gap.ts'
import { type LogStart, readLogStart } from './log-start.ts'
import { type FetchedSegment, fetchAhead } from './read-ahead.ts'
import { decodeSegment, decodeSegmentHeader, type Segment } from './segment-codec.ts'
import { type OpenedSegment, type SegmentHead, SegmentStore } from './segment-store.ts'
import { TransactionDigest } from './transaction-digest.ts'
import type { LogTrim } from './trim.ts'
import { readFingerprint } from './writer.ts'

export { type LogListing, type LogStart, listLogs } from './log-start.ts'

/** What a manifest holds of a segment. */
export interface SegmentAnchor {
  readonly segment: number
  /** Hex. */
  readonly sha256: string
}

export interface TransactionRange {
  /** Where reading begins; `locate` finds it. Default: the first that is kept. */
  readonly fromSegment?: number
  /** Transactions that commit before it are left out. */
  readonly fromLsn?: bigint
  /** Transactions that end behind it are left out; the log must reach it. Default: the log's end, as it is now. */
  readonly toLsn?: bigint
  /** Segments that reading passes must be these. */
  readonly anchors?: readonly SegmentAnchor[]
}

interface ChainedSegment extends Segment, SegmentHead {}

const HEADERS_KEPT = 512

/** `knownSegment`: one that is there (a manifest's), which saves a listing. @throws object-missing, repository-damaged */
export async function openLog(
  repository: Repository,
  logId: string,
  knownSegment: number | null = null,
): Promise<ChangeLog> {
  const start = await readLogStart(repository, logId)
  return new ChangeLog(new SegmentStore(repository.sealed, logId), start, knownSegment)
}

export class ChangeLog {
  readonly start: LogStart
  readonly #segments: SegmentStore
  readonly #heads = new Map<number, SegmentHead>()
  #known: number | null
  #trim: Promise<LogTrim | null> | null = null

  constructor(segments: SegmentStore, start: LogStart, knownSegment: number | null) {
    this.start = start
    this.#segments = segments
    this.#known = knownSegment
  }

  /** The newest segment, looked for anew, or null. @throws change-log-gap, repository-format, store-… */
  async head(): Promise<SegmentHead | null> {
    const newest = await this.#segments.newest(this.#known)
    if (newest < 0) return null
    this.#known = newest
    return await this.segment(newest)
  }

  /** Up to where every transaction is in the log. @throws as `head` */
  async end(): Promise<bigint> {
    return (await this.head())?.header.end ?? (await this.#trimmed())?.start ?? this.start.startLsn
  }

  /** The first segment that is kept, or will be: what was before it was given up on purpose. @throws as `head` */
  async first(): Promise<number> {
    return (await this.#trimmed())?.first ?? 0
  }

  /** @throws change-log-gap, repository-format, store-… */
  async segment(number: number): Promise<SegmentHead> {
    const known = this.#heads.get(number)
    if (known) return known
    let head: SegmentHead
    try {
      head = await this.#segments.readHead(number)
    } catch (error) {
      throw await this.#gap(number, problemOfError(error), error)
    }
    await this.#assertChained(number, head, this.#heads.get(number - 1) ?? null)
    this.#remember(head)
    return head
  }

  /** `[fromSegment, toSegment)`, chained; to the newest when no end is given. @throws as `head` */
  async *headers(fromSegment?: number, toSegment?: number): AsyncIterable<SegmentHead> {
    const to = toSegment ?? (await this.#newest()) + 1
    const from = fromSegment ?? (await this.first())
    let before: SegmentHead | null = null
    for await (const { number, outcome } of fetchAhead(this.#segments, from, to)) {
      const head: SegmentHead = await this.#opened(number, outcome, ({ plain, sha256 }, what) => ({
        header: decodeSegmentHeader(plain, what),
        sha256,
      }))
      await this.#assertChained(number, head, before)
      before = head
      yield head
    }
  }

  /**
   * In order of commit; all parts of one transaction follow each other, and it is read from its beginning, also where
   * that lies before `fromSegment`.
   * @throws change-log-gap when the chain does not hold, an anchor does not fit, or the log ends before `toLsn`
   */
  transactions(range: TransactionRange = {}): AsyncIterable<LoggedPart> {
    return this.#parts(range, true)
  }

  /** As `transactions`, for who asks when and not what. @throws as `transactions` */
  stamps(range: TransactionRange = {}): AsyncIterable<StampedPart> {
    return this.#parts(range, false)
  }

  async *#parts(range: TransactionRange, withRows: boolean): AsyncIterable<LoggedPart> {
    const head = await this.head()
    const end = await this.end()
    const { fromSegment = await this.first(), fromLsn = 0n, toLsn = end, anchors = [] } = range
    if (toLsn > end) throw this.#endsBefore(toLsn, end)
    await this.#assertKept(fromSegment)
    const last = head?.header.number ?? -1
    let before: StampedPart | null = null
    const isWithin = ({ commitLsn, endLsn }: TransactionStamp) => commitLsn >= fromLsn && endLsn <= toLsn
    const from = await this.#beginning(fromSegment)
    for await (const segment of this.#chained(from, last + 1, anchors, (stamp) => withRows && isWithin(stamp))) {
      if (segment.header.start >= toLsn) return
      for (const part of await this.#partsOf(segment, last)) {
        if (!follows(part, before)) throw await this.#gap(part.segment, 'reordered')
        before = part
        if (isWithin(part)) yield part
      }
    }
  }

  /** The segment in which a transaction that commits at `lsn` stands, or the one that will begin there. @throws as `head` */
  async locate(lsn: bigint): Promise<number> {
    return await this.#beginning(await this.#firstWhere(({ header }) => header.end > lsn))
  }

  /** The first segment with a commit time above `timeUs` in it or before it, or the one behind the newest. @throws as `head` */
  async locateTime(timeUs: bigint): Promise<number> {
    return await this.#firstWhere(({ header }) => header.maxCommitTimeUs !== null && header.maxCommitTimeUs > timeUs)
  }

  /** What `[fromSegment, toSegment)` closes, oldest first; reads only segments that close something. @throws as `head` */
  async closedTables(fromSegment?: number, toSegment?: number): Promise<ClosedTable[]> {
    const to = toSegment ?? (await this.#newest()) + 1
    const from = fromSegment ?? (await this.first())
    await this.#assertKept(from)
    const found: ClosedTable[] = []
    if (to <= from) return found
    let { lastClosed } = (await this.segment(to - 1)).header
    while (lastClosed !== null && lastClosed >= from) {
      const { header }: SegmentHead = await this.segment(lastClosed)
      const noticedAt = header.fingerprint?.lsn ?? header.end
      found.unshift(
        ...header.closed.map((each) => ({ ...each, segment: header.number, from: header.start, noticedAt })),
      )
      lastClosed = header.number === from ? null : (await this.segment(header.number - 1)).header.lastClosed
    }
    return found
  }

  /** The tables' fingerprints as of the newest segment that has any. @throws as `head` */
  async fingerprint(): Promise<ReadonlyMap<string, string>> {
    const head = await this.head()
    if (!head) return this.start.fingerprint.tables
    return await readFingerprint(this.#segments, this.start, head.header)
  }

  /** What the log holds of the transaction that commits there (P5), or null. @throws as `transactions` */
  async findTransaction(
    commitLsn: bigint,
  ): Promise<{ readonly stamp: TransactionStamp; readonly changes: number; readonly sha256: string } | null> {
    const digest = new TransactionDigest()
    let stamp: TransactionStamp | null = null
    const fromSegment = await this.locate(commitLsn)
    for await (const part of this.transactions({ fromSegment })) {
      if (part.commitLsn > commitLsn) break
      if (part.commitLsn < commitLsn) continue
      stamp = part
      digest.update(part.changes)
      if (part.ends) break
    }
    return stamp && { stamp, changes: digest.changes, sha256: digest.hex() }
  }

  /** The segment in which the transaction begins that `number` goes on with, or `number`. */
  async #beginning(number: number): Promise<number> {
    const newest = await this.#newest()
    const first = await this.first()
    let at = number
    while (at > first && at <= newest && (await this.segment(at)).header.continues) at -= 1
    return at
  }

  /** Those of a segment, but for the last one if that was never finished. `last`: the log's end. */
  async #partsOf({ header, transactions }: Segment, last: number): Promise<LoggedPart[]> {
    const dropsLast = header.unfinished && !(await this.#isFinished(header.number, last))
    const kept = dropsLast ? transactions.slice(0, -1) : transactions
    return kept.map((transaction, index) => ({
      ...transaction,
      segment: header.number,
      begins: index > 0 || !header.continues,
      ends: index < transactions.length - 1 || !header.unfinished,
    }))
  }

  async *#chained(
    from: number,
    to: number,
    anchors: readonly SegmentAnchor[],
    isRead: (stamp: TransactionStamp) => boolean,
  ): AsyncIterable<ChainedSegment> {
    const expected = new Map(anchors.map(({ segment, sha256 }) => [segment, sha256]))
    let before: SegmentHead | null = null
    for await (const { number, outcome } of fetchAhead(this.#segments, from, to)) {
      const segment: ChainedSegment = await this.#opened(number, outcome, ({ plain, sha256 }, what) => ({
        ...decodeSegment(plain, what, isRead),
        sha256,
      }))
      await this.#assertChained(number, segment, before)
      if ((expected.get(number) ?? segment.sha256) !== segment.sha256) throw await this.#gap(number, 'reordered')
      before = { header: segment.header, sha256: segment.sha256 }
      yield segment
    }
  }

  async #opened<T>(
    number: number,
    outcome: FetchedSegment['outcome'],
    decode: (opened: OpenedSegment, what: string) => T,
  ): Promise<T> {
    try {
      if ('error' in outcome) throw outcome.error
      return decode(this.#segments.open(number, outcome.stored), `object ${this.#segments.nameOf(number)}`)
    } catch (error) {
      throw await this.#gap(number, problemOfError(error), error)
    }
  }

  async #assertChained(number: number, head: SegmentHead, before: SegmentHead | null): Promise<void> {
    const problem = chainProblem(this.start, number, head, { before, trim: await this.#trimmed() })
    if (problem) throw await this.#gap(number, problem)
  }

  /** Looked for once: what is read began before the next trim, and is protected from it. */
  #trimmed(): Promise<LogTrim | null> {
    this.#trim ??= this.#segments.trim()
    return this.#trim
  }

  async #assertKept(fromSegment: number): Promise<void> {
    const trim = await this.#trimmed()
    if (trim === null || fromSegment >= trim.first) return
    const start = formatLsn(trim.start)
    throw new Failure(
      'change-log-gap',
      `changes before ${start} are not kept any more, as the rules of retention say`,
      {
        context: { logId: this.start.logId, start, segment: fromSegment },
        hints: ['Name a snapshot: `chartkeep snapshots` lists those that are kept. Moments behind it begin there.'],
      },
    )
  }

  /** Whether the transaction that segment `number` breaks off in goes on to its end. */
  async #isFinished(number: number, last: number): Promise<boolean> {
    for (let next = number + 1; next <= last; next += 1) {
      const { header } = await this.segment(next)
      if (!header.continues) return false
      if (!header.unfinished || header.transactions > 1) return true
    }
    return false
  }

  async #firstWhere(isBehind: (head: SegmentHead) => boolean): Promise<number> {
    let low = await this.first()
    let high = Math.max(low, (await this.#newest()) + 1)
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (isBehind(await this.segment(middle))) high = middle
      else low = middle + 1
    }
    return low
  }

  async #newest(): Promise<number> {
    return (await this.head())?.header.number ?? -1
  }

  async #gap(number: number, problem: ChainProblem, cause?: unknown): Promise<Failure> {
    return gapFailure(this.#segments, await findGap(this.#segments, this.start, number, problem), cause)
  }

  #endsBefore(wanted: bigint, end: bigint): Failure {
    const message = `change log ${this.start.logId} ends at ${formatLsn(end)}, before ${formatLsn(wanted)}`
    return new Failure('change-log-gap', message, {
      context: { logId: this.start.logId, end: formatLsn(end), wanted: formatLsn(wanted) },
      hints: ['Run `chartkeep status` to see whether changes are being captured.'],
    })
  }

  #remember(head: SegmentHead): void {
    const oldest = this.#heads.keys().next()
    if (this.#heads.size >= HEADERS_KEPT && !oldest.done) this.#heads.delete(oldest.value)
    this.#heads.set(head.header.number, head)
  }
}

/** A part that goes on is one of the transaction before it; any other begins one, when the one before has ended. */
function follows(part: StampedPart, before: StampedPart | null): boolean {
  if (part.begins) return before === null || before.ends
  if (before === null || before.ends) return false
  return (
    part.xid === before.xid &&
    part.commitLsn === before.commitLsn &&
    part.endLsn === before.endLsn &&
    part.commitTimeUs === before.commitTimeUs &&
    part.mark === before.mark
  )
}
