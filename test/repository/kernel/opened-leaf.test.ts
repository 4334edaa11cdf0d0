/**
 * A leaf that the kernel opens, against the plain reading of it: rows, keys, digest, place in the tree and locator sum,
 * of whole leaves and of damaged ones. What the kernel refuses the plain way must be asked for; what it takes must be
 * what the plain way makes of it (I3).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CHECK } from '../../../src/repository/kernel/kernel.ts'
import { openLeaf } from '../../../src/repository/kernel/opened-leaf.ts'
import { keyHash } from '../../../src/repository/tree/boundary.ts'
import { TreeDigester } from '../../../src/repository/tree/digest.ts'
import { compareBytes } from '../../../src/repository/tree/key.ts'
import { decodeLeaf, encodeLeaf } from '../../../src/repository/tree/leaf-codec.ts'
import { parseRows, type Rows } from '../../../src/repository/tree/rows.ts'
import type { TreeSpec } from '../../../src/repository/tree/spec.ts'
import type { LeafExpectation } from '../../../src/verify/leaf-expectations.ts'
import { fullKey, leafProblem, openedLeafProblem } from '../../../src/verify/leaf-rows.ts'
import { locatorSum, openedLocatorSum } from '../../../src/verify/locator-sum.ts'
import { BAG, fieldBytes, KEYS, propertyRuns, WARD } from '../tree/support.ts'

const WIDE: TreeSpec = { name: 'public.wide', fieldCount: 4, anchor: 2, key: [3, 1] }
const PLAIN: TreeSpec = { name: 'public.plain', fieldCount: 4, anchor: null, key: [0] }
const spec = fc.constantFrom(WARD, BAG, WIDE, PLAIN)

const digits = fc.integer({ min: 1, max: 30 }).map(String)
/** Long ones bring a leaf to the sizes at which it may be cut. */
const field = fc.oneof(
  digits,
  fieldBytes,
  fc.constantFrom(500, 5000).map((bytes) => 'y'.repeat(bytes)),
)
const line = fc.tuple(fc.oneof(digits, fieldBytes), fc.oneof(digits, fieldBytes), field, field)
const lines = fc.array(line, { minLength: 1, maxLength: 40 })

function textOf(rows: readonly (readonly string[])[]): Buffer {
  return Buffer.from(rows.map((fields) => `${fields.join('\t')}\n`).join(''))
}

/** In the order of a tree of `of`, equal lines beside each other; as they come when `shuffled`. */
function leafText(of: TreeSpec, rows: readonly (readonly string[])[], shuffled: boolean): Buffer {
  if (shuffled) return textOf(rows)
  const parsed = parseRows(of, textOf(rows))
  const order = Array.from({ length: parsed.count }, (_, row) => row)
  order.sort((a, b) => compareBytes(keyOf(parsed, a), keyOf(parsed, b)))
  return textOf(order.map((row) => rows[row]!))
}

function keyOf(rows: Rows, row: number): Buffer {
  return rows.keys.subarray(rows.keyStart[row], rows.keyStart[row + 1])
}

function expectedOf(of: TreeSpec, text: Buffer, rows: number) {
  return { rows, columns: of.fieldCount, textBytes: text.length, what: 'leaf' }
}

