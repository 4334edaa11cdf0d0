/**
 * Appends segments to a log. What is given is encoded, decoded and compared before it is sent (F27); put under the next
 * number, which the store gives once; and looked for afterwards. Only then does the head move, and may a position be
 * confirmed to the database (I5).
 *
 *     draft ─→ fits behind the head? ─→ encode ─→ decode, compare ─→ seal ─→ put ─→ is it there, is it ours? ─→ head
 */
import { assert, Failure } from '../../errors.ts'
import type { Repository } from '../repository.ts'
import type { LoggedTransaction } from './change.ts'
import { tablesClosedBy } from './closed-tables.ts'
import { type LogStart, type LogStartDraft, readLogStart, writeLogStart } from './log-start.ts'
import { assertDecodesTo, encodeBody, joinSegment, orderProblem, textBytesOf } from './segment-codec.ts'
import type { SegmentHeader, TableClosing } from './segment-header.ts'
import { hexDigest, type SegmentHead, SegmentStore } from './segment-store.ts'

/** Far above what a segment should hold, far enough below what a sealed object may: a single row can be large. */
const TEXT_BYTES_MAX = 400 * 1024 * 1024

export interface SegmentDraft {
  /** Every transaction that ends at or before it is in the log once this segment is: never below the head's. */
  readonly end: bigint
  /** ISO 8601. */
  readonly sealedAt: string
  /** Null where nobody else can write. */
  readonly leaseToken: number | null
  /** Of the server that sent it; null where nobody asked. */
  readonly timeline?: number | null
  readonly transactions: readonly LoggedTransaction[]
  /** The first one began in the segment before. */
  readonly continues: boolean
  /** The last one goes on in the next segment. */
  readonly unfinished: boolean
  /** Read after everything in the segment had been received; null when nobody looked. */
  readonly fingerprint: {
    readonly digest: string
    readonly lsn: bigint
    /** By the database's clock, when it stood there or before; null where nobody asked. */
    readonly timeUs?: bigint | null
    readonly tables: ReadonlyMap<string, string>
  } | null
  /** What else puts an end to a table's past. Tables whose fingerprint changed are added by `append`. */
  readonly closed: readonly TableClosing[]
}

/** What the end of a log is; of an empty one, its start. */
export interface LogHead {
  /** Null as long as there is none. */
  readonly segment: SegmentHead | null
  readonly end: bigint
  /** Of the last catalog that somebody looked at. */
  readonly fingerprint: ReadonlyMap<string, string>
}

interface LogWorld {
  readonly nowMs: () => number
  readonly random: (bytes: number) => Uint8Array
}

export class ChangeLogWriter {
  readonly start: LogStart
  readonly #segments: SegmentStore
  readonly #conditionalPut: boolean
  #head: LogHead

  private constructor(repository: Repository, start: LogStart, head: LogHead) {
    this.start = start
    this.#segments = new SegmentStore(repository.sealed, start.logId)
    this.#conditionalPut = repository.store.capabilities.conditionalPut
    this.#head = head
  }

  /** A new log; durable on return. @throws store-… */
  static async begin(repository: Repository, start: LogStartDraft, world: LogWorld): Promise<ChangeLogWriter> {
    const written = await writeLogStart(repository, start, world)
    return new ChangeLogWriter(repository, written, emptyHead(written))
  }

  /** Behind the newest segment. @throws object-missing, repository-damaged, repository-format, store-… */
  static async resume(repository: Repository, logId: string): Promise<ChangeLogWriter> {
    const start = await readLogStart(repository, logId)
    const segments = new SegmentStore(repository.sealed, logId)
    const newest = await segments.newest()
    const head = newest < 0 ? emptyHead(start) : await readHead(segments, start, newest)
    return new ChangeLogWriter(repository, start, head)
  }

  get head(): LogHead {
    return this.#head
  }

  /**
   * Durable on return. After any error but `store-…` the writer is of no more use. After one of those the same draft may
   * be given again: if it had arrived after all, that counts.
   * @throws lease-lost when somebody else wrote the next segment; cannot-capture for a row too large to be kept;
   * store-…; defect when the draft does not fit
   */
  async append(draft: SegmentDraft): Promise<SegmentHead> {
    const { body, header } = this.#headerOf(draft)
    const plain = joinSegment(header, body)
    assertDecodesTo(plain, draft.transactions)
    const head: SegmentHead = { header, sha256: hexDigest(plain) }
    await this.#assertNotOverwritten()
    await this.#put(head, plain)
    const fingerprint = draft.fingerprint?.tables ?? this.#head.fingerprint
    this.#head = { segment: head, end: header.end, fingerprint }
    return head
  }

  #headerOf(draft: SegmentDraft): { body: Uint8Array; header: SegmentHeader } {
    const { segment: before, end: start, fingerprint: known } = this.#head
    const previous = before?.header ?? null
    assert(!draft.continues || previous?.unfinished === true, 'only an unfinished transaction can be continued')
    const token = previous?.leaseToken ?? null
    if (token !== null && (draft.leaseToken === null || draft.leaseToken < token)) throw fenced(this.start.logId, token)
    const bytes = textBytesOf(draft.transactions)
    if (bytes > TEXT_BYTES_MAX) throw tooLarge(bytes, draft.transactions)
    const { counts, body } = encodeBody(draft.transactions)
    const problem = orderProblem({ ...draft, start }, draft.transactions)
    assert(problem === null, `a new segment ${problem}`)

