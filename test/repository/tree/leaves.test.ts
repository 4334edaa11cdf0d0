/**
 * The leaves of a table are a function of its rows: against a slow, obvious model (support.ts), and as properties of
 * their own: history independence, cost of an edit, sizes under keys that an adversary chose.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isCut, keyHash, LEAF_CUT } from '../../../src/repository/tree/boundary.ts'
import { encodeKey } from '../../../src/repository/tree/key.ts'
import { locatorSpec, type TreeSpec } from '../../../src/repository/tree/spec.ts'
import {
  BAG,
  factsOf,
  KEYS,
  leavesOf,
  lineOf,
  manyRows,
  modelLeaves,
  propertyRuns,
  type Row,
  row,
  seededRandom,
  shuffled,
  WARD,
} from './support.ts'

const LOCATOR = locatorSpec(WARD)!

function locatorLine({ anchor, id }: Row): string {
  return `${id}\t${anchor}\n`
}

const distinctRows = fc.uniqueArray(row, { selector: ({ id }) => id, maxLength: 60 })
const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 })

describe('the leaves of a table', () => {
  it('are those of the model, and its locator those of the model over key and anchor, for rows of any text', async () => {
    await fc.assert(
      fc.asyncProperty(distinctRows, async (rows) => {
        const built = await leavesOf(WARD, rows.map(lineOf).join(''))

        expect(factsOf(built.rows)).toEqual(modelLeaves(WARD, rows.map(lineOf)))
        expect(factsOf(built.locator)).toEqual(modelLeaves(LOCATOR, rows.map(locatorLine)))
      }),
      propertyRuns(60),
    )
  })

  it('are the same in whatever order, pieces and runs the rows come', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, fc.integer({ min: 1, max: 70_000 }), async (seed, pieceBytes) => {
        const random = seededRandom(seed)
        const rows = manyRows(3000, random)
        const once = await leavesOf(WARD, rows.map(lineOf).join(''))

        const text = shuffled(rows, random).map(lineOf).join('')
        const again = await leavesOf(WARD, text, { pieceBytes, runBytes: 20_000 + Math.floor(random() * 60_000) })

        expect(factsOf(again.rows)).toEqual(factsOf(once.rows))
        expect(factsOf(again.locator)).toEqual(factsOf(once.locator))
        expect(factsOf(once.rows)).toEqual(modelLeaves(WARD, rows.map(lineOf)))
      }),
      propertyRuns(8),
    )
  })

  it('depend on the rows that are there, not on the edits that led to them', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const random = seededRandom(seed)
        const rows = manyRows(2000, random)
        const detour = new Map(manyRows(2500, random).map((each) => [each.id, each]))
        for (const each of rows) detour.set(each.id, each)
        for (const id of [...detour.keys()].slice(rows.length)) detour.delete(id)

        const direct = await leavesOf(WARD, rows.map(lineOf).join(''))
        const edited = await leavesOf(WARD, [...detour.values()].map(lineOf).join(''))

        expect(factsOf(edited.rows)).toEqual(factsOf(direct.rows))
      }),
      propertyRuns(5),
    )
  })

  it('change by no more than a few for each row edited', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, fc.integer({ min: 1, max: 5 }), async (seed, edits) => {
        const random = seededRandom(seed)
        const rows = manyRows(20_000, random)
        const before = await leavesOf(WARD, rows.map(lineOf).join(''))
        const known = new Set(factsOf(before.rows).map(({ digest }) => digest))

        const edited = rows.map((each) => ({ ...each }))
        for (let edit = 0; edit < edits; edit += 1) {
          const at = Math.floor(random() * edited.length)
          if (random() < 0.3) edited.splice(at, 1)
          else edited[at] = { ...edited[at]!, text: `edited ${edit}\t${edit}` }
        }
        const after = factsOf((await leavesOf(WARD, edited.map(lineOf).join(''))).rows)

        expect(known.size).toBeGreaterThan(15)
        // Three on average; a cut that vanished is met again a few leaves later.
        expect(after.filter(({ digest }) => !known.has(digest)).length).toBeLessThanOrEqual(8 * edits)
      }),
      propertyRuns(6),
    )
  })

  it('of a bag tell equal rows apart by ordinals, and are the same in whatever order these come', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 25 }), seeds, async (some, seed) => {
        const rows = [...some, ...some.slice(0, 10), ...some.slice(0, 5)]

        const built = await leavesOf(BAG, rows.map(lineOf).join(''))
        const again = await leavesOf(BAG, shuffled(rows, seededRandom(seed)).map(lineOf).join(''), { pieceBytes: 97 })

        expect(factsOf(built.rows)).toEqual(modelLeaves(BAG, rows.map(lineOf)))
        expect(factsOf(again.rows)).toEqual(factsOf(built.rows))
        expect(built.locator).toEqual([])
      }),
      propertyRuns(40),
    )
  })

  it('of a bag that was spilled in many runs are those of the model', async () => {
    const random = seededRandom(11)
    const rows = manyRows(300, random)
    const lines = shuffled([...rows, ...rows, ...rows.slice(0, 50)].map(lineOf), random)

    const built = await leavesOf(BAG, lines.join(''), { runBytes: 9_000 })

    expect(factsOf(built.rows)).toEqual(modelLeaves(BAG, lines))
  })

  it('of a table with two rows of one key are refused, in one run as in many', async () => {
    const rows = manyRows(2000, seededRandom(1))
    const text = [...rows, { ...rows[7]!, text: 'another\t1' }].map(lineOf).join('')

    for (const runBytes of [1 << 20, 30_000]) {
      await expect(leavesOf(WARD, text, { runBytes })).rejects.toMatchObject({ code: 'duplicate-key' })
    }
  })

  it('of rows with another number of fields than their table are refused', async () => {
    for (const line of ['1\t2\t3\n', '1\t2\t3\t4\t5\n', '\n']) {
      await expect(leavesOf(WARD, `1\t1\ta\tb\n${line}2\t3\ta\tb\n`)).rejects.toMatchObject({ code: 'source-failed' })
    }
  })

  it('of no rows are none', async () => {
    expect(await leavesOf(WARD, '')).toEqual({ rows: [], locator: [] })
  })

  it('hold rows of several megabytes as they are', async () => {
    const giant = 'g'.repeat(3_000_000)
    const rows = manyRows(400, seededRandom(5))
    rows[3] = { ...rows[3]!, text: `${giant}\t1` }
    rows[9] = { ...rows[9]!, text: `${giant}${giant}\t2` }
    const lines = rows.map(lineOf)

    const built = await leavesOf(WARD, lines.join(''), { runBytes: 1_000_000, encode: true })

    expect(factsOf(built.rows)).toEqual(modelLeaves(WARD, lines))
  })
})

describe('leaf sizes', () => {
  const sizesOf = async (spec: TreeSpec, lines: readonly string[]) =>
    factsOf((await leavesOf(spec, lines.join(''))).rows).map(({ textBytes }) => textBytes)

  it('lie near the target: their mean within a tenth, their spread about a quarter', async () => {
    const sizes = await sizesOf(WARD, manyRows(150_000, seededRandom(3)).map(lineOf))

    const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length
    const variance = sizes.reduce((sum, size) => sum + (size - mean) ** 2, 0) / sizes.length
    expect(sizes.length).toBeGreaterThan(150)
    expect(mean / 32_768).toBeGreaterThan(0.9)
    expect(mean / 32_768).toBeLessThan(1.1)
    expect(Math.sqrt(variance) / mean).toBeLessThan(0.33)
  })

  it('stay within the bounds when every key was chosen to be cut at, or never to be', async () => {
    const hash = keyHash(KEYS.cutSeed, 0)
    const candidates = Array.from({ length: 40_000 }, (_, index) => ({ anchor: '1', id: String(index), text: 'x\ty' }))
    const scored = candidates
      .map((each) => ({ each, hash: hash(encodeKey([Buffer.from(each.anchor), Buffer.from(each.id)])) }))
      .sort((a, b) => a.hash - b.hash)
      .map(({ each }) => lineOf(each))

    const eager = await sizesOf(WARD, scored.slice(0, 8000))
    const never = await sizesOf(WARD, scored.slice(-16_000))

    for (const size of [...eager.slice(0, -1), ...never.slice(0, -1)]) {
      expect(size).toBeGreaterThanOrEqual(LEAF_CUT.min)
      expect(size).toBeLessThan(LEAF_CUT.max + 20)
    }
    expect(eager.length).toBeGreaterThan(5)
    expect(never.length).toBeGreaterThan(1)
  })

  it('are a matter of the key, the size and the row alone, with no memory', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200_000 }),
        fc.integer({ min: 1, max: 100_000 }),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        (size, unit, hash) => {
          const expected = size >= LEAF_CUT.max || (size >= LEAF_CUT.min && hash / 2 ** 32 < hazardOf(size) * unit)
          expect(isCut(LEAF_CUT, size, unit, hash)).toBe(expected)
        },
      ),
      propertyRuns(500),
    )
  })
})

/** In the order in which the format says it is multiplied; a power of two changes no rounding. */
function hazardOf(size: number): number {
  const ratio = size / LEAF_CUT.scale
  return (4 * ratio * ratio * ratio) / LEAF_CUT.scale
}
