/**
 * A field as a template with numbers in it: `L000002256` is `L` and nine digits, `2026-09-05 02:12:25+00` a moment and
 * `+00`, `{"ms": 23}` what stands around one number. Fields of a column share a few templates.
 *
 * A template is bytes as they stand, and 09 ‖ a slot for each number. A slot says how its number is written:
 *
 *     10+k  a decimal of k digits behind the point (k 0 to 14; 0: no point)     30  seconds since 1970, YYYY-MM-DD hh:mm:ss
 *     20+w  w digits, zeros in front (w 2 to 15)                                31  days since 1970, YYYY-MM-DD
 *                                                                              32  . and millionths, without zeros at the end
 *
 * Which fields become which templates is the writer's choice alone; a reader only puts them together again.
 */
import { DAY_MAX, DAY_MIN, DAY_SECONDS, formatDate, formatTime, padded, parseDate, parseTime } from './civil-time.ts'
import type { ByteReader } from './varint.ts'

export const SLOT_MARK = 0x09
export const SLOT = { decimal: 0x10, digits: 0x20, moment: 0x30, date: 0x31, fraction: 0x32 } as const
/** More numbers than these in one field are no pattern. */
export const SLOTS_MAX = 8
const FIELD_BYTES_MAX = 1024
const DIGITS_MAX = 15
const FRACTION_DIGITS = 6
const DATE_BYTES = 10
const MOMENT_BYTES = 19

const MINUS = 0x2d
const PLUS = 0x2b
const POINT = 0x2e
const SPACE = 0x20
const COLON = 0x3a
const ZERO = 0x30

export interface FieldPattern {
  readonly template: Buffer
  readonly numbers: readonly number[]
}

/** Null for a field that is too long, or holds too many numbers. */
export function patternOf(field: Uint8Array): FieldPattern | null {
  if (field.length > FIELD_BYTES_MAX) return null
  const scan = new PatternScan(field)
  while (scan.at < field.length) if (!scan.step()) return null
  return { template: Buffer.from(scan.template), numbers: scan.numbers }
}

class PatternScan {
  at = 0
  readonly template: number[] = []
  readonly numbers: number[] = []
  readonly #field: Uint8Array

  constructor(field: Uint8Array) {
    this.#field = field
  }

  /** False when there are too many numbers. */
  step(): boolean {
    const isSign = this.at === 0 && this.#field[0] === MINUS && this.#isDigit(1)
    if (!isSign && !this.#isDigit(this.at)) this.#literal(1)
    else if (isSign || !this.#moment()) this.#number(isSign)
    return this.numbers.length <= SLOTS_MAX
  }

  #isDigit(at: number): boolean {
    const byte = this.#field[at]
    return byte !== undefined && byte >= ZERO && byte <= ZERO + 9
  }

  #digitsFrom(at: number): number {
    let end = at
    while (this.#isDigit(end)) end += 1
    return end - at
  }

  #literal(bytes: number): void {
    for (let count = 0; count < bytes; count += 1) this.template.push(this.#field[this.at++]!)
  }

  #slot(kind: number, number: number, bytes: number): void {
    this.template.push(SLOT_MARK, kind)
    this.numbers.push(number)
    this.at += bytes
  }

  /** A date, or a moment with its fraction and its zone. */
  #moment(): boolean {
    const { at } = this
    const day = this.#digitsFrom(at) === 4 && this.#digitsFrom(at + 8) === 2 ? parseDate(this.#field, at) : null
    if (day === null) return false
    const hasTime = this.#field[at + DATE_BYTES] === SPACE && this.#digitsFrom(at + MOMENT_BYTES - 2) === 2
    const second = hasTime ? parseTime(this.#field, at + DATE_BYTES + 1) : null
    if (second === null) {
      this.#slot(SLOT.date, day, DATE_BYTES)
      return true
    }
    this.#slot(SLOT.moment, day * DAY_SECONDS + second, MOMENT_BYTES)
    this.#fraction()
    this.#zone()
    return true
  }

