/**
 * Where a log is cut for a moment: every transaction in front of the cut belongs to the state, none behind it.
 *
 *     commits, in order of LSN        10:00:01   10:00:03   10:00:02   10:00:05   10:00:04
 *     at 10:00:04                     ──────────────────────────────── ┆ next      stamped earlier
 *
 * A time means the longest prefix in order of commit in which no commit is stamped later (P17): commit times run
 * backwards now and then, also under a steady clock. What is stamped earlier and lies behind the cut is counted and
 * shown, and so is a clock that was set back.
 */
import type { StampedPart, TransactionStamp } from '../change-log/change.ts'
import type { ChangeLog } from '../change-log/reader.ts'
import { timeUsOf } from './moment.ts'

export interface LogCut {
  /** Everything that commits before it is in front of the cut. */
  readonly bound: bigint
  /** The first transaction behind the cut, or null: none is kept. */
  readonly next: TransactionStamp | null
  /** In front of the cut, as far as it was looked at. */
  readonly last: TransactionStamp | null
  /** The segment in which the log is cut, or the newest; −1 when there is none. */
  readonly segment: number
  readonly clock: ClockNote
}

/** What the clock did near the cut. */
export interface ClockNote {
  /** Transactions that come behind the cut although they are stamped no later than the moment. */
  readonly stampedEarlier: number
  readonly latestStampedEarlier: TransactionStamp | null
  /** By how much commit times went back at the most, in microseconds. */
  readonly backwardUs: bigint
}

const STEADY: ClockNote = { stampedEarlier: 0, latestStampedEarlier: null, backwardUs: 0n }
/** Segments looked at behind the last transaction that is out of order: a minute where one is sealed each five seconds. */
const LOOK_BEHIND = 12
/** Segments looked at for the newest that says until when the log is complete. */
const LOOK_BACK = 64
/** Between the look at the catalog and the sealing of a segment, or the stamp of a commit and its place, there is a little time. */
const SEALING_US = 1_000_000n
/**
 * Capture writes a word into the database's log each minute, so that the last commit is never much older than the last
 * segment: if it seems to be, the machine that captures has another clock than the database, and is not believed (F28).
 */
const CLOCKS_APART_US = 300_000_000n

/** @throws change-log-gap, store-… */
export async function cutAtTime(log: ChangeLog, timeUs: bigint): Promise<LogCut> {
  const fromSegment = await log.locateTime(timeUs)
  const newest = (await log.head())?.header.number ?? -1
  if (fromSegment > newest) return await cutAtEnd(log)
  const clock = new ClockWatch(timeUs)
  let last: TransactionStamp | null = null
  let next: StampedPart | null = null
  for await (const part of log.stamps({ fromSegment })) {
    if (clock.lastSegment !== null && part.segment > clock.lastSegment + LOOK_BEHIND) break
    if (!part.begins) continue
    if (next === null && part.commitTimeUs > timeUs) next = part
    if (next === null) last = stampOf(part)
    clock.pass(part, next !== null)
  }
  // The transaction with the later time was never finished: it is not in the log.
  if (next === null) return { ...(await cutAtEnd(log)), last }
  return { bound: next.commitLsn, next: stampOf(next), last, segment: next.segment, clock: clock.note }
}

/** @param lsn within the log. @throws change-log-gap, store-… */
export async function cutAtPosition(log: ChangeLog, lsn: bigint): Promise<LogCut> {
  const fromSegment = await log.locate(lsn)
  const newest = (await log.head())?.header.number ?? -1
  if (fromSegment > newest) return { ...(await cutAtEnd(log)), bound: lsn }
  const { end } = (await log.segment(fromSegment)).header
  let last: TransactionStamp | null = null
  for await (const part of log.stamps({ fromSegment, toLsn: end })) {
    if (part.endLsn > lsn) {
      const bound = part.commitLsn < lsn ? part.commitLsn : lsn
      return { bound, next: stampOf(part), last, segment: part.segment, clock: STEADY }
    }
    last = stampOf(part)
  }
  return { bound: lsn, next: null, last, segment: fromSegment, clock: STEADY }
}

export async function cutAtEnd(log: ChangeLog): Promise<LogCut> {
  const head = await log.head()
  return {
    bound: head?.header.end ?? log.start.startLsn,
    next: null,
    last: null,
    segment: head?.header.number ?? -1,
    clock: STEADY,
  }
}

/** The last transaction in front of the cut in segments from `fromSegment` on, or null. @throws change-log-gap, store-… */
export async function lastBefore(log: ChangeLog, cut: LogCut, fromSegment: number): Promise<TransactionStamp | null> {
  if (cut.last) return cut.last
  for (let number = cut.segment; number >= fromSegment; number -= 1) {
    if ((await log.segment(number)).header.transactions === 0) continue
    let last: TransactionStamp | null = null
    for await (const part of log.stamps({ fromSegment: number, toLsn: cut.bound })) last = stampOf(part)
    if (last) return last
  }
  return null
}

/**
 * Until when the log is known to hold everything that was committed, in microseconds since 1970, or null. A segment says
 * where the database stood when the catalog was looked at, and what its clock said; once the log has got there, nothing
 * that was committed before that look is missing. Segments that say no time have the clock of the machine that captures,
 * which is believed near the last commit only.
 * @throws change-log-gap, store-…
 */
export async function completeUntil(log: ChangeLog): Promise<bigint | null> {
  const head = await log.head()
  if (!head) return null
  const { end, number: newest, maxCommitTimeUs } = head.header
  if (maxCommitTimeUs === null) return null
  const oldest = Math.max(await log.first(), newest - LOOK_BACK)
  for (let number = newest; number >= oldest; number -= 1) {
    const { fingerprint, sealedAt } = (await log.segment(number)).header
    if (!fingerprint || fingerprint.lsn > end) continue
    if (fingerprint.timeUs !== null) return fingerprint.timeUs - SEALING_US
    const [seenUs, mostUs] = [timeUsOf(sealedAt) - SEALING_US, maxCommitTimeUs + CLOCKS_APART_US]
    return seenUs < mostUs ? seenUs : mostUs
  }
  return null
}

class ClockWatch {
  /** In which something last was out of order; at first that of the cut. Null before it. */
  lastSegment: number | null = null
  readonly #timeUs: bigint
  #maxUs: bigint | null = null
  #note: ClockNote = STEADY

  constructor(timeUs: bigint) {
    this.#timeUs = timeUs
  }

  get note(): ClockNote {
    return this.#note
  }

  pass(part: StampedPart, isBehind: boolean): void {
    if (this.#maxUs !== null && this.#maxUs - part.commitTimeUs > this.#note.backwardUs) {
      this.#note = { ...this.#note, backwardUs: this.#maxUs - part.commitTimeUs }
    }
    if (this.#maxUs === null || part.commitTimeUs > this.#maxUs) this.#maxUs = part.commitTimeUs
    if (!isBehind) return
    this.lastSegment ??= part.segment
    if (part.commitTimeUs > this.#timeUs) return
    this.lastSegment = part.segment
    const { stampedEarlier } = this.#note
    this.#note = { ...this.#note, stampedEarlier: stampedEarlier + 1, latestStampedEarlier: stampOf(part) }
  }
}

function stampOf({ xid, commitLsn, endLsn, commitTimeUs, mark }: TransactionStamp): TransactionStamp {
  return { xid, commitLsn, endLsn, commitTimeUs, mark }
}
