/**
 * What is asked of a database that has change data capture (CDC), and what is written into the two tables of ours in it.
 * `ask-server.ts` asks a server; tests ask a model of one. Nothing above it knows any SQL of the kind.
 *
 *     commit ─→ transaction log ─→ capture job, some seconds later ─→ change tables ─→ pages, in order of commit
 *
 * Facts are from learn.microsoft.com: "What is change data capture (CDC)?", "cdc.<capture_instance>_CT",
 * "cdc.change_tables", "cdc.lsn_time_mapping", "sys.sp_cdc_enable_table", "Known issues and errors with CDC".
 */
import type { SourceIdentity } from '../../contract.ts'
import type { Field } from '../connect.ts'
import type { CatalogTable } from '../introspect.ts'
import type { CdcLsn } from './lsn.ts'

/** Of the schema that `setup-sql` makes; its tables are ours and are not backed up. */
export const MARK_TABLE = '[chartkeep].[mark]'
export const SLOT_TABLE = '[chartkeep].[slot]'

/** What holds of the database as a whole. */
export interface CdcFacts {
  /** Express and Web have no change data capture. */
  readonly edition: string
  readonly hasCdc: boolean
  readonly isEnabled: boolean
  /** Accelerated database recovery. */
  readonly hasAdr: boolean
  readonly isWritable: boolean
  readonly collation: string | null
  /** Bytes of a large value that a statement may write into a table under CDC before it fails; null: no limit. */
  readonly largeValueBytesMax: number | null
  /** Both tables are there and this login may write them. */
  readonly mayMark: boolean
}

export interface CdcTable {
  readonly table: CatalogTable
  /** As the catalogs print it: when it was made, and when it was last altered. */
  readonly created: string
  readonly modified: string
  /** What holds its rows: numbers of heap or clustered index, of every partition. */
  readonly storage: string
  readonly isPartitioned: boolean
}

export interface CaptureInstance {
  readonly name: string
  /** `object_id` of the change table: another one is another instance, whatever its name. */
  readonly changeTable: string
  /** `object_id` of the table that is followed. */
  readonly sourceTable: string
  readonly created: string
  /** Changes from here on are in the change table; null: the capture job has not begun with it. */
  readonly low: CdcLsn | null
  /** Captured columns with their types, by their ordinal, beginning at 1. */
  readonly columns: readonly { readonly name: string; readonly type: string; readonly ordinal: number }[]
  /** `SWITCH` may move rows in and out, of which no change tells. */
  readonly allowsSwitch: boolean
  /** Without it, changes of a transaction have no order that holds. */
  readonly hasCommandId: boolean
}

/** A table that is followed by one of its instances. */
export interface Followed {
  readonly instance: CaptureInstance
  readonly table: CatalogTable
}

/** A place within the changes of one instance: behind the row that it names. */
export interface ChangeCursor {
  readonly lsn: CdcLsn
  readonly command: number
  readonly seqval: CdcLsn
  readonly operation: number
}

/** 1 delete, 2 insert, 3 and 4 the row before and after an update. */
export interface CapturedRow extends ChangeCursor {
  /** Microseconds since 1970. */
  readonly commitTimeUs: bigint
  /** Of `table.captured`, as `read-table.ts` gives them. */
  readonly fields: readonly Field[]
  /** Large fields that the update left as they were. */
  readonly unchanged: readonly number[]
  /** Text of it has bytes that its code page has no character for. */
  readonly isBent: boolean
}

export interface CapturedSpan {
  readonly oldestSeconds: number
  readonly newestSeconds: number
}

export interface PageQuestion {
  readonly followed: Followed
  /** Rows whose transaction commits in `[from, to)`, behind `after`. */
  readonly from: CdcLsn
  readonly to: CdcLsn
  readonly after: ChangeCursor | null
  readonly limit: number
}

/** Which way the database's log has come: a restore to an earlier moment begins a new fork. */
export interface Recovery {
  readonly fork: string
  readonly firstFork: string
  readonly forkPoint: CdcLsn | null
}

/** A row of ours in the database: how far a change log has got. Travels with backups of the database. */
export interface SlotRow {
  readonly confirmed: bigint
  /** By change table: where its instance began when it was first followed. */
  readonly followed: Readonly<Record<string, CdcLsn>>
}

export interface CdcQuestions extends AsyncDisposable {
  identify(): Promise<SourceIdentity>
  facts(): Promise<CdcFacts>
  tables(): Promise<readonly CdcTable[]>
  instances(): Promise<readonly CaptureInstance[]>
  recovery(): Promise<Recovery>
  /** By the server's clock, microseconds since 1970. */
  nowUs(): Promise<bigint>
  /** The last commit that the capture job has gone through, or null before its first. */
  captured(): Promise<CdcLsn | null>
  /** The last of them that ended at least so long ago by the server's clock. */
  capturedBefore(seconds: number): Promise<CdcLsn | null>
  /** How long ago, in seconds, the oldest and the newest commit ended that the change tables know of; null before the first. */
  span(): Promise<CapturedSpan | null>
  /** In order of `ChangeCursor`. An instance that is gone has none. */
  page(question: PageQuestion): Promise<readonly CapturedRow[]>
  /** Commits a word of ours, which is a change of the mark table. */
  mark(token: string): Promise<void>
  /** Its commit, once the capture job has come to it. */
  markedAt(token: string, from: CdcLsn): Promise<CdcLsn | null>
  readSlot(slot: string): Promise<SlotRow | null>
  /** @returns false when there is one */
  createSlot(slot: string, row: SlotRow): Promise<boolean>
  writeSlot(slot: string, row: SlotRow): Promise<void>
  dropSlot(slot: string): Promise<void>
  /** For as long as this connection lives. @returns false when another holds it */
  hold(slot: string): Promise<boolean>
  isHeld(slot: string): Promise<boolean>
}
