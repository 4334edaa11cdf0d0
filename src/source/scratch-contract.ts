/** A database of our own for a while, and what it and the source answer to the questions of a drill. */
import type { ConnectionSettings } from './contract.ts'

export interface ScratchWish {
  /** As `SourceIdentity`: the server fits what was captured from. */
  readonly serverVersionNumber: number
  readonly encoding: string
  /** Of a role that nobody else knows: what holds patients is open to nobody. */
  readonly password: string
  /** A server on which a database is made; null: a server of our own, of kinds that come with one. */
  readonly on: ConnectionSettings | null
  readonly nowMs: () => number
}

/** There until it is erased or disposed of. What a process that was killed left, the next one removes. */
export interface ScratchServer extends AsyncDisposable {
  readonly kind: 'embedded' | 'made'
  /** `PostgreSQL 18`. */
  readonly version: string
  /** An empty database. */
  readonly connection: ConnectionSettings
  /** Removes it with all its data; then looks for what may be left. Once. */
  erase(): Promise<ErasureProof>
}

/** What was asked after the removal. All answers are true, or something is left. */
export interface ErasureProof {
  /** What was removed, by the name under which somebody would look for it. */
  readonly what: string
  readonly asked: readonly { readonly question: ErasureQuestion; readonly answer: boolean }[]
}

export type ErasureQuestion =
  | 'data directory is gone'
  | 'listing of its parent does not have it'
  | 'server does not listen any more'
  | 'server does not list the database any more'
  | 'database cannot be opened any more'

/** A question that the configuration names. It is only read: a statement that writes fails, or what it wrote is undone. */
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
