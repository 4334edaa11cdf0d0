/**
 * Time in the reference hospital: whole seconds of the wall clock in Asia/Shanghai (UTC+8, no summer time), counted
 * from 1970-01-01 00:00 of that clock. Never the machine's own clock: the same seed gives the same rows for ever.
 */
export const MINUTE = 60
export const HOUR = 3600
export const DAY = 86_400

/** The last moment of the reference data: a Sunday morning after the night shift has handed over. */
export const END_OF_DATA = Date.UTC(2026, 10, 1, 8, 30, 0) / 1000

const twoDigits = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'))
/** Hour prefixes already made: at most some ten thousand a year of data. */
const hourPrefixes = new Map<number, string>()

/** `2026-03-01 08:15:30`, as a timestamp without time zone takes it. */
export function localText(second: number): string {
  const hour = Math.floor(second / HOUR)
  let prefix = hourPrefixes.get(hour)
  if (prefix === undefined) {
    prefix = new Date(hour * HOUR * 1000).toISOString().slice(0, 14).replace('T', ' ')
    hourPrefixes.set(hour, prefix)
  }
  const rest = second - hour * HOUR
  const minute = Math.floor(rest / MINUTE)
  return `${prefix}${twoDigits[minute]}:${twoDigits[rest - minute * MINUTE]}`
}

/** The same moment with its zone, as timestamptz takes it. */
export function zonedText(second: number): string {
  return `${localText(second)}+08`
}

export function dateText(second: number): string {
  return localText(second).slice(0, 10)
}

export function hourOfDay(second: number): number {
  return Math.floor((second % DAY) / HOUR)
}

/** The first days of the months that [start, end] touches, as dates, and of `extraMonths` more. */
export function monthsBetween(start: number, end: number, extraMonths = 0): string[] {
  const first = new Date(start * 1000)
  const last = new Date(end * 1000)
  const monthOf = (date: Date): number => date.getUTCFullYear() * 12 + date.getUTCMonth()
  const months: string[] = []
  for (let month = monthOf(first); month <= monthOf(last) + extraMonths; month++) {
    months.push(`${Math.floor(month / 12)}-${twoDigits[(month % 12) + 1]}-01`)
  }
  return months
}
