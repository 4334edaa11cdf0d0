/**
 * Which rows of a table may have changed since an earlier read of it, as a consistent read can tell: net changes, no
 * transactions, no times, no states in between. What `change-contract.ts` tells is more; this is for whoever has only that.
 */

/** What an earlier read left for later ones, one for each table. Only the kind of database that gave it understands it. */
export type NetMark = string

export interface NetRow {
  /** Fields of the primary key as they stand in a line, in its order. */
  readonly key: readonly Uint8Array[]
  /** The row as this read has it, without newline; null when it has none of this key. */
  readonly line: Uint8Array | null
}

/** Why a table's net changes cannot be had, or cannot be relied on; for people. Its rows are read instead. */
export interface NetRefusal {
  readonly refused: string
}

export interface NetTable {
  /** For people, as `version 120`. */
  readonly since: string
  /** Every key whose row was inserted, updated or deleted since, and perhaps others, in no order. May be taken once. */
  readonly rows: AsyncIterable<readonly NetRow[]>
  /**
   * Asked when the last row was taken: what was told may have been cleaned away meanwhile (F15).
   * @returns how many rows the table has in this read
   */
  confirm(): Promise<number | NetRefusal>
}

/** Of one consistent read; one table after the other, and none while rows of a whole table are read. */
export interface NetChanges {
  /** By `TableInfo.name`: from where a later read can carry on. A table that has none must be read in full then. */
  readonly marks: ReadonlyMap<string, NetMark>
  /** @param mark as an earlier read of this table gave it */
  since(table: string, mark: NetMark): Promise<NetTable | NetRefusal>
}
