/** A database server of our own for a while, and what it and the source answer to the questions of a drill. */
import type { ConnectionSettings } from './contract.ts'

export interface ScratchWish {
  /** As `SourceIdentity`: the server fits what was captured from. */
  readonly serverVersionNumber: number
  readonly encoding: string
  /** Of a role that nobody else knows: what holds patients is open to nobody. */
  readonly password: string
  readonly nowMs: () => number
}

/** Runs until it is erased or disposed of, and no longer than this process. */
export interface ScratchServer extends AsyncDisposable {
  /** `PostgreSQL 18`. */
  readonly version: string
  /** An empty database. */
  readonly connection: ConnectionSettings
  /** Stops the server and removes its data; then looks for what may be left. Once. */
  erase(): Promise<ErasureProof>
}

/** What was asked after the removal. All true, or something is left. */
export interface ErasureProof {
  readonly directory: string
  /** The path is not there any more. */
  readonly directoryGone: boolean
  /** The listing of the directory above does not have it. */
  readonly notListed: boolean
  /** Nothing listens on the server's port. */
  readonly portClosed: boolean
}

/** A question that the configuration names. It is only read: a statement that writes fails. */
export interface Question {
  readonly name: string
  readonly sql: string
}

/** Never a value that may be a patient's: a single number is a count, anything else is its digest. */
export interface Answer {
  readonly name: string
  readonly rows: number
  /** Of one row with one whole number; decimal, because counts may be large. */
  readonly number: string | null
  /** SHA-256 over the rows' text, in the order of their text, keyed by `salt`: equal answers, equal digests. Hexadecimal. */
  readonly digest: string
  readonly ms: number
  /** Why there is no answer; its SQLSTATE or a class of failure, never the server's own words (F42). */
  readonly failure: string | null
}
