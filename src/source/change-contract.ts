/**
 * What a database tells us of its committed transactions, and what must hold for it to do so. Implemented beside
 * `contract.ts` by each kind of database; a database that tells nothing has `Source.changes` null.
 *
 * LSNs and commit times are bigints here: they are compared and subtracted, which text is not.
 */
import type { SourceIdentity } from './contract.ts'

/**
 * Stands in a line for a field that the database did not send: an unchanged large value of an updated row (F13), or what
 * is not part of the key in the row before (P1). COPY never writes these two bytes as a field.
 */
export const FIELD_NOT_SENT = '\\u'

/** A table as the stream describes it. One object for as long as the description is the same. */
export interface StreamTable {
  readonly oid: string
  /** As `TableInfo.name`. */
  readonly name: string
  /** The fields of a line: names as in `TableInfo.columns`. */
  readonly columns: readonly string[]
  /** Field numbers of the primary key, in its order. */
  readonly key: readonly number[]
}

/** Lines are as in `contract.ts`, without the newline, with as many fields as the table has columns. */
export interface RowChange {
  readonly kind: 'insert' | 'update' | 'delete' | 'truncate'
  readonly table: StreamTable
  /**
   * Of an update or a delete: the row before as far as it was sent. Of an update that leaves the key as it is, null,
   * unless the database sends whole rows.
   */
  readonly before: Uint8Array | null
  /** Of an insert or an update: the row after. */
  readonly after: Uint8Array | null
}

export interface CapturedTransaction {
  /**
   * As the stream names it; PostgreSQL: 32 bits, the top-level transaction's. 0 where transactions have no number of
   * their own: then `commitLsn` is it, and a read has exactly those that commit before its position.
   */
  readonly xid: number
  /** Of the commit record. Transactions are delivered in this order. */
  readonly commitLsn: bigint
  /** Behind the commit record. */
  readonly endLsn: bigint
  /** Microseconds since 1970, by the source's clock. */
  readonly commitTimeUs: bigint
  /**
   * What chartkeep wrote into the stream from within this transaction, or null: `changeset <id>` of a restore (P21), and
   * behind it, where transactions have no number, `AppliedTransaction.id`.
   */
  readonly mark: string | null
  /**
   * 0 of a request for a seal, of a bare mark, and on PostgreSQL 13 of what touched other tables only.
   * Null where a large transaction is told while it is read.
   */
  readonly changeCount: number | null
  /** Row text of all changes; null as above. */
  readonly textBytes: number | null
  /** In the order in which they were made; large transactions come from a file (P14). May be read once. */
  readonly changes: AsyncIterable<readonly RowChange[]>
}

export type StreamEvent =
  | { readonly kind: 'transaction'; readonly transaction: CapturedTransaction }
  /** Everything committed before `lsn` has been delivered; sent when the server says so, also of an idle database. */
  | { readonly kind: 'position'; readonly lsn: bigint }
  /** Somebody called `requestSeal`: what was delivered so far is wanted in the repository now. Implies the position. */
  | { readonly kind: 'seal-requested'; readonly lsn: bigint }

export interface ChangeStream extends AsyncDisposable {
  readonly identity: SourceIdentity
  /** Ends by an error, or when the signal given to `openStream` fires (with its reason). Slow readers slow the server. */
  events(): AsyncIterable<StreamEvent>
  /**
   * What ends at or before `lsn` is durable elsewhere and need not be sent again (I5). Nothing else ever confirms
   * anything. Told to the server within a second.
   */
  confirm(lsn: bigint): void
}

/** How finely a table's past can be told. */
export interface TableCapture {
  /** As `TableInfo.name`. */
  readonly table: string
  /** `transaction`: its changes are in the stream. `snapshot`: it has to be read in full at each snapshot. */
  readonly resolution: 'transaction' | 'snapshot'
  /** Why not `transaction`, for people: `no primary key`, `deferrable primary key`, `not in publication …`. */
  readonly reason: string | null
  /** What the DBA would have to run to change it, or null where nothing helps. Never run by us. */
  readonly remedySql: string | null
}

