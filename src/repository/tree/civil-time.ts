/**
 * Days and seconds since 1970-01-01 of dates as PostgreSQL prints them, in the proleptic Gregorian calendar, years 0001
 * to 9999, without time zones. (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".)
 */

export const DAY_SECONDS = 86_400
/** 0001-01-01 and 9999-12-31. */
export const DAY_MIN = -719_162
export const DAY_MAX = 2_932_896

const ERA_DAYS = 146_097
const ZERO = 0x30
const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Of `YYYY-MM-DD` at `at`; null when that is no date. */
export function parseDate(text: Uint8Array, at: number): number | null {
  if (text[at + 4] !== 0x2d || text[at + 7] !== 0x2d) return null
  const century = twoDigits(text, at)
  const rest = twoDigits(text, at + 2)
  const month = twoDigits(text, at + 5)
  const day = twoDigits(text, at + 8)
  const year = century * 100 + rest
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1)) return null
  return day <= monthDays(year, month) ? daysOf(year, month, day) : null
}

/** Seconds of the day of `hh:mm:ss` at `at`; null when that is no time. */
export function parseTime(text: Uint8Array, at: number): number | null {
  if (text[at + 2] !== 0x3a || text[at + 5] !== 0x3a) return null
  const hour = twoDigits(text, at)
  const minute = twoDigits(text, at + 3)
  const second = twoDigits(text, at + 6)
  return hour < 24 && minute < 60 && second < 60 ? (hour * 60 + minute) * 60 + second : null
}

/** `days` from DAY_MIN to DAY_MAX. */
export function formatDate(days: number): string {
  const shifted = days + 719_468
  const era = Math.floor(shifted / ERA_DAYS)
  const dayOfEra = shifted - era * ERA_DAYS
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return `${padded(year, 4)}-${padded(month, 2)}-${padded(day, 2)}`
}

export function formatTime(seconds: number): string {
  const minutes = Math.floor(seconds / 60)
  return `${padded(Math.floor(minutes / 60), 2)}:${padded(minutes % 60, 2)}:${padded(seconds % 60, 2)}`
}

export function padded(number: number, digits: number): string {
  return String(number).padStart(digits, '0')
}

function daysOf(year: number, month: number, day: number): number {
  const shiftedYear = month <= 2 ? year - 1 : year
  const era = Math.floor(shiftedYear / 400)
  const yearOfEra = shiftedYear - era * 400
  const shiftedMonth = month > 2 ? month - 3 : month + 9
  const dayOfYear = Math.floor((153 * shiftedMonth + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * ERA_DAYS + dayOfEra - 719_468
}

function monthDays(year: number, month: number): number {
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  return month === 2 && isLeap ? 29 : MONTH_DAYS[month - 1]!
}

/** NaN where these are no digits, or not there. */
function twoDigits(text: Uint8Array, at: number): number {
  return digit(text[at]) * 10 + digit(text[at + 1])
}

function digit(byte: number | undefined): number {
  return byte !== undefined && byte >= ZERO && byte <= ZERO + 9 ? byte - ZERO : Number.NaN
}