  #fraction(): void {
    if (this.#field[this.at] !== POINT) return
    const count = this.#digitsFrom(this.at + 1)
    if (count < 1 || count > FRACTION_DIGITS || this.#field[this.at + count] === ZERO) return
    const number = this.#valueOf(this.at + 1, count) * 10 ** (FRACTION_DIGITS - count)
    this.#slot(SLOT.fraction, number, 1 + count)
  }

  #zone(): void {
    const sign = this.#field[this.at]
    if (sign !== PLUS && sign !== MINUS) return
    let end = this.at + 1
    while (this.#isDigit(end) || this.#field[end] === COLON) end += 1
    this.#literal(end - this.at)
  }

  #number(isSign: boolean): void {
    const start = isSign ? 1 : this.at
    const whole = this.#digitsFrom(start)
    if (whole > DIGITS_MAX) this.#literal(start - this.at + whole)
    else if (whole > 1 && this.#field[start] === ZERO) {
      this.#literal(start - this.at)
      this.#slot(SLOT.digits + whole, this.#valueOf(start, whole), whole)
    } else this.#decimal(isSign, start, whole)
  }

  #decimal(isSign: boolean, start: number, whole: number): void {
    const places = this.#placesBehind(start, whole)
    const value = this.#valueOf(start, whole) * 10 ** places + this.#valueOf(start + whole + 1, places)
    const bytes = whole + (places > 0 ? places + 1 : 0)
    // There is no negative zero among whole numbers: its sign stays where it is.
    if (value === 0) this.#literal(start - this.at)
    this.#slot(SLOT.decimal + places, isSign && value !== 0 ? -value : value, start - this.at + bytes)
  }

  /** Digits behind the point of the number whose `whole` digits begin at `start`; 0 where points separate, as in 10.0.0.1. */
  #placesBehind(start: number, whole: number): number {
    const point = start + whole
    if (this.#field[point] !== POINT || (start > 0 && this.#field[start - 1] === POINT)) return 0
    const places = this.#digitsFrom(point + 1)
    return whole + places <= DIGITS_MAX && this.#field[point + 1 + places] !== POINT ? places : 0
  }

  #valueOf(at: number, digits: number): number {
    let value = 0
    for (let index = at; index < at + digits; index += 1) value = value * 10 + (this.#field[index]! - ZERO)
    return value
  }
}

/** How many numbers a template takes. @throws repository-damaged */
export function slotsOf(template: Uint8Array, reader: ByteReader): number {
  let slots = 0
  for (let at = 0; at < template.length; at += 1) {
    if (template[at] !== SLOT_MARK) continue
    at += 1
    if (!isSlot(template[at])) throw reader.damaged('has a template with an unknown slot')
    slots += 1
  }
  return slots
}

function isSlot(kind: number | undefined): boolean {
  if (kind === undefined) return false
  if (kind >= SLOT.moment) return kind <= SLOT.fraction
  if (kind >= SLOT.digits) return kind - SLOT.digits >= 2 && kind - SLOT.digits <= DIGITS_MAX
  return kind >= SLOT.decimal && kind - SLOT.decimal < DIGITS_MAX
}

/** The field that a template gives; `next` gives its numbers in order. @throws repository-damaged */
export function fillTemplate(template: Buffer, next: (slot: number) => number, reader: ByteReader): Buffer {
  const parts: Buffer[] = []
  let slot = 0
  let start = 0
  for (let mark = template.indexOf(SLOT_MARK); mark >= 0; mark = template.indexOf(SLOT_MARK, start)) {
    parts.push(template.subarray(start, mark))
    parts.push(Buffer.from(written(template[mark + 1]!, next(slot), reader), 'latin1'))
    slot += 1
    start = mark + 2
  }
  parts.push(template.subarray(start))
  return Buffer.concat(parts)
}

function written(kind: number, number: number, reader: ByteReader): string {
  if (kind < SLOT.digits) return decimal(number, kind - SLOT.decimal)
  if (kind < SLOT.moment) {
    const digits = kind - SLOT.digits
    return padded(within(number, 0, 10 ** digits - 1, reader), digits)
  }
  if (kind === SLOT.date) return formatDate(within(number, DAY_MIN, DAY_MAX, reader))
  if (kind === SLOT.fraction)
    return `.${padded(within(number, 1, 999_999, reader), FRACTION_DIGITS).replace(/0+$/, '')}`
  const day = within(Math.floor(number / DAY_SECONDS), DAY_MIN, DAY_MAX, reader)
  return `${formatDate(day)} ${formatTime(number - day * DAY_SECONDS)}`
}

function decimal(number: number, places: number): string {
  const digits = padded(Math.abs(number), places + 1)
  const sign = number < 0 ? '-' : ''
  if (places === 0) return `${sign}${digits}`
  return `${sign}${digits.slice(0, -places)}.${digits.slice(-places)}`
}

function within(number: number, min: number, max: number, reader: ByteReader): number {
  if (number < min || number > max) throw reader.damaged('holds a number that its slot cannot write')
  return number
}
