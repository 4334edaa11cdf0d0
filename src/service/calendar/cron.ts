/**
 * Five fields as cron has them (minute, hour, day of the month, month, day of the week), as rules of node-schedule. `L`
 * is the last day of a month. Where both kinds of days are restricted, either is enough, as everywhere.
 */
import { RecurrenceRule } from 'node-schedule'
import { Failure } from '../../errors.ts'

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const DAYS_OF_MONTH_MAX = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
/** node-schedule counts wall times as if they were UTC (wall-clock.ts maps them). */
const NO_ZONE = 'UTC'
const DAY_MS = 24 * 60 * 60 * 1000
const MINUTE_MS = 60_000

interface Field {
  readonly name: string
  readonly min: number
  readonly max: number
  readonly names?: readonly string[]
}

const FIELDS: readonly Field[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of the month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: MONTHS },
  { name: 'day of the week', min: 0, max: 7, names: DAYS },
]

export interface Cron {
  readonly text: string
  /** The hours are restricted to some: on the night when an hour comes twice, each wall time counts once. */
  readonly isByHour: boolean
  /** The first wall time after this one, as wall-clock.ts counts them. */
  nextWall(wallMs: number): number
}

/** @throws bad-configuration */
export function parseCron(text: string): Cron {
  const written = text.trim().split(/\s+/)
  if (written.length !== FIELDS.length) {
    throw refused(text, `has ${written.length} fields, not 5`)
  }
  const isLast = written[2]!.toUpperCase() === 'L'
  const [minutes, hours, days, months, weekdays] = FIELDS.map((field, index) =>
    index === 2 && isLast ? [28, 29, 30, 31] : parseField(text, field, written[index]!),
  )
  if (days && !(months ?? range(1, 12)).some((month) => DAYS_OF_MONTH_MAX[month - 1]! >= Math.min(...days))) {
    throw refused(text, 'names a day that none of its months has')
  }
  const rule = (byDate: number[] | null, byWeekday: number[] | null) => {
    const made = new RecurrenceRule()
    made.tz = NO_ZONE
    made.second = 0
    if (minutes) made.minute = minutes
    if (hours) made.hour = hours
    if (months) made.month = months.map((month) => month - 1)
    if (byDate) made.date = byDate
    if (byWeekday) made.dayOfWeek = [...new Set(byWeekday.map((day) => day % 7))]
    return made
  }
  const byDays = days && weekdays ? [rule(days, null), rule(null, weekdays)] : [rule(days ?? null, weekdays ?? null)]
  const nextWall = (wallMs: number) =>
    Math.min(...byDays.map((each) => nextOf(each, wallMs, isLast && each.date !== null)))
  return { text, isByHour: hours !== null && hours !== undefined, nextWall }
}

function nextOf(rule: RecurrenceRule, wallMs: number, isLast: boolean): number {
  // From the last second of the minute: node-schedule goes forward second by second.
  let after = Math.floor(wallMs / MINUTE_MS) * MINUTE_MS + MINUTE_MS - 1000
  for (;;) {
    const next = rule.nextInvocationDate(new Date(after)).getTime()
    if (!isLast || new Date(next + DAY_MS).getUTCDate() === 1) return next
    after = next
  }
}

/** Null for `*`. */
function parseField(text: string, field: Field, written: string): number[] | null {
  if (written === '*') return null
  const values = new Set<number>()
  for (const part of written.split(',')) for (const value of parsePart(text, field, part)) values.add(value)
  return [...values].sort((a, b) => a - b)
}

function parsePart(text: string, field: Field, part: string): number[] {
  const [, from, to, step] = /^(\*|\w+)(?:-(\w+))?(?:\/(\d+))?$/.exec(part) ?? []
  if (from === undefined) throw refused(text, `has the ${field.name} ${part}`)
  const first = from === '*' ? field.min : numberOf(text, field, from)
  const isOpen = from === '*' || (to === undefined && step !== undefined)
  const last = to !== undefined ? numberOf(text, field, to) : isOpen ? lastOf(field) : first
  const by = Number(step ?? 1)
  if (last < first || by < 1) throw refused(text, `has the ${field.name} ${part}`)
  return range(first, last).filter((value) => (value - first) % by === 0)
}

/** Sunday has two numbers, and comes once in `*`. */
function lastOf({ max }: Field): number {
  return max === 7 ? 6 : max
}

function numberOf(text: string, field: Field, written: string): number {
  const named = field.names?.indexOf(written.toLowerCase()) ?? -1
  const value = named >= 0 ? named + field.min : /^\d{1,2}$/.test(written) ? Number(written) : Number.NaN
  if (value >= field.min && value <= field.max) return value
  throw refused(text, `has the ${field.name} ${written}, which is not between ${field.min} and ${field.max}`)
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

function refused(text: string, what: string): Failure {
  return new Failure('bad-configuration', `schedule "${text}" ${what}`, {
    hints: ['Five fields: minute hour day-of-month month day-of-week, for example "15 2 * * *" or "0 6 L * *".'],
  })
}
