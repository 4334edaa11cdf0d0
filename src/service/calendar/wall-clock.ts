/**
 * Between instants and what a clock on the wall of a ward shows. A wall time is held as the milliseconds that it would be
 * in UTC, so that it can be counted with. Where summer time begins, an hour of wall times never comes; where it ends,
 * one comes twice.
 */
import { Failure } from '../../errors.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** No zone has ever been further from UTC. */
const OFFSET_MAX_MS = 15 * HOUR_MS

export class WallClock {
  readonly timeZone: string
  readonly #format: Intl.DateTimeFormat

  /** @throws bad-configuration for a zone that is not known */
  constructor(timeZone: string) {
    this.timeZone = timeZone
    try {
      this.#format = new Intl.DateTimeFormat('en-US-u-ca-iso8601', {
        timeZone,
        hourCycle: 'h23',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      })
    } catch {
      throw new Failure('bad-configuration', `service.timeZone: ${timeZone} is not a time zone`, {
        hints: ['Write it as in Asia/Shanghai or Europe/Berlin.'],
      })
    }
  }

  wallOf(instantMs: number): number {
    const parts: Record<string, number> = {}
    for (const { type, value } of this.#format.formatToParts(instantMs)) parts[type] = Number(value)
    const { year, month, day, hour, minute, second } = parts
    const wall = Date.UTC(year!, month! - 1, day!, hour!, minute!, second!)
    return wall + (((instantMs % 1000) + 1000) % 1000)
  }

  /** None, one, or two instants at which the wall shows this time, in order. */
  instantsOf(wallMs: number): number[] {
    const offsets = [wallMs - OFFSET_MAX_MS, wallMs + OFFSET_MAX_MS].map((near) => this.wallOf(near) - near)
    const candidates = [...new Set(offsets)].map((offset) => wallMs - offset)
    return candidates.filter((instant) => this.wallOf(instant) === wallMs).sort((a, b) => a - b)
  }

  /** The first instant at which the wall shows this time or a later one: where it never comes, the end of the leap. */
  instantAtOrAfter(wallMs: number): number {
    const [first] = this.instantsOf(wallMs)
    if (first !== undefined) return first
    // The wall leaps over it: both offsets name an instant near the leap, and it lies between the two.
    const near = [wallMs - OFFSET_MAX_MS, wallMs + OFFSET_MAX_MS].map((each) => wallMs - (this.wallOf(each) - each))
    let [before, after] = [Math.min(...near) - MINUTE_MS, Math.max(...near) + MINUTE_MS]
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2)
      if (this.wallOf(middle) < wallMs) before = middle
      else after = middle
    }
    return after
  }
}
