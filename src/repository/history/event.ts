/** What happened to a row, and how exactly it is known. */
import type { TransactionStamp } from '../change-log/change.ts'
import { fieldsOf } from '../fold/line-fields.ts'
import { betweenChangeId, type HistoryPlace, transactionChangeId } from './change-id.ts'

/** A row at one moment, under the columns that its table had then. */
export interface RowImage {
  readonly columns: readonly string[]
  /** Without newline. */
  readonly line: Buffer
}

export type EventTime =
  | { readonly kind: 'transaction'; readonly logId: string; readonly stamp: TransactionStamp }
  /** Some time between two places: the log does not have it, or has it not for this table. */
  | {
      readonly kind: 'between'
      readonly from: HistoryPlace
      readonly to: { readonly snapshotId: string; readonly time: string; readonly lsn: string }
      /** Why it is not known to the transaction, for people. */
      readonly reason: string
    }

export interface HistoryEvent {
  readonly time: EventTime
  readonly table: string
  /** Of its table. */
  readonly category: string
  /** `key`: an update that changed the primary key. `truncate`: every row of the table, none of which is named. */
  readonly kind: 'insert' | 'update' | 'key' | 'delete' | 'truncate'
  /** Names of the key's columns, and its fields as the row before has them, else the row after; empty for a truncate. */
  readonly keyColumns: readonly string[]
  readonly key: readonly Buffer[]
  readonly before: RowImage | null
  readonly after: RowImage | null
  /** Columns that both images have, and in which they differ; of an update. */
  readonly changed: readonly string[]
}

/** What is not known, or cannot be compared, though it was asked about. */
export interface HistoryGap {
  /** `*`: not of one table alone. */
  readonly table: string
  readonly reason: string
  readonly from: HistoryPlace
}

export type PastItem =
  | { readonly kind: 'event'; readonly event: HistoryEvent }
  | { readonly kind: 'gap'; readonly gap: HistoryGap }

/** As `--at before:…` takes it. */
export function changeIdOf(time: EventTime): string {
  if (time.kind === 'transaction') return transactionChangeId(time.logId, time.stamp)
  return betweenChangeId(time.from, time.to.snapshotId)
}

/** Of a manifest. */
export interface EventTable {
  readonly name: string
  readonly category: string
}

export interface RowChange {
  readonly before: RowImage | null
  readonly after: RowImage | null
  readonly keyColumns: readonly string[]
}

export function rowEvent(time: EventTime, table: EventTable, { before, after, keyColumns }: RowChange): HistoryEvent {
  const changed = before && after ? differing(before, after) : []
  const isRekeyed = changed.some((column) => keyColumns.includes(column))
  const kind = before === null ? 'insert' : after === null ? 'delete' : isRekeyed ? 'key' : 'update'
  const image = (before ?? after)!
  const fields = fieldsOf(image.line)
  const key = keyColumns.flatMap((column) => fields[image.columns.indexOf(column)] ?? [])
  return { time, table: table.name, category: table.category, kind, keyColumns, key, before, after, changed }
}

export function truncateEvent(time: EventTime, { name, category }: EventTable): HistoryEvent {
  const nothing = { keyColumns: [], key: [], before: null, after: null, changed: [] }
  return { time, table: name, category, kind: 'truncate', ...nothing }
}

/** Whether the columns that both have are the same: a column that came or went changes no row by itself. */
export function isSameRow(before: RowImage, after: RowImage): boolean {
  if (before.columns === after.columns || before.columns.join('\t') === after.columns.join('\t')) {
    return before.line.equals(after.line)
  }
  return differing(before, after).length === 0
}

function differing(before: RowImage, after: RowImage): string[] {
  const [old, now] = [fieldsOf(before.line), fieldsOf(after.line)]
  return after.columns.filter((column, index) => {
    const place = before.columns[index] === column ? index : before.columns.indexOf(column)
    return place >= 0 && !old[place]!.equals(now[index]!)
  })
}
