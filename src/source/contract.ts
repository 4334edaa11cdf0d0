/**
 * What a database gives us and takes back. Each kind of database implements this in a folder of its own with the same
 * file names; nothing outside `src/source` asks which kind it is: what differs is in `SourceCapabilities`.
 *
 * A row travels as one line of bytes: the fields of the named columns in COPY text form, separated by tabs, without
 * the final newline (docs/FORMAT.md, "Rows"). Fields never contain a raw tab, newline or carriage return; NULL is `\N`.
 */
import type { Failure } from '../errors.ts'
import type { ChangeSource } from './change-contract.ts'
import type { NetChanges } from './net-contract.ts'

/** How to reach a database. Serialisable: workers get it by structured clone. The password never is in `url`. */
export interface ConnectionSettings {
  readonly url: string
  readonly password?: string
  /** PEM of the authority that signed the server's certificate. */
  readonly caPem?: string
  /** PostgreSQL: the publication that capture reads from; `chartkeep` when not given. */
  readonly publication?: string
}

export interface SourceCapabilities {
  /** Schema changes take part in transactions, so that a failed rebuild leaves nothing behind. */
  readonly transactionalDdl: boolean
  /** Several connections can read at one position. */
  readonly sharedSnapshot: boolean
}

/** Which history positions belong to (I6). Positions of different identities do not compare. */
export interface SourceIdentity {
  readonly engine: 'postgresql' | 'sqlserver'
  /** PostgreSQL: system identifier. */
  readonly systemId: string
  readonly timeline: number
  readonly databaseOid: string
  readonly databaseName: string
  readonly serverVersion: string
  /** For example 150018. */
  readonly serverVersionNumber: number
  /** The encoding in which lines arrive, by PostgreSQL's name for it. UTF8 unless the database is not. */
  readonly encoding: string
}

/** Where in the history of a source a consistent read stands. */
export interface ReadPosition {
  /** PostgreSQL: LSN as `16/B3772A10`. For people and for lag; it does not decide what a read contains. */
  readonly lsn: string
  /** PostgreSQL: `pg_current_snapshot()` as `xmin:xmax:xip,…`. Decides which transactions the read contains (P3). */
  readonly visible: string
  /** The source's own clock, ISO 8601 with microseconds, UTC. */
  readonly sourceTime: string
}

export interface ColumnInfo {
  readonly name: string
  /** As the database prints it, for example `numeric(10,2)`, `timestamp with time zone`, `public.sex`. */
  readonly type: string
  readonly notNull: boolean
}

export interface ForeignKey {
  readonly name: string
  readonly columns: readonly string[]
  /** Qualified name of the table pointed to, as `TableInfo.name`. */
  readonly references: string
  readonly referencedColumns: readonly string[]
  readonly validated: boolean
}

/** A table that holds rows: an ordinary table or a leaf partition. Partitioned parents hold none and are not listed. */
export interface TableInfo {
  /** `schema.table`, each part quoted only where the database would need quotes. The table's name everywhere in chartkeep. */
  readonly name: string
  /** The same, always quoted, for statements. */
  readonly sqlName: string
  readonly oid: string
  /** Qualified name of the topmost partitioned table this is a leaf of, or null. */
  readonly partitionOf: string | null
  /** Captured columns in physical order: the fields of a line. Generated columns are not captured (I10). */
  readonly columns: readonly ColumnInfo[]
  readonly generatedColumns: readonly string[]
  /** Column names; empty when the table has no primary key. */
  readonly primaryKey: readonly string[]
  readonly uniqueKeys: readonly (readonly string[])[]
  readonly foreignKeys: readonly ForeignKey[]
  readonly unlogged: boolean
  readonly estimatedRows: number
  readonly estimatedBytes: number
  /** The table's comment, if any: often the only place where a hospital's table says what it is. */
  readonly comment: string | null
}

