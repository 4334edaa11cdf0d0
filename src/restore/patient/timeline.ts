/**
 * What happened to one patient, transaction by transaction: counts by category and table first, so that an accident is
 * seen among a day's work; the rows themselves where they are wanted.
 */
import { changeIdOf, type EventTime, type HistoryEvent, type HistoryGap } from '../../repository/history/event.ts'
import { type AskedPast, readPatient } from '../../repository/history/read-all.ts'
import { type OwnRestore, OwnRestores } from './own-restores.ts'

export interface TimelineCount {
  readonly category: string
  readonly table: string
  readonly inserted: number
  /** Changes of keys, too. */
  readonly changed: number
  readonly deleted: number
  /** The whole table was emptied, the patient's rows among all others. */
  readonly truncated: boolean
}

export interface TimelineEntry {
  /** For `--at before:…`. */
  readonly change: string
  readonly time: EventTime
  readonly ours: OwnRestore | null
  readonly counts: readonly TimelineCount[]
  readonly events: readonly HistoryEvent[]
}

export interface Timeline {
  readonly entries: readonly TimelineEntry[]
  readonly gaps: readonly HistoryGap[]
}

/**
 * @param patient the patient's key as a field of a line
 * @param categories only these; all when null
 * @throws as `readPatient`
 */
export async function patientTimeline(
  asked: AskedPast,
  patient: Buffer,
  categories: ReadonlySet<string> | null = null,
): Promise<Timeline> {
  const { events, gaps } = await readPatient(asked, patient)
  const own = await OwnRestores.read(asked.repository, asked.sourceName)
  const wanted = events.filter(({ category }) => categories === null || categories.has(category))
  return { entries: entriesOf(wanted, own), gaps }
}

/** One for each transaction, and for each pair of places, in their order. */
export function entriesOf(events: Iterable<HistoryEvent>, own: OwnRestores): TimelineEntry[] {
  const groups = new Map<string, HistoryEvent[]>()
  for (const event of events) {
    const change = changeIdOf(event.time)
    const group = groups.get(change)
    if (group) group.push(event)
    else groups.set(change, [event])
  }
  return [...groups].map(([change, group]) => {
    const { time } = group[0]!
    return { change, time, ours: own.of(time), counts: countsOf(group), events: group }
  })
}

function countsOf(events: readonly HistoryEvent[]): TimelineCount[] {
  const tables = [...new Set(events.map(({ table }) => table))]
  return tables.map((table) => {
    const rows = events.filter((event) => event.table === table)
    const count = (...kinds: readonly HistoryEvent['kind'][]) => rows.filter(({ kind }) => kinds.includes(kind)).length
    return {
      category: rows[0]!.category,
      table,
      inserted: count('insert'),
      changed: count('update', 'key'),
      deleted: count('delete'),
      truncated: count('truncate') > 0,
    }
  })
}
