/** Scores: parts drawn from the severity of illness, the total always their sum. Eight a bed and day. */
import { HOUR, hourOfDay, MINUTE, zonedText } from './moment.ts'
import type { Random } from './random.ts'
import { doctorOf, nurseOf, type StayState } from './stay.ts'
import { copyLine, type RowSink } from './tables.ts'

interface Part {
  readonly name: string
  readonly low: number
  readonly high: number
  /** The part at severity 0, and what a severity of 1 adds. */
  readonly base: number
  readonly pull: number
}

function part(name: string, low: number, high: number, base: number, pull: number): Part {
  return { name, low, high, base, pull }
}

export const scoreKinds = {
  SOFA: ['respiration', 'coagulation', 'liver', 'cardiovascular', 'cns', 'renal'].map((name) =>
    part(name, 0, 4, 0.4, 1.5),
  ),
  GCS: [part('eye', 1, 4, 4, -1.6), part('verbal', 1, 5, 4.4, -2.2), part('motor', 1, 6, 6, -1.8)],
  Braden: [
    ...['perception', 'moisture', 'activity', 'mobility', 'nutrition'].map((name) => part(name, 1, 4, 2.8, -1)),
    part('friction', 1, 3, 2.2, -0.8),
  ],
  Caprini: [
    part('age', 0, 3, 1.5, 0),
    part('surgery', 0, 5, 1, 0.6),
    part('bed', 0, 2, 1.6, 0.2),
    part('line', 0, 2, 1, 0.5),
  ],
  'APACHE II': [part('physiology', 0, 60, 8, 13), part('age', 0, 6, 3, 0), part('chronic', 0, 5, 1.2, 0.6)],
} as const satisfies Readonly<Record<string, readonly Part[]>>

export type ScoreKind = keyof typeof scoreKinds

const rounds: ReadonlyMap<number, readonly ScoreKind[]> = new Map([
  [0, ['GCS']],
  [6, ['GCS', 'Braden']],
  [9, ['SOFA', 'Caprini']],
  [12, ['GCS']],
  [18, ['GCS', 'Braden']],
])

export function writeScores(sink: RowSink, stay: StayState, from: number, until: number): void {
  const random = stay.streams.score
  const write = (kind: ScoreKind, second: number): void => {
    const { total, json } = makeScore(random, kind, stay.course.severity)
    const scorer = kind === 'GCS' || kind === 'Braden' ? nurseOf(stay, second) : doctorOf(stay, second)
    sink.write('public.score', copyLine(stay.stayId, kind, zonedText(second), total, json, scorer))
  }
  for (const kind of rounds.get(hourOfDay(from)) ?? []) write(kind, from + random.below(until - from))
  // Once, from the worst values of the first day.
  const apacheAt = stay.inAt + 23 * HOUR + 30 * MINUTE
  if (apacheAt >= from && apacheAt < until) write('APACHE II', apacheAt)
}

export function makeScore(random: Random, kind: ScoreKind, severity: number): { total: number; json: string } {
  let total = 0
  const fields = scoreKinds[kind].map(({ name, low, high, base, pull }) => {
    const value = Math.min(high, Math.max(low, Math.round(base + pull * severity + 0.7 * random.normal())))
    total += value
    return `"${name}": ${value}`
  })
  return { total, json: `{${fields.join(', ')}}` }
}
