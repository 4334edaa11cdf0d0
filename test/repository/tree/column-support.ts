/** Columns as databases have them, of which most have a pattern, and some fields spoil it. */
import fc from 'fast-check'
import { fieldBytes } from './support.ts'

const DAY_SECONDS = 86_400
const SECONDS_MIN = -62_135_596_800
const SECONDS_MAX = 253_402_300_799

/** A field from the row's number, a number that grows or not, and another that does not. */
type Kind = (row: number, grown: number, any: number) => string

const zones = ['', '+00', '+05:30', '-03', ' BC']
const words = ['新增', '修改', '查看', 'F_TOT', 'VENT-ICU1-2', '35-45', '']

function moment(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')
}

const kinds: readonly Kind[] = [
  (_, grown) => String(grown),
  (_, grown, any) => (any % 5 === 0 ? '\\N' : String(grown - 500_000)),
  (_, __, any) => ((any - 500) / 10).toFixed(1),
  (_, grown, any) => (any % 7 === 0 ? String(any) : (grown / 1000).toFixed(any % 3)),
  (_, grown) => `L${String(grown).padStart(9, '0')}`,
  (_, grown) => moment(1_788_000_000 + grown),
  (_, grown, any) => `${moment(1_788_000_000 + grown)}.${any + 1}${zones[1]}`,
  (_, grown, any) => `${moment(grown * 60)}${zones[any % zones.length]}`,
  (_, grown) => moment(grown * DAY_SECONDS).slice(0, 10),
  (_, __, any) => `{"ms": ${any}, "rows": ${any % 50}}`,
  (_, __, any) => `10.0.${any % 3}.${any % 250}`,
  (_, __, any) => words[any % words.length]!,
  (row) => `${row}-${row * row}`,
  (_, grown, any) => (any % 9 === 0 ? 'infinity' : moment(SECONDS_MAX - grown)),
  (_, grown) => moment(SECONDS_MIN + grown),
  (_, __, any) => `-${any}.${any}`,
  (_, grown, any) => `${grown}`.repeat(any % 5),
]

const column = fc.record({
  kind: fc.constantFrom(...kinds),
  step: fc.constantFrom(0, 1, 60, 3600, 97_531),
  noise: fc.constantFrom(0, 3, 1000),
  /** Of a thousand fields, so many are something else. */
  spoiled: fc.constantFrom(0, 0, 0, 20, 200),
})

/** Rows of fields, all as wide. */
export const tableOfColumns = fc
  .record({
    rows: fc.integer({ min: 1, max: 70 }),
    columns: fc.array(column, { minLength: 1, maxLength: 6 }),
    dice: fc.infiniteStream(fc.nat({ max: 999 })),
    odd: fc.infiniteStream(fieldBytes),
  })
  .map(({ rows, columns, dice, odd }) => {
    const roll = () => dice.next().value as number
    return Array.from({ length: rows }, (_, row) =>
      columns.map(({ kind, step, noise, spoiled }) => {
        if (roll() < spoiled) return odd.next().value as string
        return kind(row, 1000 + row * step + (noise === 0 ? 0 : roll() % noise), roll())
      }),
    )
  })

export function textOf(rows: readonly (readonly string[])[]): Buffer {
  return Buffer.from(rows.map((fields) => `${fields.join('\t')}\n`).join(''))
}