describe('a leaf that the kernel opens', () => {
  it('has the rows, the keys and the group digests that the plain reading gives it', () => {
    fc.assert(
      fc.property(spec, lines, fc.boolean(), (of, rows, shuffled) => {
        const text = leafText(of, rows, shuffled)
        const plain = parseRows(of, text)

        const opened = openLeaf(of, encodeLeaf(text, rows.length, of.fieldCount), expectedOf(of, text, rows.length))
        const digests = opened!.groupDigests(new TreeDigester(KEYS, of.name))

        expect(hexOf(digests)).toBe(hexOf(new TreeDigester(KEYS, of.name).groupDigests(plain, 0, plain.count)))
        expect(flat(opened!.rows())).toBe(flat(plain))
      }),
      propertyRuns(400),
    )
  })

  it('has the same digests and lines when nobody asks for its keys, and then refuses to tell of rows', () => {
    fc.assert(
      fc.property(spec, lines, fc.boolean(), (of, rows, shuffled) => {
        const text = leafText(of, rows, shuffled)
        const plain = parseRows(of, text)

        const encoded = encodeLeaf(text, rows.length, of.fieldCount)
        const opened = openLeaf(of, encoded, expectedOf(of, text, rows.length), 'text')!
        const digests = opened.groupDigests(new TreeDigester(KEYS, of.name))

        expect(hexOf(digests)).toBe(hexOf(new TreeDigester(KEYS, of.name).groupDigests(plain, 0, plain.count)))
        expect(opened.viewText().equals(text)).toBe(true)
        expect(() => opened.rows()).toThrow('opened for its text')
        expect(() => opened.placeOfRows(null, true, KEYS.cutSeed)).toThrow('opened for its text')
      }),
      propertyRuns(400),
    )
  })

  it('stands in its place, or not, as the plain reading says', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(
        spec,
        lines,
        fc.record({ shuffled: fc.boolean(), isLast: fc.boolean(), after: fc.nat({ max: 3 }), end: fc.nat({ max: 9 }) }),
        (of, rows, { shuffled, isLast, after, end }) => {
          const text = leafText(of, rows, shuffled)
          const plain = parseRows(of, text)
          const before = keyBefore(of, plain, after)
          const lastKey = end === 0 ? Buffer.of(1) : lastKeyOf(of, plain, before)
          const seat = { entry: { lastKey }, after: before, isLast } as unknown as LeafExpectation

          const opened = openLeaf(of, encodeLeaf(text, rows.length, of.fieldCount), expectedOf(of, text, rows.length))!
          const problem = openedLeafProblem(opened, seat, KEYS.cutSeed)

          seen.add(problem?.replaceAll(/\d+/g, 'n') ?? 'none')
          expect(problem).toBe(leafProblem(of, plain, seat, keyHash(KEYS.cutSeed, 0)))
        },
      ),
      propertyRuns(1500),
    )
    expect([...seen].sort()).toEqual([
      'ends at another key than its parent says',
      'ends where the rule does not cut',
      'has row n out of order',
      'none',
      'should end behind row n of n',
    ])
  })

  it('has the locator sum that the plain reading gives it', () => {
    fc.assert(
      fc.property(fc.constantFrom(WARD, WIDE), lines, (of, rows) => {
        const text = textOf(rows)
        const encoded = encodeLeaf(text, rows.length, of.fieldCount)
        for (const summed of ['own', 'derived', null] as const) {
          const form = { spec: of, summed }

          const opened = openLeaf(
            of,
            encoded,
            expectedOf(of, text, rows.length),
            summed === 'derived' ? 'locator' : 'rows',
          )!

          expect(openedLocatorSum(form, opened, KEYS.cutSeed)).toBe(locatorSum(form, parseRows(of, text), KEYS.cutSeed))
        }
      }),
      propertyRuns(200),
    )
  })

  it('is refused when damaged, or holds what the plain reading finds in it', () => {
    fc.assert(
      fc.property(spec, lines, fc.nat(), fc.nat({ max: 255 }), fc.boolean(), (of, rows, where, byte, cut) => {
        const text = textOf(rows)
        const whole = encodeLeaf(text, rows.length, of.fieldCount)
        const damaged = Buffer.from(cut ? whole.subarray(0, where % whole.length) : whole)
        if (!cut) damaged[where % whole.length] = byte
        const expected = expectedOf(of, text, rows.length)

        const opened = openLeaf(of, damaged, expected)?.copyText()
        const plain = attempt(() => decodeLeaf(damaged, expected))

        if (opened) expect(plain && opened.equals(plain)).toBe(true)
        // Plainly a tab may come through, which the row's number of fields then tells.
        else if (plain) expect(attempt(() => parseRows(of, plain))).toBeNull()
      }),
      propertyRuns(1500),
    )
  })

  it('of more text than the kernel should keep room for is left to the plain reading', () => {
    const text = textOf([['1', '2', '3', 'z'.repeat(9 * 1024 * 1024)]])

    expect(openLeaf(WARD, encodeLeaf(text, 1, 4), expectedOf(WARD, text, 1))).toBeNull()
  })

  it('says that rows are out of order by the status that says so', () => {
    const text = textOf([
      ['1', '2', '', ''],
      ['1', '1', '', ''],
    ])

    const opened = openLeaf(WARD, encodeLeaf(text, 2, 4), expectedOf(WARD, text, 2))!

    expect(opened.placeOfRows(null, true, KEYS.cutSeed)).toMatchObject({ status: CHECK.outOfOrder, row: 1 })
  })
})

function hexOf(parts: readonly Uint8Array[]): string {
  return parts.map((part) => Buffer.from(part).toString('hex')).join(' ')
}

/** As one text: comparing thousands of numbers one by one takes a test's time. */
function flat(rows: Rows): string {
  const { count, text, keys, textStart, keyStart, anchorBytes } = rows
  return `${count} ${text.toString('latin1')} ${keys.toString('latin1')} ${textStart} ${keyStart} ${anchorBytes}`
}

/** None, one before all, the first row's own key, or a bag's key of an equal row before. */
function keyBefore(of: TreeSpec, rows: Rows, kind: number): Uint8Array | null {
  if (kind === 0) return null
  if (kind === 1) return Buffer.of(0)
  return Uint8Array.from(fullKey(of, rows, 0, kind === 2 ? null : fullKey(of, rows, 0, null)))
}

function lastKeyOf(of: TreeSpec, rows: Rows, before: Uint8Array | null): Uint8Array {
  let key = before
  for (let row = 0; row < rows.count; row += 1) key = fullKey(of, rows, row, key)
  return Uint8Array.from(key!)
}

function attempt<T>(work: () => T): T | null {
  try {
    return work()
  } catch {
    return null
  }
}
