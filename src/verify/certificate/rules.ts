/**
 * What the configuration says about changes: which of them the application accounts for, what may change at any time, and
 * when a record is closed (`explain:` in chartkeep.yaml). Inserts need no rule: adding is what a record is for.
 */

export type ChangeKind = 'update' | 'delete'

/** The application's own audit table: an entry of it accounts for changes of the table that it names. */
export interface AuditRules {
  readonly table: string
  /** The column that names the changed table. */
  readonly object: string
  readonly action: string
  /** Actions and the changes that they stand for; an action that is not listed accounts for nothing. */
  readonly actions: ReadonlyMap<string, readonly ChangeKind[]>
  /** The moment of the entry; used only where the change log does not tell when it was committed. */
  readonly time: string
  /** Holds the primary key of the changed row (its fields, comma between), or nothing: then any row. */
  readonly key: string | null
  /** A column that the changed row has under the same name and must equal; where the row's table has none, it is passed over. */
  readonly scope: string | null
  /** How far the entry's commit may lie from the change's. 0: they were one transaction. */
  readonly toleranceSeconds: number
  /** A table, and those whose changes an entry about it accounts for as well: what the application does in one deed. */
  readonly covers: ReadonlyMap<string, readonly string[]>
}

/** A record is closed once its row says so; rows of every table that has a column named `key` belong to it. */
export interface ClosedRule {
  readonly table: string
  readonly key: string
  readonly column: string
  /** Closed when the column holds this; null: from the time that the column holds. */
  readonly equals: string | null
  /** What is charted late is no change of a closed record. */
  readonly graceHours: number
}

/** Values that arrive at least once in every interval while a patient lies in a bed. */
export interface SeriesRule {
  readonly table: string
  readonly time: string
  readonly intervalMinutes: number
  readonly stays: { readonly table: string; readonly key: string; readonly start: string; readonly end: string }
}

export interface ExplainRules {
  /** Added to UTC to tell in which month a row lies. */
  readonly utcOffsetMinutes: number
  /** Table to its clinical time column. Tables that are not named: see `months.ts`. */
  readonly times: ReadonlyMap<string, string>
  readonly audit: AuditRules | null
  readonly closed: readonly ClosedRule[]
  /** Categories and tables that may change at any time. */
  readonly mayChange: ReadonlySet<string>
  /** Categories and tables of which rows may be updated as long as their record is not closed. */
  readonly untilClosed: ReadonlySet<string>
  readonly series: readonly SeriesRule[]
}

export const NO_RULES: ExplainRules = {
  utcOffsetMinutes: 0,
  times: new Map(),
  audit: null,
  closed: [],
  mayChange: new Set(),
  untilClosed: new Set(),
  series: [],
}
