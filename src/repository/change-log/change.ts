/** A captured transaction as the change log holds it. Which database it came from does not matter here. */

/**
 * Stands in a line for a field that is not known: unchanged in an updated row, or no part of the key in the row before.
 * COPY never writes these two bytes as a field.
 */
export const FIELD_NOT_SENT = '\\u'

export interface LogTable {
  readonly oid: string
  readonly name: string
  readonly columns: readonly string[]
  /** Field numbers of the primary key, in its order. */
  readonly key: readonly number[]
}

/** Lines have no newline, and as many fields as the table has columns. */
export interface LoggedChange {
  readonly kind: 'insert' | 'update' | 'delete' | 'truncate'
  readonly table: LogTable
  /** Of an update that changes the key, and of a delete: the row before, `FIELD_NOT_SENT` where it was not sent. */
  readonly before: Uint8Array | null
  readonly after: Uint8Array | null
}

export interface TransactionStamp {
  /** 32 bits. */
  readonly xid: number
  readonly commitLsn: bigint
  readonly endLsn: bigint
  /** Microseconds since 1970, by the source's clock. */
  readonly commitTimeUs: bigint
  /** `changeset <id>`, or `changeset <id> <transaction>`, where chartkeep itself wrote it; or null. */
  readonly mark: string | null
}

/** A whole transaction, or a part of one that is too large for one segment: all parts carry the same stamp. */
export interface LoggedTransaction extends TransactionStamp {
  readonly changes: readonly LoggedChange[]
}

/** A transaction, or a part of one, without what it changed. */
export interface StampedPart extends TransactionStamp {
  readonly segment: number
  /** The first part, or the whole. */
  readonly begins: boolean
  /** The last part, or the whole. */
  readonly ends: boolean
}

export interface LoggedPart extends StampedPart, LoggedTransaction {}