export interface CapturePlan {
  /** Why nothing can be captured at all, or null. */
  readonly obstacle: { readonly reason: string; readonly remedySql: string | null } | null
  /** One for each table asked about, in order. */
  readonly tables: readonly TableCapture[]
  /** What is published although capture does not want it: F34 and F44 lie there. */
  readonly dangers: readonly { readonly table: string; readonly reason: string; readonly remedySql: string }[]
}

export interface SlotStart {
  /** Transactions that commit at or behind it are delivered. */
  readonly startLsn: bigint
  /**
   * Decimal, 64 bits: transactions below it began before the slot was ready. A read whose `pg_snapshot` still waits for
   * one of them cannot be handed over to this slot: that one may have written its commit record before `startLsn`
   * without being visible yet (P3).
   */
  readonly xidHorizon: string
}

export interface SlotState {
  readonly active: boolean
  /** `reserved`, `extended`, `unreserved`, `lost`; or, where a version says why, `lost: <reason>`. */
  readonly walStatus: string
  readonly confirmedLsn: bigint | null
  /** WAL that the server keeps for the slot. */
  readonly retainedBytes: bigint
  /** What is left until the server drops the slot's WAL, or null where no limit is set (P12). */
  readonly safeBytes: bigint | null
  readonly catalogXminAge: number
}

/**
 * What the rows' text and existence hang on besides the changes in the stream (P2, P7). Two fingerprints of a table that
 * are equal: nothing happened to it between them that the stream did not tell.
 */
export interface CatalogFingerprint {
  /** Over everything below. */
  readonly digest: string
  /** By `TableInfo.name`: hex digests. Every table of the database that could be captured. */
  readonly tables: ReadonlyMap<string, string>
  /** Read before anything else of it: the fingerprint speaks of this moment or a later one. */
  readonly lsn: bigint
  /** Just before that, by the database's clock, in microseconds since 1970; null where it does not say. */
  readonly timeUs: bigint | null
}

export interface StreamOptions {
  readonly slot: string
  readonly tables: readonly string[]
  /** Where large transactions wait for their commit; encrypted under a key that dies with the process. */
  readonly spillDirectory: string
  readonly signal: AbortSignal
  /** Silence of the server beyond this is an error (F31): a server that is alive says so in between. */
  readonly silenceMaxMs: number
}

export interface ChangeSource {
  /**
   * @param tables as `TableInfo.name`
   * @param options `allowsUnlimitedSlot`: a server that sets slots no limit is no obstacle (P12)
   */
  plan(tables: readonly string[], options?: { readonly allowsUnlimitedSlot?: boolean }): Promise<CapturePlan>
  /** @throws slot-exists, missing-rights, source-failed (within `lockTimeoutMs`, P12) */
  createSlot(
    slot: string,
    options: { readonly lockTimeoutMs: number; readonly signal: AbortSignal },
  ): Promise<SlotStart>
  /** Null when there is none of that name. */
  slotState(slot: string): Promise<SlotState | null>
  /** Only ever our own (P12). No error when it is not there. */
  dropSlot(slot: string): Promise<void>
  /**
   * Begins where the server says the slot stands: what was not confirmed is delivered again (P5).
   * @throws slot-missing, slot-lost, slot-in-use, missing-rights, source-…
   */
  openStream(options: StreamOptions): Promise<ChangeStream>
  fingerprint(): Promise<CatalogFingerprint>
  /**
   * Asks whoever follows the stream for a seal, and keeps an idle slot moving: it is delivered as a transaction without
   * changes, behind which the one before can be confirmed (P5, P12), and then as `seal-requested`. PostgreSQL 13 tells
   * no requests, only the transaction, among the other empty ones.
   * @returns a position that the answer must reach
   */
  requestSeal(): Promise<bigint>
  /** A transaction's number taken now, decimal, 64 bits: whatever has written before has a lower one. */
  xidHorizon(): Promise<string>
  /** The timelines that led here, oldest first, and where each ended: a standby that took over may lack what we hold (P5). */
  timelines(): Promise<readonly { readonly timeline: number; readonly forkLsn: bigint }[]>
}
