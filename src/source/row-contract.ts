/**
 * A few rows of a live database, looked up by what stands in them: one patient's, where `contract.ts` reads whole tables.
 * Lines and fields are as there: COPY text, escapes included.
 */
import type { ReadPosition, SchemaInfo, SourceIdentity, TableInfo } from './contract.ts'

export interface RowQuery {
  readonly table: TableInfo
  /** The fields of the lines that are wanted, of the table's captured columns. */
  readonly columns: readonly string[]
  /** Rows whose `columns` together equal one of `values`, by the database's own operator (P16). None of them is NULL. */
  readonly where: {
    readonly columns: readonly string[]
    readonly values: QueryValues
    /** They are the table's primary keys of rows that stood beside each other: no row fits two of them. */
    readonly areKeys?: boolean
  }
}

/** As an array has them: of fifty thousand keys, those are made that the next statement names. */
export interface QueryValues {
  readonly length: number
  slice(start?: number, end?: number): readonly (readonly Uint8Array[])[]
  /** One field of each of `[start, end)`, in order: where no view of each need be made. */
  each?(position: number, start: number, end: number, take: TakeField): void
}

/** The field is `bytes[start, end)`, and stays where it is. */
export type TakeField = (bytes: Uint8Array, start: number, end: number) => void

/** Everything as of one moment. */
export interface LiveRows extends AsyncDisposable {
  readonly identity: SourceIdentity
  readonly position: ReadPosition
  readonly schema: SchemaInfo
  /**
   * Lines without their newline, in no order; a row that several values fit comes once.
   * @throws missing-rights, rows-hidden, schema-changed, source-…
   */
  rows(query: RowQuery): Promise<Buffer[]>
}

export interface LiveRowsOptions {
  readonly signal: AbortSignal
  /** How long any one statement may wait for a lock. */
  readonly lockTimeoutMs: number
}

/** What is to be counted: rows of one table, by the month of a column. */
export interface MonthCount {
  readonly sqlName: string
  /** Null: all rows count under `-`. */
  readonly column: string | null
  readonly hasZone: boolean
  /** Added to UTC where the column has a zone. */
  readonly utcOffsetMinutes: number
}

/** One row to be written. Keys and lines are of the table's captured columns that `columns` names, in that order. */
export interface RowEdit {
  readonly kind: 'insert' | 'update' | 'delete'
  readonly table: TableInfo
  readonly columns: readonly string[]
  /** The row as it must be found now, or null where no row of this key may be there. */
  readonly present: Buffer | null
  /** The row as it is to be, or null for a deletion. */
  readonly future: Buffer | null
}

export interface ApplyRequest {
  /** The database that the plan was made for: any other is refused, on the very connection that writes (F19). */
  readonly expected: Pick<SourceIdentity, 'engine' | 'systemId' | 'databaseOid' | 'databaseName'>
  readonly edits: readonly RowEdit[]
  /** One restore of a patient at a time: a number that is the patient's; of each of them, where there are two. */
  readonly patientLocks: readonly bigint[]
  /** Stands in the change log beside our own transaction (P21). */
  readonly mark: string
  /** What the application's sessions find names by: its triggers run in ours. */
  readonly searchPath: string
  /** `table.column`: what triggers are allowed to make of a row beside what the plan says. */
  readonly triggerColumns: ReadonlySet<string>
  readonly lockTimeoutMs: number
  readonly statementTimeoutMs: number
  readonly signal: AbortSignal
  /** Called when every row was found as it must be, before anything is written: what undoes it must be durable on return. */
  readonly beforeWriting: (transaction: AppliedTransaction) => Promise<void>
}

export interface AppliedTransaction {
  /** PostgreSQL: `pg_current_xact_id()`, decimal, 64 bits. By it the outcome is found out when the connection is lost (P18). */
  readonly id: string
  readonly identity: Pick<SourceIdentity, 'engine' | 'systemId' | 'timeline' | 'databaseOid'>
}

export interface AppliedRows {
  readonly transaction: AppliedTransaction
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  /** `table.column` with how many rows triggers changed there, within `triggerColumns`. */
  readonly triggered: ReadonlyMap<string, number>
  /**
   * Rows that were written beside the plan's, by table: by triggers, or what they called. Null when the server does not
   * count what is written (track_counts).
   */
  readonly sideEffects: ReadonlyMap<string, WrittenCounts> | null
}

export interface WrittenCounts {
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
}

/** Where what a changeset says about a transaction can be asked for. */
export type TransactionOutcome = 'committed' | 'rolled back' | 'in progress' | 'unknown'
