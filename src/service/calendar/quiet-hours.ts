/** Hours of the day in which the wards must not be disturbed: work that reads the database does not start then. */
import { Failure } from '../../errors.ts'
import type { WallClock } from './wall-clock.ts'

const MINUTE_MS = 60_000
const DAY_MINUTES = 24 * 60

interface Span {
  /** Minutes since midnight on the wall; `from` above `to` reaches over midnight. */
  readonly from: number
  readonly to: number
}

export interface QuietHours {
  /** When the quiet hours that this instant lies in are over; null when it lies in none. */
  endOf(atMs: number): number | null
}

/** Each as `07:30-09:30`. @throws bad-configuration */
export function quietHours(texts: readonly string[], clock: WallClock): QuietHours {
  const spans = texts.map(parseSpan)
  const covers = (minute: number) => spans.some((span) => contains(span, minute))
  const minuteOf = (atMs: number) => Math.floor(clock.wallOf(atMs) / MINUTE_MS) % DAY_MINUTES
  return {
    endOf: (atMs) => {
      if (!covers(minuteOf(atMs))) return null
      let end = Math.floor(atMs / MINUTE_MS) * MINUTE_MS
      // Spans may touch one another: minute by minute, a day at the most.
      for (let minute = 0; minute < DAY_MINUTES && covers(minuteOf(end)); minute += 1) end += MINUTE_MS
      return end
    },
  }
}

function contains({ from, to }: Span, minute: number): boolean {
  return from < to ? minute >= from && minute < to : minute >= from || minute < to
}

function parseSpan(text: string): Span {
  const [, ...digits] = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? []
  const [fromHour, fromMinute, toHour, toMinute] = digits.map(Number)
  const span = { from: fromHour! * 60 + fromMinute!, to: toHour! * 60 + toMinute! }
  if (digits.length === 4 && span.from !== span.to) return span
  throw new Failure('bad-configuration', `service.quietHours: ${text} is not a span of hours`, {
    hints: ['Write it as "07:30-09:30"; "22:00-05:00" reaches over midnight.'],
  })
}
