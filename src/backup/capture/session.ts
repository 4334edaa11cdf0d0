/**
 * One connection to the stream, from the first event to its end.
 *
 *     stream ─ events ─→ resume check ─→ pending segment ─┬─ full, old, or asked for ─→ fingerprint ─→ log ─→ confirm
 *                                       ticks of a clock ─┘
 *
 * The fingerprint is read after everything in the segment has arrived, and before it is kept (P2). Nothing is confirmed
 * but what is durable, and of that the last transaction never: the server sends it again at the next connection, where
 * it has to equal ours (I5, P5).
 */
import { Failure } from '../../errors.ts'
import { formatLsn } from '../../repository/lsn.ts'
import type {
  CapturedTransaction,
  CapturePlan,
  CatalogFingerprint,
  ChangeSource,
  ChangeStream,
  StreamEvent,
} from '../../source/change-contract.ts'
import { type Coverage, coverageOf } from './coverage.ts'
import type { CaptureListener } from './events.ts'
import type { Appended, LogTail } from './log-tail.ts'
import { Mutex } from './mutex.ts'
import { PendingSegment, type SegmentContent } from './pending-segment.ts'
import type { ResumeCheck } from './resume-check.ts'
import type { CaptureSettings } from './settings.ts'

/**
 * Where published tables are idle and the rest of the database is not, the slot would stand at our last transaction for
 * ever. Beyond this many bytes it may go on, and the next connection has the timeline and the slot's position to judge
 * by, and no transaction.
 */
const UNCONFIRMED_BYTES_MAX = 16n * 1024n * 1024n
const TICK_MS_MIN = 5
const TICK_MS_MAX = 500

export interface SessionParts {
  readonly changes: ChangeSource
  readonly plan: CapturePlan
  readonly stream: ChangeStream
  readonly tail: LogTail
  readonly check: ResumeCheck
  readonly settings: CaptureSettings
  readonly nowMs: () => number
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  readonly onEvent: CaptureListener
  /** What the server held as confirmed when the stream began. */
  readonly confirmedLsn: bigint
  /** Of the whole database, when the stream was opened for the tables of `plan`. */
  readonly catalogDigest: string
  /** Somebody wants it to end well: what has arrived is kept first. */
  readonly stop: AbortSignal
  /** Ends the session from within. */
  readonly over: AbortController
  /** The stream was opened with it: fires for either, and for whatever else ends the session at once. */
  readonly signal: AbortSignal
}

/** Why a session ended that did not fail: somebody stopped it, or what it follows is no longer what it was told. */
export type SessionEnd = 'stopped' | 'tables-changed'

export class CaptureSession {
  readonly #parts: SessionParts
  readonly #pending: PendingSegment
  readonly #turn = new Mutex()
  #ended: SessionEnd | null = null
  /** What was taken out of `#pending` and did not get into the log: nothing behind it may be kept. */
  #broken: { readonly error: unknown } | null = null
  readonly #startedMs: number
  #sealedMs: number
  #heardMs: number
  /** A sign of life that was asked for and has not come back. */
  #awaited: { readonly lsn: bigint; readonly sinceMs: number } | null = null
  #confirmed: bigint

  constructor(parts: SessionParts) {
    this.#parts = parts
    this.#confirmed = parts.confirmedLsn
    this.#pending = new PendingSegment(parts.tail.end)
    this.#startedMs = parts.nowMs()
    this.#sealedMs = parts.nowMs()
    this.#heardMs = parts.nowMs()
  }

  /**
   * Until it is stopped; then what has arrived is kept before it returns.
   * @throws history-differs, lease-lost, source-…, store-…
   */
  async run(): Promise<SessionEnd> {
    const { stop, over, signal } = this.#parts
    const works = [this.#pump(), this.#watchClock(), this.#keepAlive()]
    for (const work of works) work.catch((error) => over.abort(error))
    await Promise.allSettled(works)
    if (this.#ended !== null) return this.#ended
    if (signal.reason !== stop.reason || !stop.aborted) throw signal.reason
    await this.#turn.run(() => this.#sealTheRest())
    return 'stopped'
  }

  async #pump(): Promise<void> {
    const { stream, nowMs } = this.#parts
    for await (const event of stream.events()) {
      this.#heardMs = nowMs()
      await this.#turn.run(() => this.#take(event))
    }
    throw new Failure('source-unreachable', 'the stream of changes ended')
  }

  async #take(event: StreamEvent): Promise<void> {
    this.#parts.signal.throwIfAborted()
    if (event.kind === 'transaction') {
      await this.#takeTransaction(event.transaction)
    } else {
      await this.#parts.check.position(event.lsn)
      this.#pending.advance(event.lsn)
    }
    if (this.#awaited && this.#pending.end >= this.#awaited.lsn) this.#awaited = null
    if (event.kind === 'seal-requested') await this.#seal()
  }

  async #takeTransaction(transaction: CapturedTransaction): Promise<void> {
    const { check, nowMs, settings, signal } = this.#parts
    if ((await check.transaction(transaction)) === 'kept') return
    const { xid, commitLsn, endLsn, commitTimeUs, mark } = transaction
    this.#pending.begin({ xid, commitLsn, endLsn, commitTimeUs, mark }, nowMs())
    try {
      for await (const changes of transaction.changes) {
        signal.throwIfAborted()
        this.#pending.add(changes)
        if (this.#pending.textBytes >= settings.segmentTextBytes * 2) await this.#seal()
      }
      this.#pending.finish()
    } finally {
      this.#pending.dropUnfinished()
    }
    if (this.#pending.textBytes >= settings.segmentTextBytes) await this.#seal()
  }

  async #watchClock(): Promise<void> {
    const { settings, nowMs, sleep, signal } = this.#parts
    const tickMs = Math.min(TICK_MS_MAX, Math.max(TICK_MS_MIN, settings.sealMs / 10))
    for (;;) {
      await sleep(tickMs, signal)
      signal.throwIfAborted()
      await this.#turn.run(async () => {
        if (this.#isDue(nowMs()) && !signal.aborted) await this.#seal()
      })
    }
  }

