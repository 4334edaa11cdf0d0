/** What the oracle has to know of a database to judge a restore of one patient by plain SQL: written by hand, not read by chartkeep. */
import type pg from 'pg'
import type { PostgresServer } from '../../../../scripts/support/postgres-server.ts'
import type { Accident } from './accidents.ts'
import type { TableColumns } from './rows.ts'

export interface AccidentTable {
  /** As in SQL; of a partitioned table the whole. */
  readonly name: string
  /** Of the primary key; none for a table without one. */
  readonly key: readonly string[]
  /** Over `t`: the patient's key, or NULL for rows that are nobody's. */
  readonly owner: string
  /** Columns that triggers own: no part of what is compared. */
  readonly triggered?: readonly string[]
}

export interface AccidentWorld {
  readonly tables: readonly AccidentTable[]
  /** The one of patients. */
  readonly patients: string
  /** Tables of which every write leaves a line in `oracle.trail`. */
  readonly trailed: ReadonlySet<string>
  readonly layout: object
  readonly categories: Readonly<Record<string, readonly string[]>>
}

/** A database that accidents befall: how it is made, what goes on in it, and what may happen. */
export interface AccidentPlace {
  readonly world: AccidentWorld
  /** The newest when absent. */
  readonly version?: number
  readonly make: (server: PostgresServer, url: string, size: PlaceSize) => Promise<void>
  /** Run when the oracle's schema is there. */
  readonly finish: readonly string[]
  /** A stretch of history: captured, and a moment behind it. */
  readonly play: (scene: PlayScene, seed: number) => Promise<void>
  readonly accidents: readonly (readonly [string, Accident])[]
  /** What somebody does who works in rows of patient `$1`; `$2` is a small number. */
  readonly deeds: readonly string[]
  /** Whether the reference ward can work in it. */
  readonly hasWard: boolean
}

export interface PlaceSize {
  readonly rows: number
  readonly seed: number
}

export interface PlayScene {
  readonly url: string
  readonly client: pg.Client
  readonly columns: TableColumns
  /** By `table.column`, as the server prints it. */
  readonly types: ReadonlyMap<string, string>
}
