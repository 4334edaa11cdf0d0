/**
 * Columns of patterns written by hand, at every bound of the format and one step beyond: the kernel and the plain
 * TypeScript take the same ones, and make the same of them. Damage at random does not come so close.
 */
import { describe, expect, it } from 'vitest'
import { Kernel } from '../../../src/repository/kernel/kernel.ts'
import { LeafCodec } from '../../../src/repository/kernel/leaf-codec.ts'
import { decodeLeaf } from '../../../src/repository/tree/leaf-codec.ts'

const M = 999_999_999_999_999
const ROWS = 2
/** Longer than any text below. */
const TEXT_BYTES_MAX = 90

const kernel = new Kernel()

interface Stream {
  readonly flags?: number
  readonly base?: number
  readonly unit?: number
  /** Mode 1: a start, zigzag; mode 2: a column. */
  readonly more?: number
  readonly planes?: readonly number[]
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  return [...bytes, rest]
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}

function stream({ flags = 0, base = 0, unit = 1, more, planes = [] }: Stream): number[] {
  return [flags, ...varint(zigzag(base)), ...varint(unit), ...(more === undefined ? [] : varint(more)), ...planes]
}

/** One template of one slot. */
function column(kind: number, numbers: Stream): number[] {
  return [1, 0x09, kind, 0x0a, ...stream(numbers)]
}

function leaf(...columns: readonly (readonly number[])[]): Buffer {
  const heads = columns.flatMap((bytes) => [3, ...varint(bytes.length)])
  return Buffer.from([ROWS, columns.length, ...heads, ...columns.flat()])
}

/** The text that both make of it, or null when both refuse it, whatever its parent says of its length. */
function taken(encoded: Buffer): string | null {
  const columns = encoded[1]!
  let found: string | null = null
  for (let textBytes = 1; textBytes <= TEXT_BYTES_MAX; textBytes += 1) {
    const at = new LeafCodec(kernel, columns).decode(encoded, { rows: ROWS, textBytes })
    const fast = at === null ? null : kernel.bytes(at, at + textBytes).toString('latin1')
    expect(fast).toBe(plainly(encoded, columns, textBytes))
    found = fast ?? found
  }
  return found
}

function plainly(encoded: Buffer, columns: number, textBytes: number): string | null {
  try {
    return decodeLeaf(encoded, { rows: ROWS, columns, textBytes, what: 'leaf' }).toString('latin1')
  } catch (error) {
    expect(error).toMatchObject({ code: 'repository-damaged' })
    return null
  }
}

const INTEGER = 0x10
const number = (kind: number, base: number) => taken(leaf(column(kind, { base })))

