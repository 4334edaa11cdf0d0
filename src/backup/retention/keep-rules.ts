/**
 * Which snapshots stay, and why each does. Pure: what is deleted, and when, is for forget and prune.
 *
 * A rule `daily: 7` keeps, of each of the seven latest calendar days that have a snapshot, the last one. Calendars are
 * the hospital's (`timeZone`): a day that ends at eight in the morning is nobody's day. Rules look at snapshots only
 * and never at today's date, so a source that stopped being backed up loses nothing by waiting (F28).
 */
import { Failure } from '../../errors.ts'

export const CALENDAR_RULES = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const
export type CalendarRule = (typeof CALENDAR_RULES)[number]

export interface KeepRules {
  /** The newest so many, whenever they were taken. */
  readonly last: number
  readonly calendar: Readonly<Record<CalendarRule, number>>
  /** Every moment within so many milliseconds before the newest snapshot must stay restorable; 0 for none. */
  readonly windowMs: number
  /** IANA name, as `Asia/Shanghai`. */
  readonly timeZone: string
}

export interface KeptHold {
  readonly snapshotId: string
  readonly reason: string
  /** Milliseconds since 1970; null for a hold without end. */
  readonly endsMs: number | null
}

export interface DatedSnapshot {
  readonly snapshotId: string
  /** By the source's clock: when its rows were so. */
  readonly timeMs: number
  /** Captured changes carry on from it: moments behind it are told from it. Default: true. */
  readonly carriesOn?: boolean
}

export type KeepReason =
  | { readonly kind: 'last' }
  | { readonly kind: CalendarRule; readonly period: string }
  /** Moments of the recovery window begin at it. */
  | { readonly kind: 'window' }
  | { readonly kind: 'hold'; readonly reason: string; readonly endsMs: number | null }

export interface KeptSnapshot extends DatedSnapshot {
  /** Empty: nothing keeps it. */
  readonly reasons: readonly KeepReason[]
}

/**
 * One entry for each snapshot of one source, newest first.
 * @throws bad-configuration when the rules would keep nothing at all, or the time zone is not known
 */
export function keepSnapshots(
  snapshots: readonly DatedSnapshot[],
  rules: KeepRules,
  holds: readonly KeptHold[],
  nowMs: number,
): KeptSnapshot[] {
  refuseEmpty(rules)
  // Ids sort by when they were taken even where a clock went back; times only decide which period one is of.
  const newestFirst = [...snapshots].sort((a, b) => (a.snapshotId < b.snapshotId ? 1 : -1))
  const reasons = new Map<string, KeepReason[]>(newestFirst.map(({ snapshotId }) => [snapshotId, []]))
  const keep = (snapshotId: string, reason: KeepReason) => reasons.get(snapshotId)?.push(reason)

  for (const { snapshotId } of newestFirst.slice(0, rules.last)) keep(snapshotId, { kind: 'last' })
  const calendar = hospitalCalendar(rules.timeZone)
  for (const rule of CALENDAR_RULES) {
    const periods = new Set<string>()
    for (const { snapshotId, timeMs } of newestFirst) {
      const period = calendar(timeMs)[rule]
      if (periods.has(period)) continue
      if (periods.size === rules.calendar[rule]) break
      periods.add(period)
      keep(snapshotId, { kind: rule, period })
    }
  }
  for (const { snapshotId } of windowSnapshots(newestFirst, rules.windowMs)) keep(snapshotId, { kind: 'window' })
  for (const { snapshotId, reason, endsMs } of holds) {
    if (endsMs === null || endsMs > nowMs) keep(snapshotId, { kind: 'hold', reason, endsMs })
  }
  return newestFirst.map((snapshot) => ({ ...snapshot, reasons: reasons.get(snapshot.snapshotId) ?? [] }))
}

/**
 * Those within the window, the one before it, and the one that its first moments are told from: the newest that changes
 * carry on from, of those before which nothing is stamped later than the window's beginning.
 */
function windowSnapshots(newestFirst: readonly DatedSnapshot[], windowMs: number): DatedSnapshot[] {
  const newest = newestFirst[0]
  if (windowMs === 0 || !newest) return []
  const begin = newest.timeMs - windowMs
  let within = newestFirst.length
  while (within > 0 && newestFirst[within - 1]!.timeMs <= begin) within -= 1
  const before = newestFirst.slice(within)
  const base = before.find(({ carriesOn }) => carriesOn !== false)
  return [...newestFirst.slice(0, within), ...before.filter((each, index) => index === 0 || each === base)]
}

function refuseEmpty({ last, calendar, windowMs }: KeepRules): void {
  if (last > 0 || windowMs > 0 || CALENDAR_RULES.some((rule) => calendar[rule] > 0)) return
  throw new Failure('bad-configuration', 'the retention rules keep no snapshot at all', {
    hints: ['Give at least one of last, hourly, daily, weekly, monthly, yearly or window under `retention`.'],
  })
}

/** The periods that a time lies in, as text; weeks are of ISO 8601. */
function hospitalCalendar(timeZone: string): (timeMs: number) => Readonly<Record<CalendarRule, string>> {
  const format = zoned(timeZone)
  return (timeMs) => {
    const parts = new Map(format.formatToParts(timeMs).map(({ type, value }) => [type, value]))
    const [year, month, day, hour] = ['year', 'month', 'day', 'hour'].map((type) => parts.get(type as 'year') ?? '')
    return {
      // Where clocks go back an hour, one local hour comes twice: the offset tells the two apart.
      hourly: `${year}-${month}-${day}T${hour}${parts.get('timeZoneName') ?? ''}`,
      daily: `${year}-${month}-${day}`,
      weekly: isoWeek(Number(year), Number(month), Number(day)),
      monthly: `${year}-${month}`,
      yearly: `${year}`,
    }
  }
}

function zoned(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-CA', {
      timeZone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      hourCycle: 'h23',
      timeZoneName: 'longOffset',
    })
  } catch {
    throw new Failure('bad-configuration', `time zone '${timeZone}' is not known`, {
      hints: ['Give a name of the IANA time zone database, for example Asia/Shanghai or UTC.'],
    })
  }
}

const DAY_MS = 86_400_000

/** ISO 8601: a week belongs to the year of its Thursday. */
function isoWeek(year: number, month: number, day: number): string {
  const date = Date.UTC(year, month - 1, day)
  const weekday = (new Date(date).getUTCDay() + 6) % 7
  const thursday = new Date(date + (3 - weekday) * DAY_MS)
  const weekYear = thursday.getUTCFullYear()
  const week = 1 + Math.floor((thursday.getTime() - Date.UTC(weekYear, 0, 1)) / (7 * DAY_MS))
  return `${weekYear}-W${String(week).padStart(2, '0')}`
}