export interface SequenceInfo {
  readonly name: string
  readonly sqlName: string
  /** Decimal text: sequences reach beyond 2^53. */
  readonly lastValue: string
  readonly isCalled: boolean
}

/** Something in the database that a snapshot does not hold (I10). */
export interface NotCaptured {
  /** For example `large objects`, `generated column`, `foreign table`, `subscription`. */
  readonly kind: string
  readonly name: string
  readonly reason: string
  readonly count?: number
}

export interface SchemaInfo {
  /** Sorted by name. */
  readonly tables: readonly TableInfo[]
  readonly sequences: readonly SequenceInfo[]
  readonly notCaptured: readonly NotCaptured[]
}

/**
 * One statement (or an indivisible group) of the schema's rebuilding.
 * `before-rows` in the given order; then rows; then every `key-or-index` in any order, in parallel; then `attach`,
 * `foreign-key` (any order, in parallel) and `after` in the given order.
 */
export interface DdlStep {
  readonly phase: 'before-rows' | 'key-or-index' | 'attach' | 'foreign-key' | 'after'
  /** What it makes, for progress and errors, for example `INDEX public.vital_sign_stay_id_idx`. */
  readonly object: string
  readonly sql: string
}

export interface SchemaDdl {
  /** What wrote it: `pg_dump 15.18` or `chartkeep`. */
  readonly origin: string
  readonly steps: readonly DdlStep[]
  /** Kinds of object found in the database that these statements do not carry. */
  readonly notCarried: readonly NotCaptured[]
}

export interface ReadOptions {
  readonly tables: readonly string[]
  readonly signal: AbortSignal
  /** How long taking the read's locks may wait before giving up. */
  readonly lockTimeoutMs: number
  /** Whether `ConsistentRead.netChanges` is wanted: leaving marks for a later read may mean writing a word into the database. */
  readonly netChanges?: boolean
}

/** Serialisable; whoever holds it can read one table of the consistent read from another thread. */
export interface ReadTicket {
  readonly engine: SourceIdentity['engine']
  readonly connection: ConnectionSettings
  /** PostgreSQL: the exported snapshot's name. */
  readonly snapshot: string
  readonly encoding: string
}

/** One table as a worker reads it. `oid` and `storage` are verified under the lock (P4). */
export interface TableTicket {
  readonly name: string
  readonly sqlName: string
  readonly oid: string
  /** PostgreSQL: relfilenode as the snapshot saw it. */
  readonly storage: string
  readonly columns: readonly string[]
}

/**
 * All tables as of one position. Locks were taken before the snapshot (P4) and are held until disposal. When anybody
 * in the application waits for us, `yielded` fires within 200 ms and everything is released (P11): reads in progress
 * then fail with `yielded-to-application`.
 */
export interface ConsistentRead extends AsyncDisposable {
  readonly identity: SourceIdentity
  readonly position: ReadPosition
  readonly ticket: ReadTicket
  /** As of the same snapshot; only the tables asked for, in the order of their names. */
  readonly schema: SchemaInfo
  /** Every table that holds rows, asked for or not, as of the same snapshot. */
  readonly visibleTables: readonly Pick<TableInfo, 'oid' | 'name'>[]
  readonly tableTickets: readonly TableTicket[]
  readonly yielded: AbortSignal
  /** Absent where it was not asked for, and where this database tells none. */
  readonly netChanges?: NetChanges
  /** The whole database's schema, as of the same snapshot. */
  readDdl(): Promise<SchemaDdl>
}

export interface Source extends AsyncDisposable {
  readonly capabilities: SourceCapabilities
  identify(): Promise<SourceIdentity>
  /** All tables that could be captured, without locks; sequences' values are read here too. */
  introspect(): Promise<SchemaInfo>
  openRead(options: ReadOptions): Promise<ConsistentRead>
  /** For `discover`: facts about columns that need a look at rows. Values never leave it. */
  readonly profile: SourceProfile
  /** Null for a kind of database whose changes cannot be followed. */
  readonly changes: ChangeSource | null
}

