/**
 * What is asked of a database that has Change Tracking, and the one word that is written into it. `ask-server.ts` asks a
 * server; tests ask a model of one.
 *
 *     leave(token) ── facts ── snapshot begins ── facts ── reached(token), changes(table), …
 *
 * Facts are from learn.microsoft.com: "Work with change tracking", "Manage change tracking", "About change tracking",
 * "CHANGETABLE", "CHANGE_TRACKING_MIN_VALID_VERSION", "sys.change_tracking_tables".
 */
import type { NetRow } from '../../net-contract.ts'
import type { CatalogTable } from '../introspect.ts'

/** A row for each read that marks were wanted of. Ours, and tracked itself; `setup-sql` makes it. */
export const SEEN_TABLE = '[chartkeep].[seen]'

/** How a table is tracked, and what the rows of it hang on beside what is tracked. */
export interface Tracked {
  /** Version at which tracking began, or began anew: TRUNCATE resets it. */
  readonly begin: bigint
  readonly created: string
  readonly modified: string
  /** What holds its rows: numbers of heap or clustered index, of every partition. */
  readonly storage: string
}

export interface TrackingQuestions {
  /** By `object_id`: tables that are tracked now. Null where nothing is, or no token can be left. */
  tracked(): Promise<ReadonlyMap<string, Tracked> | null>
  /** Committed on return. */
  leave(token: string): Promise<void>

  // Within the transaction of the read.

  /**
   * A token's row, and the version of the commit that left it; null when it is not known any more: tracking was off since,
   * or it was cleaned away.
   */
  reached(token: string): Promise<{ readonly isThere: boolean; readonly version: bigint | null }>
  /** Changes behind this version are known; null when this login may not see them. */
  minValid(table: CatalogTable): Promise<bigint | null>
  /** Every key that changed behind `since`, with its row as the read has it. */
  changes(table: CatalogTable, since: bigint): AsyncIterable<readonly NetRow[]>
  count(table: CatalogTable): Promise<number>
}
