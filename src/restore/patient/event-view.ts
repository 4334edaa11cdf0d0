/** Events of the past for people and for programs: values are masked unless they are to be read. */

import { fieldsOf } from '../../repository/fold/line-fields.ts'
import type { HistoryPlace } from '../../repository/history/change-id.ts'
import { changeIdOf, type EventTime, type HistoryEvent, type RowImage } from '../../repository/history/event.ts'
import type { Keyring } from '../../repository/keyring.ts'
import { formatLsn } from '../../repository/lsn.ts'
import { formatTimeUs } from '../../repository/state/moment.ts'
import { encodeKey } from '../../repository/tree/key.ts'
import type { OwnRestore } from './own-restores.ts'
import { shownField } from './plan-view.ts'

export interface ShownEvent {
  readonly change: string
  readonly table: string
  readonly category: string
  readonly kind: HistoryEvent['kind']
  /** The same row has the same name, as long as its key is the same; null for a truncate. */
  readonly row: string | null
  readonly key: Readonly<Record<string, string | null>>
  readonly columns: readonly { readonly name: string; readonly before: string | null; readonly after: string | null }[]
}

export function shownEvent(event: HistoryEvent, keyring: Keyring, showValues: boolean): ShownEvent {
  const { table, category, kind, key, keyColumns, before, after, changed } = event
  const [old, now] = [fieldsByName(before), fieldsByName(after)]
  const names = before && after ? changed : ((before ?? after)?.columns ?? [])
  const shown = (field: string | undefined) => shownField(field ?? null, showValues)
  return {
    change: changeIdOf(event.time),
    table,
    category,
    kind,
    row: key.length === 0 ? null : rowName(keyring, table, key),
    key: Object.fromEntries(keyColumns.map((column, index) => [column, shown(key[index]?.toString('latin1'))])),
    columns: names.map((name) => ({ name, before: shown(old.get(name)), after: shown(now.get(name)) })),
  }
}

/** The only name of a row where its key is not to be read. */
export function rowName(keyring: Keyring, table: string, key: readonly Buffer[]): string {
  return keyring.pseudonym(encodeKey([Buffer.from(table), ...key])).replace(/^P/, 'R')
}

/** For programs. */
export function timeRecord(time: EventTime) {
  if (time.kind === 'transaction') {
    const { xid, commitLsn, endLsn, commitTimeUs, mark } = time.stamp
    return {
      kind: time.kind,
      log: time.logId,
      xid,
      commitLsn: formatLsn(commitLsn),
      end: formatLsn(endLsn),
      time: formatTimeUs(commitTimeUs),
      mark,
    }
  }
  return { kind: time.kind, from: placeWords(time.from), to: time.to, reason: time.reason }
}

export function timeWords(time: EventTime): string {
  if (time.kind === 'transaction') return formatTimeUs(time.stamp.commitTimeUs)
  return `between ${placeWords(time.from)} and ${time.to.time}`
}

export function placeWords(place: HistoryPlace): string {
  return place.kind === 'snapshot' ? place.time : formatLsn(place.lsn)
}

export function ownWords(own: OwnRestore): string {
  if (own.kind === 'unknown') return `marked as restore ${own.changesetId}, which this repository does not know`
  return `${own.kind} ${own.changesetId} by ${own.executor}, ${own.authorisation}`
}

function fieldsByName(image: RowImage | null): ReadonlyMap<string, string> {
  const fields = image === null ? [] : fieldsOf(image.line)
  return new Map(fields.map((field, index) => [image!.columns[index]!, field.toString('latin1')]))
}
