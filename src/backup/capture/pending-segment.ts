/**
 * What has arrived and is not kept yet: transactions in commit order, the last one perhaps in part.
 *
 * A transaction that is larger than a segment goes out in parts as it is read from the stream, so that memory stays
 * bounded; all parts carry the same stamp, and none but the last moves the position beyond its commit.
 */
import { assert } from '../../errors.ts'
import type { LoggedChange, LoggedTransaction, TransactionStamp } from '../../repository/change-log/change.ts'

export interface SegmentContent {
  readonly transactions: readonly LoggedTransaction[]
  readonly textBytes: number
  readonly changes: number
  /** The first transaction began in an earlier segment. */
  readonly continues: boolean
  /** The last transaction goes on in the next. */
  readonly unfinished: boolean
  /** Everything that commits before it is in this segment or an earlier one. */
  readonly end: bigint
  /** Of the last transaction that is complete with this segment. */
  readonly lastCommit: TransactionStamp | null
}

export class PendingSegment {
  #transactions: LoggedTransaction[] = []
  #textBytes = 0
  #changes = 0
  #continues = false
  #open: { readonly stamp: TransactionStamp; readonly changes: LoggedChange[] } | null = null
  #lastCommit: TransactionStamp | null = null
  #end: bigint
  /** When the oldest thing in it arrived, or null while there is nothing. */
  sinceMs: number | null = null

  constructor(end: bigint) {
    this.#end = end
  }

  get textBytes(): number {
    return this.#textBytes
  }

  get end(): bigint {
    return this.#end
  }

  get isEmpty(): boolean {
    return this.#transactions.length === 0 && this.#open === null
  }

  begin(stamp: TransactionStamp, nowMs: number): void {
    assert(this.#open === null, 'one transaction ends before the next begins')
    this.sinceMs ??= nowMs
    this.#open = { stamp, changes: [] }
    this.advance(stamp.commitLsn)
  }

  add(changes: readonly LoggedChange[]): void {
    assert(this.#open !== null, 'changes belong to a transaction')
    for (const change of changes) {
      this.#open.changes.push(change)
      this.#textBytes += (change.before?.length ?? 0) + (change.after?.length ?? 0)
    }
    this.#changes += changes.length
  }

  finish(): void {
    assert(this.#open !== null, 'a transaction was begun')
    const { stamp, changes } = this.#open
    this.#transactions.push({ ...stamp, changes })
    this.#open = null
    this.#lastCommit = stamp
    this.advance(stamp.endLsn)
  }

  advance(lsn: bigint): void {
    if (lsn > this.#end) this.#end = lsn
  }

  /** What is there, and an empty one behind it, which goes on with a transaction that is not finished. */
  take(nowMs: number): SegmentContent {
    const open = this.#open
    const part = open === null ? [] : [{ ...open.stamp, changes: open.changes }]
    const content: SegmentContent = {
      transactions: [...this.#transactions, ...part],
      textBytes: this.#textBytes,
      changes: this.#changes,
      continues: this.#continues,
      unfinished: open !== null,
      end: this.#end,
      lastCommit: this.#lastCommit,
    }
    this.#transactions = []
    this.#textBytes = 0
    this.#changes = 0
    this.#lastCommit = null
    this.#continues = open !== null
    this.#open = open === null ? null : { stamp: open.stamp, changes: [] }
    this.sinceMs = open === null ? null : nowMs
    return content
  }

  /** Nothing of a transaction that was not delivered whole is kept: it will be delivered again. */
  dropUnfinished(): void {
    if (this.#open === null) return
    for (const { before, after } of this.#open.changes) {
      this.#textBytes -= (before?.length ?? 0) + (after?.length ?? 0)
    }
    this.#changes -= this.#open.changes.length
    this.#open = null
    if (this.#transactions.length > 0) return
    this.sinceMs = null
    this.#continues = false
  }
}
