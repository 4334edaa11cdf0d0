/** Which rows a look at the past is about. What is asked may grow while it is read: then it is read once more. */
import type { LoggedChange } from '../change-log/change.ts'
import type { Manifest, TableManifest } from '../manifest.ts'
import type { TreeSpec } from '../tree/spec.ts'
import type { HistoryEvent } from './event.ts'
import type { KeyText, SnapshotReader } from './rows-by-key.ts'

export interface Question {
  /** Of a snapshot. */
  tables(manifest: Manifest): readonly TableManifest[]
  /** Of every row of these tables, or of some. */
  readonly isAll: boolean
  /** More is asked about than when reading began: what was read says too little, and is to be read again. */
  readonly hasGrown: boolean
  /**
   * Behind a gap: rows that are asked about since then only, of which the log may have told something before. Whoever
   * asks for them reads to the end, and then all once more.
   */
  follow(table: TableManifest, keys: Iterable<KeyText>): void
  /** Whether a captured change may be of a row that is asked about. Called in order of commit, for every change. */
  wants(change: LoggedChange, table: TableManifest, spec: TreeSpec): boolean
  /** Keys of rows that may be asked about, of this table, as far as it is known by now. */
  keys(table: TableManifest): Iterable<KeyText>
  /** The rows of a snapshot that are asked about. Not called when all are. */
  rows(manifest: Manifest, table: TableManifest, reader: SnapshotReader): Promise<ReadonlyMap<KeyText, Buffer>>
  /** Of what was wanted, what is shown. Called in order. */
  shows(event: HistoryEvent): boolean
}

/** Every row of one table, or of all leaf partitions of one. */
export function wholeTable(name: string): Question {
  return {
    isAll: true,
    hasGrown: false,
    follow: () => {},
    tables: (manifest) => manifest.tables.filter((table) => table.name === name || table.partitionOf === name),
    wants: () => true,
    keys: () => [],
    rows: async () => new Map(),
    shows: () => true,
  }
}