    const number = previous === null ? 0 : previous.number + 1
    const { fingerprint } = draft
    const changed = fingerprint ? tablesClosedBy(known, fingerprint.tables) : []
    const others = draft.closed.filter(({ table }) => !changed.some((found) => found.table === table))
    const closed = [...changed, ...others]
    const listsTables = changed.length > 0
    const header: SegmentHeader = {
      logId: this.start.logId,
      number,
      sourceName: this.start.sourceName,
      previous: before?.sha256 ?? null,
      start,
      end: draft.end,
      sealedAt: draft.sealedAt,
      leaseToken: draft.leaseToken,
      timeline: draft.timeline ?? null,
      ...counts,
      maxCommitTimeUs: latest(previous?.maxCommitTimeUs ?? null, draft.transactions),
      continues: draft.continues,
      unfinished: draft.unfinished,
      fingerprint: fingerprint && {
        ...fingerprint,
        timeUs: fingerprint.timeUs ?? null,
        tables: listsTables ? fingerprint.tables : null,
      },
      fingerprintIn: listsTables ? number : (previous?.fingerprintIn ?? null),
      closed,
      lastClosed: closed.length > 0 ? number : (previous?.lastClosed ?? null),
    }
    return { body, header }
  }

  async #put(head: SegmentHead, plain: Uint8Array): Promise<void> {
    const { number } = head.header
    try {
      await this.#segments.put(number, plain)
    } catch (error) {
      if (!(error instanceof Failure && error.code === 'object-exists')) throw error
      // It may be ours, of a put whose answer got lost.
      if (!(await this.#isOurs(head))) throw overtaken(this.#segments.nameOf(number), error)
    }
    if (!this.#conditionalPut && !(await this.#isOurs(head))) throw overtaken(this.#segments.nameOf(number))
    if (!(await this.#segments.stat(number))) throw storeLied(this.#segments.nameOf(number))
  }

  /** Where the store lets two writers put one name, the second takes the first one's place unseen (F18). */
  async #assertNotOverwritten(): Promise<void> {
    const { segment } = this.#head
    if (this.#conditionalPut || segment === null) return
    if (!(await this.#isOurs(segment))) throw overtaken(this.#segments.nameOf(segment.header.number))
  }

  async #isOurs({ header, sha256 }: SegmentHead): Promise<boolean> {
    const { number } = header
    try {
      return this.#segments.open(number, await this.#segments.fetch(number)).sha256 === sha256
    } catch (error) {
      if (error instanceof Failure && error.code === 'object-missing')
        throw storeLied(this.#segments.nameOf(number), error)
      throw error
    }
  }
}

function emptyHead(start: LogStart): LogHead {
  return { segment: null, end: start.startLsn, fingerprint: start.fingerprint.tables }
}

async function readHead(segments: SegmentStore, start: LogStart, number: number): Promise<LogHead> {
  const segment = await segments.readHead(number)
  return {
    segment,
    end: segment.header.end,
    fingerprint: await readFingerprint(segments, start, segment.header),
  }
}

/** The tables' fingerprints as of a segment. @throws object-missing, repository-damaged, store-… */
export async function readFingerprint(
  segments: SegmentStore,
  start: LogStart,
  header: SegmentHeader,
): Promise<ReadonlyMap<string, string>> {
  const { fingerprintIn } = header
  if (fingerprintIn === null) return start.fingerprint.tables
  const holder = fingerprintIn === header.number ? header : (await segments.readHead(fingerprintIn)).header
  if (holder.fingerprint?.tables) return holder.fingerprint.tables
  const name = segments.nameOf(fingerprintIn)
  throw new Failure('repository-damaged', `object ${name} does not list the fingerprints that ${header.number} names`, {
    context: { object: name },
  })
}

function latest(before: bigint | null, transactions: readonly LoggedTransaction[]): bigint | null {
  return transactions.reduce<bigint | null>(
    (most, { commitTimeUs }) => (most === null || commitTimeUs > most ? commitTimeUs : most),
    before,
  )
}

function overtaken(name: string, cause?: unknown): Failure {
  return new Failure('lease-lost', `object ${name} was written by somebody else`, {
    context: { object: name },
    hints: ['Only one agent may capture a source. Stop the other one, then run `chartkeep capture` again.'],
    cause,
  })
}

/** Transactions are cut into parts long before: what is left is one row. */
function tooLarge(bytes: number, transactions: readonly LoggedTransaction[]): Failure {
  const tables = [...new Set(transactions.flatMap(({ changes }) => changes.map(({ table }) => table.name)))].sort()
  return new Failure('cannot-capture', `a change of ${tables.join(', ')} has ${bytes} bytes of text`, {
    context: { bytes, most: TEXT_BYTES_MAX },
    hints: ['Take the table out of the publication: its rows are then read in full at each snapshot.'],
  })
}

function fenced(logId: string, token: number): Failure {
  return new Failure('lease-lost', `change log ${logId} goes on under lease ${token}, which is not ours`, {
    context: { logId, token },
    hints: ['Only one agent may capture a source. Stop the other one, then run `chartkeep capture` again.'],
  })
}

function storeLied(name: string, cause?: unknown): Failure {
  return new Failure('store-lied', `the store confirmed object ${name}, which is not there`, {
    context: { object: name },
    hints: ['Run `chartkeep store probe`: a store that loses what it confirmed cannot hold a repository.'],
    cause,
  })
}
