/**
 * Whether the database that we are connected to goes on where our log ends (P5).
 *
 * System identifier, timeline and position do not tell: a copied data directory has all three in common with its
 * original, and other rows. What tells is what the server sends again. Confirmation stays one transaction behind, so
 * every transaction that the log holds from the slot's position on is delivered once more, and each has to equal ours
 * in stamp and content, before anything new is taken.
 */
import { Failure } from '../../errors.ts'
import type { LoggedChange, LoggedTransaction, TransactionStamp } from '../../repository/change-log/change.ts'
import { TransactionDigest } from '../../repository/change-log/transaction-digest.ts'
import { formatLsn } from '../../repository/lsn.ts'
import type { CapturedTransaction } from '../../source/change-contract.ts'

/** A transaction, reduced to what can be compared. */
interface Reduced {
  readonly stamp: TransactionStamp
  /** Changes of comparable tables. */
  readonly changes: number
  readonly sha256: string
}

export interface ResumeFacts {
  /** What the log holds from the slot's confirmed position on, in order, transactions perhaps in parts. */
  readonly kept: AsyncIterable<LoggedTransaction>
  /** Of the log. */
  readonly end: bigint
  /**
   * Whether changes of the table, by its name, can be compared: it was covered then and is now, and nothing happened to
   * it that would give its rows another text. Of the others, what is sent again may be more or less than before.
   */
  readonly isComparable: (table: string) => boolean
}

export class ResumeCheck {
  readonly #facts: ResumeFacts
  readonly #kept: AsyncIterator<Reduced>
  #next: Reduced | null = null
  #isDone = false
  #last: TransactionStamp | null = null

  constructor(facts: ResumeFacts) {
    this.#facts = facts
    this.#kept = whole(facts)
  }

  /** The last of the log's transactions that was passed. */
  get lastKept(): TransactionStamp | null {
    return this.#last
  }

  /** Consumes the changes of one that is kept already. @throws history-differs */
  async transaction(delivered: CapturedTransaction): Promise<'kept' | 'new'> {
    const { commitLsn } = delivered
    if (commitLsn >= this.#facts.end) {
      await this.#passBefore(this.#facts.end)
      return 'new'
    }
    await this.#passBefore(commitLsn)
    const again = await reduce(delivered, this.#facts)
    const kept = await this.#peek()
    if (kept?.stamp.commitLsn === commitLsn) {
      if (!isSameStamp(kept.stamp, delivered)) throw differs(commitLsn, 'has another transaction than our log')
      if (kept.sha256 !== again.sha256) throw differs(commitLsn, 'has a transaction with other changes than our log')
      this.#pass(kept)
    } else if (again.changes > 0) {
      throw differs(commitLsn, 'has a transaction that our log does not have')
    }
    return 'kept'
  }

  /** Everything that commits before `lsn` was delivered. @throws history-differs */
  async position(lsn: bigint): Promise<void> {
    if (lsn > this.#facts.end) await this.#passBefore(this.#facts.end)
  }

  /** What lies there in the log had to be delivered before. */
  async #passBefore(lsn: bigint): Promise<void> {
    for (let kept = await this.#peek(); kept && kept.stamp.commitLsn < lsn; kept = await this.#peek()) {
      if (kept.changes > 0) throw differs(kept.stamp.commitLsn, 'does not have the transaction that our log has')
      this.#pass(kept)
    }
  }

  #pass(kept: Reduced): void {
    this.#last = kept.stamp
    this.#next = null
  }

  async #peek(): Promise<Reduced | null> {
    if (this.#next !== null || this.#isDone) return this.#next
    const next = await this.#kept.next()
    if (next.done) this.#isDone = true
    else this.#next = next.value
    return this.#next
  }
}

function isSameStamp(kept: TransactionStamp, delivered: TransactionStamp): boolean {
  return (
    kept.xid === delivered.xid &&
    kept.commitLsn === delivered.commitLsn &&
    kept.endLsn === delivered.endLsn &&
    kept.commitTimeUs === delivered.commitTimeUs &&
    kept.mark === delivered.mark
  )
}

function differs(at: bigint, what: string): Failure {
  return new Failure('history-differs', `the database's history at ${formatLsn(at)} ${what}`, {
    context: { position: formatLsn(at) },
  })
}

/** Parts put together. */
async function* whole(facts: ResumeFacts): AsyncGenerator<Reduced, undefined> {
  let stamp: TransactionStamp | null = null
  let digest = new TransactionDigest()
  for await (const part of facts.kept) {
    if (stamp !== null && stamp.commitLsn !== part.commitLsn) {
      yield finish(stamp, digest)
      digest = new TransactionDigest()
    }
    stamp = part
    digest.update(comparable(part.changes, facts))
  }
  if (stamp !== null) yield finish(stamp, digest)
}

async function reduce(delivered: CapturedTransaction, facts: ResumeFacts): Promise<Reduced> {
  const digest = new TransactionDigest()
  for await (const changes of delivered.changes) digest.update(comparable(changes, facts))
  return finish(delivered, digest)
}

function comparable(changes: readonly LoggedChange[], { isComparable }: ResumeFacts): LoggedChange[] {
  return changes.filter(({ table }) => isComparable(table.name))
}

function finish(stamp: TransactionStamp, digest: TransactionDigest): Reduced {
  return { stamp, changes: digest.changes, sha256: digest.hex() }
}
