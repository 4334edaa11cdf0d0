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
  readonly where: { readonly columns: readonly string[]; readonly values: readonly (readonly Uint8Array[])[] }
}

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
