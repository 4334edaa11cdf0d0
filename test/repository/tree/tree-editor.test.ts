/**
 * An edited tree is the tree that would be built of its rows from scratch, and costs what was edited. Cut rules are tiny
 * here, so that a few rows make a tree of several levels, in which leaves and nodes split, join and vanish all the time.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TreeEdit } from '../../../src/repository/tree/tree-editor.ts'
import { rootEntry, type TreeRoot } from '../../../src/repository/tree/tree-root.ts'
import { hexKey, playEdits } from './edit-model.ts'
import { builtFromScratch, type Cuts, keyOf, rootFacts, TINY, Workshop } from './editor-support.ts'
import { lineOf, manyRows, propertyRuns, seededRandom, WARD } from './support.ts'

/** Nodes of about eight leaves of about a dozen rows. */
const SMALL: Cuts = { leaf: { scale: 600, min: 200, max: 2000 }, node: { scale: 9, min: 3, max: 24 } }
const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 })

describe('an edited tree', () => {
  it('has the root of a build from scratch after every step of a random history, and every row can be read', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        await playEdits(seededRandom(seed), 12)
      }),
      propertyRuns(15),
    )
  })
})

describe('a tree of which only its last subtree is left', () => {
  it('has its root where a level has but one node, although nothing of that subtree is read otherwise', async () => {
    const lines = manyRows(700, seededRandom(8))
      .map(lineOf)
      .sort((a, b) => (hexKey(a) < hexKey(b) ? -1 : 1))
    let found = 0
    for (let size = 30; size < lines.length && found < 3; size += 1) {
      const workshop = new Workshop()
      const table = lines.slice(0, size)
      const edits = table.map((line) => ({
        key: keyOf(WARD, line),
        expects: 'absent' as const,
        after: Buffer.from(line),
      }))
      const { root } = await workshop.edit(WARD, null, edits, TINY)
      await workshop.flush()
      const left = await lastOnlyChild(workshop, root)
      if (left === 0) continue
      found += 1
      const removed = edits.slice(0, size - left).map(({ key }) => ({ key, expects: 'present' as const, after: null }))

      const edited = await workshop.edit(WARD, root, removed, TINY)

      expect(rootFacts(edited.root)).toEqual(rootFacts(await builtFromScratch(WARD, table.slice(size - left), TINY)))
    }
    expect(found).toBe(3)
  })
})

/** Rows below the root's last child, if that is a node over a single other one; otherwise 0. */
async function lastOnlyChild(workshop: Workshop, root: TreeRoot): Promise<number> {
  if (root.level < 3) return 0
  const reader = workshop.reader(WARD)
  const last = (await reader.readNode(rootEntry(root), root.level)).children.at(-1)!
  return (await reader.readNode(last, root.level - 1)).children.length === 1 ? last.rows : 0
}

describe('the cost of an edit', () => {
  const LINES = manyRows(60_000, seededRandom(4)).map(lineOf)

  async function base(lines: readonly string[]): Promise<{ workshop: Workshop; root: TreeRoot; chunks: number }> {
    const workshop = new Workshop()
    const edits = lines.map((line) => ({
      key: keyOf(WARD, line),
      expects: 'absent' as const,
      after: Buffer.from(line),
    }))
    const { root } = await workshop.edit(WARD, null, edits, SMALL)
    return { workshop, root, chunks: await workshop.flush() }
  }

  /** The row of a key in the middle gets another text. */
  function change(line: string): TreeEdit {
    const [anchor, id] = line.split('\t')
    return { key: keyOf(WARD, line), expects: 'present', after: Buffer.from(`${anchor}\t${id}\tchanged\t0\n`) }
  }

  it('is a few chunks for each row changed, whatever the size of the tree', async () => {
    const costs: { chunks: number; levels: number; read: number; stored: number }[] = []
    for (const size of [6_000, 60_000]) {
      const { workshop, root, chunks } = await base(LINES.slice(0, size))
      const edits = [0.2, 0.5, 0.8].map((part) => change(LINES[Math.floor(part * size)]!))

      const edited = await workshop.edit(WARD, root, edits, SMALL)

      costs.push({ chunks, levels: root.level, read: workshop.chunks.reads, stored: await workshop.flush() })
      expect(edited.leavesRead).toBeLessThanOrEqual(5 * edits.length)
    }
    const [small, large] = costs
    expect(large!.chunks).toBeGreaterThan(8 * small!.chunks)
    // Of each edit: its leaf and a few behind it until an old boundary is met again, and as much of every level.
    for (const { levels, read, stored } of costs) {
      expect(read).toBeLessThanOrEqual(3 * (5 + 2 * levels))
      expect(stored).toBeLessThanOrEqual(3 * (5 + 2 * levels))
    }
  })

  it('of appended rows is the last path, and of none nothing', async () => {
    const { workshop, root } = await base(LINES.slice(0, 20_000))
    const line = '999\t999999\tlast\t0\n'

    await workshop.edit(WARD, root, [{ key: keyOf(WARD, line), expects: 'absent', after: Buffer.from(line) }], SMALL)
    const { reads } = workshop.chunks
    const same = await workshop.edit(WARD, root, [], SMALL)

    expect(reads).toBe(root.level + 1)
    expect(await workshop.flush()).toBeLessThanOrEqual(root.level + 3)
    expect(workshop.chunks.reads).toBe(reads)
    expect(same.root).toBe(root)
  })

  it('that changes nothing is reading alone: leaf and nodes are named where they lie', async () => {
    const { workshop, root } = await base(LINES.slice(0, 20_000))
    const line = LINES[10_000]!
    const edits = [{ key: keyOf(WARD, line), expects: 'present' as const, after: Buffer.from(line) }]

    const edited = await workshop.edit(WARD, root, edits, SMALL)

    expect(edited.root).toEqual(root)
    expect(await workshop.flush()).toBe(0)
  })
})

