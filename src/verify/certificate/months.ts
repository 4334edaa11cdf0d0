/**
 * In which month a row counts: that of its clinical time, by the hospital's clock. Where nothing names the column, the
 * table's own columns do: the first by the list below, else the first that holds a moment and is never NULL. A table
 * without one counts its rows as they were first captured: those of the baseline together, later ones by their commit.
 */
import type { TableManifest } from '../../repository/manifest.ts'
import type { ExplainRules } from './rules.ts'

export interface ClockColumn {
  readonly name: string
  readonly field: number
  readonly hasZone: boolean
}

/** Rows that say no moment. */
export const NO_MONTH = '-'
/** Rows of a table without a clinical time that the baseline has already. */
export const BASELINE_MONTH = 'baseline'

const MOMENT = /^(timestamp|date)/
const WITH_ZONE = /^timestamp(\(\d+\))? with time zone|^timestamptz/
const NAMES = [
  /^(charted|recorded|measured|observed|assessed|scored|raised|sampled|ordered|planned|in)_?(at|time|on)$/i,
  /^(created|admitted|registered|signed|saved|logged|moved|start(ed)?)_?(at|time|on)$/i,
  /(记录|测量|采样|开立|评估|创建)(时间|日期)/,
  /(_at|_time|time|date|时间|日期)$/i,
]
const MINUTE_MS = 60_000

/** @throws nothing: a configured column that is not there is the caller's to refuse */
export function clockColumn(table: TableManifest, { times }: ExplainRules): ClockColumn | null {
  const configured = times.get(table.partitionOf ?? table.name) ?? times.get(table.name)
  const name = configured ?? guessed(table)
  const field = table.columns.findIndex((column) => column.name === name)
  if (name === null || field < 0) return null
  return { name, field, hasZone: WITH_ZONE.test(table.columns[field]!.type) }
}

function guessed({ columns }: TableManifest): string | null {
  const moments = columns.filter(({ type, notNull }) => notNull && MOMENT.test(type))
  for (const pattern of NAMES) {
    const found = moments.find(({ name }) => pattern.test(name))
    if (found) return found.name
  }
  return moments[0]?.name ?? null
}

/** `YYYY-MM`. @param text the field as COPY prints it under `timezone UTC`, ISO dates */
export function monthOf(text: string, hasZone: boolean, utcOffsetMinutes: number): string {
  const month = text.slice(0, 7)
  if (!/^\d{4}-\d\d$/.test(month) || text.endsWith(' BC')) return NO_MONTH
  if (!hasZone || utcOffsetMinutes === 0) return month
  const day = text.slice(8, 10)
  // An offset is less than a day: in the middle of a month it changes nothing.
  if (day > '02' && day < '28') return month
  const ms = momentMs(text, true, 0)
  return ms === null ? NO_MONTH : monthOfMs(ms, utcOffsetMinutes)
}

export function monthOfMs(ms: number, utcOffsetMinutes: number): string {
  return new Date(ms + utcOffsetMinutes * MINUTE_MS).toISOString().slice(0, 7)
}

/** Milliseconds since 1970, or null for what is no moment (NULL, infinity). A moment without zone is one of the hospital's. */
export function momentMs(text: string, hasZone: boolean, utcOffsetMinutes: number): number | null {
  const [, date, clock = '00:00:00'] = /^(\d{4}-\d\d-\d\d)(?: (\d\d:\d\d:\d\d(?:\.\d{1,6})?))?/.exec(text) ?? []
  if (date === undefined || text.endsWith(' BC')) return null
  const ms = Date.parse(`${date}T${clock}Z`)
  if (Number.isNaN(ms)) return null
  return hasZone ? ms : ms - utcOffsetMinutes * MINUTE_MS
}