describe('a column of patterns is taken by kernel and plain reading alike', () => {
  it('up to the largest number, base, start, unit and difference', () => {
    expect(number(INTEGER, M)).toBe(`${M}\n${M}\n`)
    expect(number(INTEGER, -M)).toBe(`-${M}\n-${M}\n`)
    expect(number(INTEGER, M + 1)).toBeNull()
    expect(number(INTEGER, -M - 1)).toBeNull()

    const plane = (byte: number) => ({ flags: 0x14, planes: [byte, byte] })
    expect(taken(leaf(column(INTEGER, { ...plane(1), base: 2 * M, unit: M })))).toBe(`${M}\n${M}\n`)
    expect(taken(leaf(column(INTEGER, { ...plane(3), base: 2 * M, unit: M })))).toBe('0\n0\n')
    expect(taken(leaf(column(INTEGER, { ...plane(1), base: 2 * M + 1, unit: M })))).toBeNull()
    expect(taken(leaf(column(INTEGER, { ...plane(7), base: 2 * M, unit: M })))).toBeNull()
    expect(taken(leaf(column(INTEGER, { ...plane(9), base: 2 * M, unit: M })))).toBeNull()
    expect(taken(leaf(column(INTEGER, { unit: 4 * M })))).toBe('0\n0\n')
    expect(taken(leaf(column(INTEGER, { unit: 4 * M + 1 })))).toBeNull()
    expect(taken(leaf(column(INTEGER, { unit: 0 })))).toBeNull()
    const step = { flags: 0x01, base: -2 * M }
    expect(taken(leaf(column(INTEGER, { ...step, more: zigzag(3 * M) })))).toBe(`${M}\n-${M}\n`)
    expect(taken(leaf(column(INTEGER, { ...step, more: zigzag(3 * M + 1) })))).toBeNull()
    const far = (first: number, second: number) => ({
      flags: 0x15,
      base: 2 * M,
      unit: M,
      more: zigzag(3 * M),
      planes: [first, second],
    })
    expect(taken(leaf(column(INTEGER, far(7, 3))))).toBe(`${M}\n${M}\n`)
    expect(taken(leaf(column(INTEGER, far(9, 1))))).toBeNull()
    // 2^51 times 2^13 is 0 in sixty-four bits.
    expect(taken(leaf(column(INTEGER, { flags: 0x20, unit: 2 ** 51, planes: [0, 0, 0x20, 0x20] })))).toBeNull()
    expect(taken(leaf(column(INTEGER, { flags: 0x70, planes: Array(14).fill(0xff) })))).toBeNull()
  })

  it('with flags, templates and slots of the format only', () => {
    for (const flags of [0x03, 0x08, 0x80]) expect(taken(leaf(column(INTEGER, { flags })))).toBeNull()
    for (const kind of [0x0f, 0x1f, 0x20, 0x21, 0x33, 0x0a, 0xff]) expect(number(kind, 1)).toBeNull()
    const slots = (count: number) => [
      ...[1, ...Array.from({ length: count }, () => [0x09, INTEGER]).flat(), 0x0a],
      ...Array.from({ length: count }, () => stream({})).flat(),
    ]
    expect(taken(leaf(slots(8)))).toBe('00000000\n00000000\n')
    expect(taken(leaf(slots(9)))).toBeNull()
    expect(taken(leaf([2, 0x61, 0x0a, 0x62, 0x0a, 1, 0]))).toBe('b\na\n')
    expect(taken(leaf([2, 0x61, 0x0a, 0x62, 0x0a, 1, 2]))).toBeNull()
    expect(taken(leaf([0]))).toBeNull()
    expect(taken(leaf([1, 0x61, 0x09, 0x0a]))).toBeNull()
    expect(taken(leaf([1, 0x61, 0x0a, 0]))).toBeNull()
  })

  it('with numbers that their slots can write only', () => {
    expect(number(0x22, 99)).toBe('99\n99\n')
    expect(number(0x22, 100)).toBeNull()
    expect(number(0x22, -1)).toBeNull()
    expect(number(0x2f, M)).toBe(`${M}\n${M}\n`)
    expect(number(0x1e, -1)).toBe('-0.00000000000001\n-0.00000000000001\n')
    expect(number(0x30, 253_402_300_799)).toBe('9999-12-31 23:59:59\n9999-12-31 23:59:59\n')
    expect(number(0x30, 253_402_300_800)).toBeNull()
    expect(number(0x30, -62_135_596_800)).toBe('0001-01-01 00:00:00\n0001-01-01 00:00:00\n')
    expect(number(0x30, -62_135_596_801)).toBeNull()
    expect(number(0x31, 2_932_896)).toBe('9999-12-31\n9999-12-31\n')
    expect(number(0x31, 2_932_897)).toBeNull()
    expect(number(0x31, -719_163)).toBeNull()
    expect(number(0x32, 120_000)).toBe('.12\n.12\n')
    expect(number(0x32, 0)).toBeNull()
    expect(number(0x32, 1_000_000)).toBeNull()
  })

  it('with references to columns before it that have numbers only', () => {
    const seven = column(INTEGER, { base: 7 })
    const words = [1, 0x61, 0x0a]
    const after = (referred: number) => column(INTEGER, { flags: 0x02, base: 1, more: referred })

    expect(taken(leaf(seven, after(0)))).toBe('7\t8\n7\t8\n')
    expect(taken(leaf(seven, after(1)))).toBeNull()
    expect(taken(leaf(after(1), seven))).toBeNull()
    expect(taken(leaf(words, after(0)))).toBeNull()
    expect(taken(leaf(seven, after(2 ** 40)))).toBeNull()
    // Its first row has no number: what it had last is 0.
    const late = [2, 0x61, 0x0a, 0x09, INTEGER, 0x0a, 0, 1, ...stream({ base: 5 })]
    expect(taken(leaf(late, after(0)))).toBe('a\t1\n5\t6\n')
    expect(taken(leaf(seven, [...late.slice(0, 8), ...stream({ flags: 0x02, more: 0 })]))).toBe('7\ta\n7\t7\n')
  })
})