export interface SourceProfile {
  /**
   * Of up to `sampleRows` non-null distinct values of `column`, the share found among `referenced`, in [0, 1];
   * null when the column has no values, or the types cannot be compared.
   */
  containedShare(column: ColumnRef, referenced: ColumnRef, sampleRows: number): Promise<number | null>
  /** Whether the non-null values of a sample are distinct. */
  looksUnique(column: ColumnRef, sampleRows: number): Promise<boolean>
}

export interface ColumnRef {
  /** `TableInfo.sqlName`. */
  readonly sqlName: string
  readonly column: string
}

/**
 * Buffers of whole or partial lines as the database sends them; concatenated they are lines, each ended by one 0x0A. Each
 * is a view, gone when the next is asked for.
 * Opens its own connection, joins the ticket's snapshot, verifies the table (P4), and closes when done or abandoned.
 * @throws schema-changed, rows-hidden, missing-rights, untranslatable-text, source-failed
 */
export type ReadTable = (ticket: ReadTicket, table: TableTicket, signal: AbortSignal) => AsyncIterable<Uint8Array>

/** A database to rebuild into. */
/** What puts a check back that was taken off. */
export interface LoosenedCheck {
  /** As statements name it. */
  readonly table: string
  readonly name: string
  readonly definition: string
}

/** Checks that rows break which are loaded: they give way, and come back. */
export interface TargetChecks {
  isBroken(failure: Failure): boolean
  /** Takes the checks off a table. @param table its `sqlName` */
  loosen(table: string): Promise<readonly LoosenedCheck[]>
  /** Puts them back when all rows are there: for the rows to come only, and into `skipped`, where those break them. */
  tighten(checks: readonly LoosenedCheck[]): Promise<void>
}

export interface Target extends AsyncDisposable {
  identify(): Promise<SourceIdentity>
  /**
   * I8.
   * @throws target-not-empty, target-is-source
   */
  assertUsable(source: SourceIdentity): Promise<void>
  /**
   * Runs steps one after the other, in one transaction where the database can. Errors name the step's object. Owners
   * and grants that this server cannot give, for want of a role or a right, go to `skipped` and fail nothing; so do
   * constraints that the rows break, but for primary keys, and what needs something of `notMade`.
   */
  runSteps(steps: readonly DdlStep[], notMade?: readonly NotCaptured[]): Promise<void>
  /** Absent where rows are loaded past checks. */
  readonly checks?: TargetChecks
  /**
   * `name` or `sqlName` of the table on whose rows a key or an index stands, so that it can be built as soon as they are
   * there; null when that cannot be told.
   */
  tableOf(step: DdlStep): string | null
  /** Names of the tables that making a foreign key locks, to be compared with each other; null when that cannot be told. */
  tablesOfForeignKey(step: DdlStep): readonly string[] | null
  /** A mark on the database as a whole, or null. Whoever looks at the database sees that a restore is under way. */
  readMark(): Promise<string | null>
  setMark(mark: string | null): Promise<void>
  /** Removes every object that a user could have made. Only for a database that carries our own mark. */
  clear(): Promise<void>
  /** What could not be rebuilt although the rows are whole; grows with each call. To be reported. */
  readonly skipped: readonly NotCaptured[]
  /** Sequence values as captured, then above every value of the columns they feed (F24). */
  setSequences(sequences: readonly SequenceInfo[]): Promise<void>
  refreshViews(): Promise<void>
  /** Statistics for the planner, of every table: the database is whole without them, and slow. */
  gatherStatistics(): Promise<void>
}

/**
 * Loads `lines` (as ReadTable gives them) into the named columns, in one transaction, with triggers not firing.
 * @returns rows that the database says it stored
 */
export type LoadTable = (
  connection: ConnectionSettings,
  table: { readonly sqlName: string; readonly columns: readonly string[]; readonly encoding: string },
  lines: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
) => Promise<number>
