/**
 * When something is due. Two kinds: `every`, a fixed time apart, whatever the clocks on the wall do; and `at`, wall
 * times in a zone: a wall time that never comes (summer time begins) is due when the leap is over, one that comes twice is
 * due once, and a schedule of every hour is due in each of the two.
 */
import { Failure } from '../../errors.ts'
import { type Cron, parseCron } from './cron.ts'
import type { WallClock } from './wall-clock.ts'

const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const DAY_MS = UNITS.d
/** Looked back over, one after the other, for the last time it was due. */
const LOOK_BACK_MS = [UNITS.h, DAY_MS, 8 * DAY_MS, 32 * DAY_MS, 400 * DAY_MS, 9 * 366 * DAY_MS]
/** A wall may be set back by so much at once; nothing is ever missed for it. */
const FOLD_MAX_MS = 3 * UNITS.h

export interface Schedule {
  /** As it was written. */
  readonly text: string
  /** The first time after this instant at which it is due. */
  nextDue(afterMs: number): number
  /** The last time up to this instant at which it was due; null when there was none for years. */
  latestDue(atMs: number): number | null
}

/** `90s`, `15m`, `6h`, `1d`. @throws bad-configuration naming `what` */
export function parseDurationMs(text: string, what: string): number {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const ms = count === undefined ? 0 : Number(count) * UNITS[unit as keyof typeof UNITS]
  if (ms > 0) return ms
  throw new Failure('bad-configuration', `${what}: ${text} is not a duration`, {
    hints: ['Write it as 90s, 10m, 2h or 1d.'],
  })
}

/** @throws bad-configuration */
export function everySchedule(text: string, what: string): Schedule {
  const ms = parseDurationMs(text, what)
  const latestDue = (atMs: number) => Math.floor(atMs / ms) * ms
  return { text: `every ${text}`, latestDue, nextDue: (afterMs) => latestDue(afterMs) + ms }
}

/** @throws bad-configuration */
export function cronSchedule(text: string, clock: WallClock): Schedule {
  const cron = parseCron(text)
  // Asked every half minute, and the answer is the same for hours: a due time, and the one that follows it.
  let known: { readonly latest: number | null; readonly from: number; readonly next: number } | null = null
  const around = (atMs: number) => {
    if (known && atMs >= known.from && atMs < known.next) return known
    const latest = latestInstant(cron, clock, atMs)
    known = { latest, from: latest ?? atMs, next: nextInstant(cron, clock, atMs) }
    return known
  }
  return {
    text: `at ${cron.text}, ${clock.timeZone}`,
    nextDue: (afterMs) => around(afterMs).next,
    latestDue: (atMs) => around(atMs).latest,
  }
}

function latestInstant(cron: Cron, clock: WallClock, atMs: number): number | null {
  for (const backMs of LOOK_BACK_MS) {
    let latest: number | null = null
    let due = nextInstant(cron, clock, atMs - backMs)
    for (; due <= atMs; due = nextInstant(cron, clock, due)) latest = due
    if (latest !== null) return latest
  }
  return null
}

function nextInstant(cron: Cron, clock: WallClock, afterMs: number): number {
  // From before a fold of the wall that may lie just behind us, or ahead.
  let wall = clock.wallOf(afterMs) - FOLD_MAX_MS
  let found: number | null = null
  for (;;) {
    wall = cron.nextWall(wall)
    for (const instant of dueInstants(cron, clock, wall)) {
      if (instant > afterMs && (found === null || instant < found)) found = instant
    }
    // Wall times further on may still be earlier instants, as far as a fold reaches.
    if (found !== null && wall > clock.wallOf(found) + FOLD_MAX_MS) return found
    if (found !== null && !mayFold(clock, found)) return found
  }
}

/** Whether the wall is set back or forth around this instant. */
function mayFold(clock: WallClock, instantMs: number): boolean {
  const [before, after] = [instantMs - FOLD_MAX_MS, instantMs + FOLD_MAX_MS].map((ms) => clock.wallOf(ms) - ms)
  return before !== after
}

function dueInstants({ isByHour }: Cron, clock: WallClock, wallMs: number): number[] {
  const instants = clock.instantsOf(wallMs)
  if (!isByHour) return instants
  return [instants[0] ?? clock.instantAtOrAfter(wallMs)]
}
