/**
 * The rows of all instances as one sequence, in the order of commits and of the operations in each: page by page from each
 * instance, so that memory holds a page of each whatever a transaction has written (P14).
 *
 * Clean-up may run between the question whether rows are there and the reading of them (F15). So it is asked again after
 * each page, before anything of the page is used. An instance that is gone has no more rows: its table's fingerprint is
 * another from then on, and says so.
 */
import type { RowChange } from '../../change-contract.ts'
import type { CdcLsn } from './lsn.ts'
import type { CapturedRow, CdcQuestions, ChangeCursor, Followed } from './questions.ts'
import { Pairing, streamTableOf } from './rows.ts'

export interface MergedChange {
  readonly lsn: CdcLsn
  readonly commitTimeUs: bigint
  readonly followed: Followed
  /** Null of half an update. */
  readonly change: RowChange | null
}

export interface MergeQuestion {
  readonly questions: CdcQuestions
  /** Rows of transactions that commit in `[from, to)`. */
  readonly from: CdcLsn
  readonly to: CdcLsn
  readonly pageRows: number
  /** Numbers of the change tables that are there; throws when rows from `from` on may be missing in one. */
  readonly proveWhole: () => Promise<ReadonlySet<string>>
}

/** Of one instance, kept for as long as it is followed, so that its table is described by one object. */
export class InstanceReader {
  readonly followed: Followed
  readonly #pairing: Pairing
  #rows: readonly CapturedRow[] = []
  #at = 0
  #after: ChangeCursor | null = null
  #isDone = false
  #isGone = false

  constructor(followed: Followed) {
    this.followed = followed
    this.#pairing = new Pairing(followed, streamTableOf(followed))
  }

  /** The next row, or null. */
  get head(): CapturedRow | null {
    return this.#rows[this.#at] ?? null
  }

  async start(question: MergeQuestion): Promise<void> {
    this.#rows = []
    this.#at = 0
    this.#after = null
    this.#isDone = this.#isGone
    await this.#turnPage(question)
  }

  async take(question: MergeQuestion): Promise<RowChange | null> {
    const change = this.#pairing.take(this.head!)
    this.#at += 1
    if (this.#at === this.#rows.length) await this.#turnPage(question)
    return change
  }

  finish(): void {
    if (!this.#isGone) this.#pairing.finish()
  }

  async #turnPage(question: MergeQuestion): Promise<void> {
    if (this.#isDone) return
    const { followed } = this
    const { questions, from, to, pageRows, proveWhole } = question
    const page = await asResult(questions.page({ followed, from, to, after: this.#after, limit: pageRows }))
    const there = await proveWhole()
    if (!there.has(followed.instance.changeTable)) {
      this.#isGone = true
      this.#isDone = true
      this.#rows = []
      this.#at = 0
      return
    }
    if ('error' in page) throw page.error
    this.#rows = page.rows
    this.#at = 0
    this.#after = page.rows.at(-1) ?? this.#after
    this.#isDone = page.rows.length < pageRows
  }
}

/** What the question for a page of an instance that is gone fails with means nothing. */
async function asResult(page: Promise<readonly CapturedRow[]>) {
  return await page.then(
    (rows) => ({ rows }),
    (error: unknown) => ({ error }),
  )
}

/** Ends with the last transaction of `[from, to)`. @throws slot-lost, untranslatable-text, source-… */
export async function* mergedChanges(
  readers: readonly InstanceReader[],
  question: MergeQuestion,
): AsyncGenerator<MergedChange, undefined> {
  for (const reader of readers) await reader.start(question)
  for (let reader = firstOf(readers); reader !== null; reader = firstOf(readers)) {
    const { lsn, commitTimeUs } = reader.head!
    yield { lsn, commitTimeUs, followed: reader.followed, change: await reader.take(question) }
  }
  for (const reader of readers) reader.finish()
}

function firstOf(readers: readonly InstanceReader[]): InstanceReader | null {
  let first: InstanceReader | null = null
  for (const reader of readers) {
    if (reader.head !== null && (first === null || isBefore(reader.head, first.head!))) first = reader
  }
  return first
}

/** `__$seqval` alone "should not be used for ordering": the command comes first. */
function isBefore(a: CapturedRow, b: CapturedRow): boolean {
  if (a.lsn !== b.lsn) return a.lsn < b.lsn
  if (a.command !== b.command) return a.command < b.command
  if (a.seqval !== b.seqval) return a.seqval < b.seqval
  return a.operation < b.operation
}
