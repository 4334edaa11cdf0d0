/**
 * Whole numbers of a column, one behind the other, as byte planes: all lowest bytes, then all second ones …, so that
 * zstd sees bytes that are alike beside each other.
 *
 *     flags (bits 0–1: mode; bit 2: signed; bits 4–6: bytes of a number) · zigzag varint base · varint unit
 *     [mode 1: zigzag varint start] [mode 2: varint column] · the planes
 *
 *     value = reference + base + unit · n        reference  mode 0  0
 *                                                           mode 1  the value before; before the first, start
 *                                                           mode 2  the number that column's first slot had last
 *
 * Signed n are zigzag: d ≥ 0 as 2d, d < 0 as −2d − 1. Every bound below keeps the sums within 2^53.
 */
import type { ByteReader, ByteWriter } from './varint.ts'

export const VALUE_MAX = 999_999_999_999_999
const BASE_MAX = 2 * VALUE_MAX
const START_MAX = 3 * VALUE_MAX
const DIFFERENCE_MAX = 4 * VALUE_MAX
/** Looked at as references: the nearest columns of the same kind. */
export const REFERENCES_MAX = 4

const MODE = { raw: 0, delta: 1, column: 2 } as const
const SIGNED = 4
const BYTES_SHIFT = 4
const FLAGS_USED = 0b0111_0111

/** Another column's numbers, one for each number of the stream. */
export interface Reference {
  readonly column: number
  readonly values: Float64Array
}

interface Candidate {
  readonly mode: number
  readonly signed: boolean
  readonly base: number
  readonly start: number
  readonly column: number
  readonly bits: number
  /** Signed: as they are; else less `base`. */
  readonly differences: Float64Array
}

export function encodeNumbers(values: Float64Array, references: readonly Reference[], out: ByteWriter): void {
  const best = candidates(values, references).reduce((a, b) => (b.bits < a.bits ? b : a))
  const unit = greatestCommonDivisor(best.differences)
  const numbers = best.differences.map((difference) => {
    const units = difference / unit
    return best.signed && units < 0 ? -2 * units - 1 : best.signed ? 2 * units : units
  })
  const bytes = Math.ceil(bitLength(numbers.reduce((a, b) => Math.max(a, b), 0)) / 8)
  out.byte(best.mode + (best.signed ? SIGNED : 0) + (bytes << BYTES_SHIFT))
  out.varint(zigzag(best.base))
  out.varint(unit)
  if (best.mode === MODE.delta) out.varint(zigzag(best.start))
  if (best.mode === MODE.column) out.varint(best.column)
  let scale = 1
  for (let plane = 0; plane < bytes; plane += 1) {
    for (const number of numbers) out.byte(Math.floor(number / scale) % 0x100)
    scale *= 0x100
  }
}

function candidates(values: Float64Array, references: readonly Reference[]): Candidate[] {
  const found = [unsigned({ mode: MODE.raw, start: 0, column: 0 }, values)]
  // As if the first step were the second one: numbers that grow evenly then need no bytes at all.
  const start = values.length > 1 ? 2 * values[0]! - values[1]! : 0
  const steps = values.map((value, index) => value - (index === 0 ? start : values[index - 1]!))
  found.push(...bothWays({ mode: MODE.delta, start, column: 0 }, steps))
  for (const { column, values: others } of references) {
    const apart = values.map((value, index) => value - others[index]!)
    found.push(...bothWays({ mode: MODE.column, start: 0, column }, apart))
  }
  return found
}

type Way = Pick<Candidate, 'mode' | 'start' | 'column'>

function bothWays(way: Way, differences: Float64Array): Candidate[] {
  const bits = differences.reduce((sum, difference) => sum + bitLength(zigzag(difference)), 0)
  return [unsigned(way, differences), { ...way, signed: true, base: 0, bits, differences }]
}

function unsigned(way: Way, values: Float64Array): Candidate {
  const base = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  const differences = values.map((value) => value - base)
  const bits = differences.reduce((sum, difference) => sum + bitLength(difference), 0)
  return { ...way, signed: false, base, bits, differences }
}

function greatestCommonDivisor(numbers: Float64Array): number {
  let divisor = 0
  for (const number of numbers) {
    if (divisor === 1) break
    let rest = Math.abs(number)
    while (rest !== 0) [divisor, rest] = [rest, divisor % rest]
  }
  return Math.max(1, divisor)
}

/** Of a whole number from 0 to 2^53. */
function bitLength(number: number): number {
  if (number < 2 ** 32) return 32 - Math.clz32(number)
  return 64 - Math.clz32(Math.floor(number / 2 ** 32))
}

function zigzag(number: number): number {
  return number < 0 ? -2 * number - 1 : 2 * number
}

function fromZigzag(number: number): number {
  return number % 2 === 1 ? -(number + 1) / 2 : number / 2
}

/** The numbers of a stream, one after the other. */
export interface NumberSource {
  /** `current` gives the number that a column's first slot had last. @throws repository-damaged */
  next(current: (column: number) => number): number
}

/** `count` numbers; `hasNumbers` says to which columns they may refer. @throws repository-damaged */
export function decodeNumbers(
  reader: ByteReader,
  count: number,
  hasNumbers: (column: number) => boolean,
): NumberSource {
  const flags = reader.byte()
  const mode = flags & 3
  const bytes = flags >> BYTES_SHIFT
  if ((flags & ~FLAGS_USED) !== 0 || mode > MODE.column) throw reader.damaged('has numbers of an unknown kind')
  const base = bounded(fromZigzag(reader.varint()), BASE_MAX, reader)
  const unit = bounded(reader.varint(), DIFFERENCE_MAX, reader)
  const start = mode === MODE.delta ? bounded(fromZigzag(reader.varint()), START_MAX, reader) : 0
  const column = mode === MODE.column ? reader.varint() : 0
  if (mode === MODE.column && !hasNumbers(column)) throw reader.damaged('has numbers that follow no column before them')
  if (unit === 0) throw reader.damaged('has numbers of unit 0')
  const planes = reader.bytes(bytes * count)
  const numberMax = Math.floor(DIFFERENCE_MAX / unit)

  let before = start
  let at = 0
  return {
    next(current) {
      let number = 0
      for (let plane = bytes - 1; plane >= 0; plane -= 1) number = number * 0x100 + planes[plane * count + at]!
      at += 1
      const units = (flags & SIGNED) === 0 ? number : fromZigzag(number)
      if (number > 2 * DIFFERENCE_MAX || Math.abs(units) > numberMax)
        throw reader.damaged('holds a number out of range')
      const reference = mode === MODE.raw ? 0 : mode === MODE.delta ? before : current(column)
      before = bounded(reference + base + unit * units, VALUE_MAX, reader)
      return before
    },
  }
}

function bounded(number: number, max: number, reader: ByteReader): number {
  if (Math.abs(number) > max) throw reader.damaged('holds a number out of range')
  return number
}
