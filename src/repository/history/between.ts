/**
 * What differs in a table between a place up to which it was followed and a snapshot: nobody knows when, in what order, or
 * how often, it was changed in between.
 */
import { type EventTime, type HistoryEvent, isSameRow, type PastItem, type RowImage, rowEvent } from './event.ts'
import type { FollowedTable } from './followed-table.ts'
import type { Question } from './question.ts'
import { type KeyText, keyTextOf, type SnapshotReader } from './rows-by-key.ts'
import { diffTables } from './table-diff.ts'

export type BetweenTime = EventTime & { readonly kind: 'between' }

export interface Between {
  /** With what the log said before it ended for this table; null when the table is new. */
  readonly from: FollowedTable | null
  /** Null when the table is gone. */
  readonly to: FollowedTable | null
  readonly question: Question
  readonly reader: SnapshotReader
  readonly time: BetweenTime
}

/** @throws repository-damaged, object-missing, store-… */
export async function* between(request: Between): AsyncGenerator<PastItem> {
  const { from, to, question } = request
  const reshaped = reshapedBy(request)
  if (reshaped !== null) yield gapOf(request, reshaped.reason)
  if (reshaped?.isIncomparable) return
  const events = question.isAll ? differencesOfAll(request) : differencesOfSome(request)
  for await (const event of events) yield { kind: 'event', event }
  if (to === null && from !== null) yield gapOf(request, 'the table is not there any more')
}

async function* differencesOfSome({ from, to, question, reader, time }: Between): AsyncGenerator<HistoryEvent> {
  const known = new Set(from ? question.keys(from.table) : [])
  const after = to ? await question.rows(to.base, to.table, reader) : new Map<KeyText, Buffer>()
  // What the log told of a row while nobody asked about it was passed over.
  if (from?.lost?.from.kind === 'position') {
    const newcomers = [...after.keys()].filter((key) => !known.has(key))
    question.follow(from.table, newcomers)
  }
  const before = from ? await rowsBefore(from, question, reader, after) : new Map<KeyText, Buffer>()
  for (const key of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [old, now] = [imageOf(from, before.get(key)), imageOf(to, after.get(key))]
    if (old && now && isSameRow(old, now)) continue
    if (old || now) yield eventOf(time, from, to, old, now)
  }
}

/** Rows of tables without key are told apart by their snapshot only: the log never spoke of them. */
async function rowsBefore(
  from: FollowedTable,
  question: Question,
  reader: SnapshotReader,
  after: ReadonlyMap<KeyText, Buffer>,
): Promise<ReadonlyMap<KeyText, Buffer>> {
  if (from.keyColumns.length === 0) return await question.rows(from.base, from.table, reader)
  return await from.rowsNow([...question.keys(from.table), ...after.keys()])
}

async function* differencesOfAll({ from, to, reader, time }: Between): AsyncGenerator<HistoryEvent> {
  const left = new Map(from?.known ?? [])
  const isGone = from === null || from.truncatedBy !== null
  const options = {
    isSameLayout: from !== null && to !== null && isSameList(from.columns, to.columns),
    isSame: (a: Buffer, b: Buffer) => isSameRow(imageOf(from, a)!, imageOf(to, b)!),
  }
  const differences = diffTables(isGone ? null : from.table, to?.table ?? null, reader, options)
  for await (const { before, after } of differences) {
    const key = from && from.keyColumns.length > 0 ? keyTextOf(before ? from.spec : to!.spec, before ?? after!) : null
    const known = key === null ? undefined : left.get(key)
    if (key !== null) left.delete(key)
    const [old, now] = [imageOf(from, known === undefined ? before : known.line), imageOf(to, after)]
    if (old && now && isSameRow(old, now)) continue
    if (old || now) yield eventOf(time, from, to, old, now)
  }
  // Rows that both snapshots have alike, and that were something else meanwhile.
  if (from === null || left.size === 0) return
  const base = isGone ? new Map<KeyText, Buffer>() : await from.rowsOfBase(left.keys())
  for (const [key, { line }] of left) {
    const [old, now] = [imageOf(from, line), to ? imageOf(from, base.get(key)) : null]
    if (old && now && isSameRow(old, now)) continue
    if (old || now) yield eventOf(time, from, from, old, now)
  }
}

interface Reshaped {
  readonly reason: string
  readonly isIncomparable: boolean
}

function reshapedBy({ from, to, question }: Between): Reshaped | null {
  if (from === null || to === null) return null
  const isRekeyed = !isSameList(from.keyColumns, to.keyColumns)
  if (isRekeyed || (question.isAll && from.table.anchor !== to.table.anchor)) {
    return { reason: 'its key changed: rows before and behind it cannot be told to be the same', isIncomparable: true }
  }
  const came = to.columns.filter((column) => !from.columns.includes(column))
  const went = from.columns.filter((column) => !to.columns.includes(column))
  if (came.length + went.length === 0) return null
  const words = [
    came.length > 0 ? `columns came: ${came.join(', ')}` : '',
    went.length > 0 ? `went: ${went.join(', ')}` : '',
  ]
  return { reason: words.filter(Boolean).join('; '), isIncomparable: false }
}

function gapOf({ from, to, time }: Between, reason: string): PastItem {
  return { kind: 'gap', gap: { table: (to ?? from)!.table.name, reason, from: time.from } }
}

function eventOf(
  time: BetweenTime,
  from: FollowedTable | null,
  to: FollowedTable | null,
  before: RowImage | null,
  after: RowImage | null,
): HistoryEvent {
  const { table, keyColumns } = (to ?? from)!
  return rowEvent(time, table, { before, after, keyColumns })
}

function imageOf(table: FollowedTable | null, line: Buffer | null | undefined): RowImage | null {
  return table && line ? { columns: table.columns, line } : null
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((each, index) => each === b[index])
}