  #isDue(nowMs: number): boolean {
    const { settings, tail } = this.#parts
    const { sinceMs, end } = this.#pending
    if (sinceMs !== null && nowMs - sinceMs >= settings.sealMs) return true
    return end > tail.end && nowMs - this.#sealedMs >= settings.progressMs
  }

  /**
   * An idle slot stands still and holds what the whole cluster writes: now and then we write a word into its log. So at
   * the beginning, too: which tables are followed from here on is then in the log at once.
   */
  async #keepAlive(): Promise<void> {
    const { settings, sleep, changes, nowMs, signal } = this.#parts
    for (;;) {
      this.#refuseStall(nowMs())
      if (this.#awaited === null) this.#awaited = { lsn: await changes.requestSeal(), sinceMs: nowMs() }
      await sleep(settings.heartbeatMs, signal)
      signal.throwIfAborted()
    }
  }

  #refuseStall(nowMs: number): void {
    const { stallMs } = this.#parts.settings
    if (this.#awaited === null || nowMs - this.#awaited.sinceMs < stallMs || nowMs - this.#heardMs < stallMs) return
    throw new Failure(
      'source-unreachable',
      `the stream stands still: ${formatLsn(this.#awaited.lsn)} was asked for ${Math.round((nowMs - this.#awaited.sinceMs) / 1000)} s ago, and it is at ${formatLsn(this.#pending.end)}`,
    )
  }

  async #sealTheRest(): Promise<void> {
    if (this.#broken !== null) throw this.#broken.error
    this.#pending.dropUnfinished()
    if (!this.#pending.isEmpty || this.#pending.end > this.#parts.tail.end) await this.#seal()
  }

  /** @throws what fails on the way: the session is then over, and what was pending is delivered again */
  async #seal(): Promise<void> {
    const { changes: asked, plan, tail, nowMs, onEvent } = this.#parts
    if (this.#broken !== null) throw this.#broken.error
    if (this.#pending.isEmpty && this.#pending.end <= tail.end) return
    const fingerprint = await asked.fingerprint()
    const known = tail.fingerprint
    const content = this.#pending.take(nowMs())
    const { segment, closed } = await this.#append(content, coverageOf(plan, fingerprint))
    this.#sealedMs = nowMs()
    this.#confirm()
    const { transactions, changes, textBytes, lastCommit, end } = content
    onEvent({
      kind: 'sealed',
      segment,
      end: formatLsn(end),
      transactions: transactions.length,
      changes,
      textBytes,
      lagMs: lastCommit === null ? null : Math.max(0, nowMs() - Number(lastCommit.commitTimeUs / 1000n)),
    })
    if (closed.length > 0) onEvent({ kind: 'closed', tables: closed })
    const isOther = closed.some(({ table }) => known.has(table))
    if (isOther || this.#mayBeMore(fingerprint)) this.#beginAgain()
  }

  async #append(content: SegmentContent, coverage: Coverage): Promise<Appended> {
    try {
      return await this.#parts.tail.append(content, coverage)
    } catch (error) {
      this.#broken = { error }
      throw error
    }
  }

  /** Tables that are not followed may have become such that they can be. */
  #mayBeMore({ digest }: CatalogFingerprint): boolean {
    const { catalogDigest, settings, nowMs } = this.#parts
    return digest !== catalogDigest && nowMs() - this.#startedMs >= settings.replanMs
  }

  /** What is published is decided when a stream begins (P7): what changed is followed by a new one. */
  #beginAgain(): void {
    this.#ended = 'tables-changed'
    this.#parts.over.abort(new Failure('schema-changed', 'tables changed: the stream begins again'))
  }

  #confirm(): void {
    const { tail, stream, check } = this.#parts
    const behind = (tail.lastCommit ?? check.lastKept)?.commitLsn ?? tail.end
    const upTo = tail.end - behind > UNCONFIRMED_BYTES_MAX ? tail.end : behind
    if (upTo <= this.#confirmed) return
    this.#confirmed = upTo
    stream.confirm(upTo)
  }
}