describe('a tree that cannot be edited', () => {
  const lines = manyRows(400, seededRandom(2)).map(lineOf)
  const inserts = lines.map((line) => ({
    key: keyOf(WARD, line),
    expects: 'absent' as const,
    after: Buffer.from(line),
  }))

  it('because a leaf of it is damaged gives no other tree (I3)', async () => {
    const workshop = new Workshop()
    const { root } = await workshop.edit(WARD, null, inserts, TINY)
    await workshop.flush()
    for (const [key, bytes] of workshop.store.objects) {
      const altered = Uint8Array.from(bytes)
      for (let at = 40; at < altered.length - 64; at += 64) altered[at]! ^= 1
      workshop.store.objects.set(key, altered)
    }

    const editing = workshop.edit(WARD, root, [{ ...inserts[7]!, expects: 'present', after: null }], TINY)

    await expect(editing).rejects.toMatchObject({ code: 'repository-damaged' })
  })

  it('because a leaf of it decrypts to other rows than its digest is of gives no other tree (I3)', async () => {
    const workshop = new Workshop()
    const letters = lines.map((line) => line.replace(/\t\d+\n$/, '\tq\n'))
    const root = await workshop.forgedTree(WARD, letters, TINY)

    const editing = workshop.edit(WARD, root, [{ ...inserts[7]!, expects: 'present', after: null }], TINY)

    await expect(editing).rejects.toMatchObject({
      code: 'repository-damaged',
      message: expect.stringContaining('rows of digest'),
    })
  })

  it.each([
    ['a row that is there is added', { expects: 'absent' as const, after: Buffer.from(lines[7]!) }, lines[7]!],
    ['a row that is not there is removed', { expects: 'present' as const, after: null }, '1\t999999\tx\ty\n'],
    ['a row behind the last is changed', { expects: 'present' as const, after: Buffer.from('x') }, '\u007f\t1\tx\ty\n'],
  ])('because %s says so, and not which row', async (_, edit, line) => {
    const workshop = new Workshop()
    const { root } = await workshop.edit(WARD, null, inserts, TINY)
    await workshop.flush()

    const failure = await workshop.edit(WARD, root, [{ key: keyOf(WARD, line), ...edit }], TINY).catch((error) => error)

    expect(failure).toMatchObject({ code: 'change-log-gap', context: { tree: WARD.name } })
  })

  it('because an edit brings a row of another key is not made', async () => {
    const workshop = new Workshop()
    const { root } = await workshop.edit(WARD, null, inserts, TINY)
    await workshop.flush()
    const edit = { key: keyOf(WARD, lines[7]!), expects: 'present' as const, after: Buffer.from('999\t1\tx\ty\n') }

    await expect(workshop.edit(WARD, root, [edit], TINY)).rejects.toMatchObject({ code: 'repository-damaged' })
  })
})
