/** A folded table is the table as it is now, built from scratch: rows, locator, and every change on the way. */
import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LocatorLines } from '../../../src/repository/build/locator-lines.ts'
import { changesSpec } from '../../../src/repository/fold/change-tree.ts'
import type { FoldChange } from '../../../src/repository/fold/fold-change.ts'
import { type FoldedTable, foldTable } from '../../../src/repository/fold/fold-table.ts'
import { locatorSpec, type TreeSpec } from '../../../src/repository/tree/spec.ts'
import { builtFromScratch, keyOf, rootFacts, TINY, Workshop } from '../tree/editor-support.ts'
import { KEYS, propertyRuns, seededRandom, WARD } from '../tree/support.ts'
import { type Identity, journalLines, WardModel } from './ward-model.ts'

const COMPOSITE: TreeSpec = { name: 'public.stay_event', fieldCount: 4, anchor: 0, key: [1, 0] }
const STRAY: TreeSpec = { name: 'public.code', fieldCount: 3, anchor: null, key: [1] }
const LATE_KEY: TreeSpec = { name: 'public.late', fieldCount: 5, anchor: 1, key: [4, 2] }
const SPECS = [WARD, COMPOSITE, STRAY, LATE_KEY]

const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 })

interface Choices {
  readonly changeTree?: boolean
  readonly memoryBytes?: number
}

class Table {
  readonly workshop = new Workshop()
  readonly model: WardModel
  readonly spec: TreeSpec
  folded: FoldedTable | null = null

  constructor(spec: TreeSpec, identity: Identity, random: () => number) {
    this.spec = spec
    this.model = new WardModel(spec, identity, random)
  }

  /** Stores the model's rows as a base. */
  async begin(): Promise<void> {
    this.model.takeChanges()
    this.model.journal = []
    const edits = this.model.lines().map((line) => ({
      key: keyOf(this.spec, line),
      expects: 'absent' as const,
      after: Buffer.from(line),
    }))
    const rows = (await this.workshop.edit(this.spec, null, edits, TINY)).root
    const locator = locatorSpec(this.spec)
    const locatorEdits = this.#locatorLines().map((line) => ({
      key: keyOf(locator!, line),
      expects: 'absent' as const,
      after: Buffer.from(line),
    }))
    const root = locator ? (await this.workshop.edit(locator, null, locatorEdits, TINY)).root : null
    await this.workshop.flush()
    this.#previous = { rows, locator: root }
  }

  /** Folds what the model did since the last fold. */
  async fold(choices: Choices = {}, changes: readonly FoldChange[] = this.model.takeChanges()): Promise<FoldedTable> {
    const { chunks, leafPacks, nodePacks } = this.workshop
    this.folded = await foldTable({
      spec: this.spec,
      previous: this.#previous,
      changes: inBatches(changes),
      chunks,
      keys: KEYS,
      leafPacks,
      nodePacks,
      spillDirectory: tmpdir(),
      changeTree: choices.changeTree ?? false,
      signal: new AbortController().signal,
      cuts: TINY,
      ...(choices.memoryBytes === undefined ? {} : { memoryBytes: choices.memoryBytes }),
    })
    await this.workshop.flush()
    this.#previous = { rows: this.folded.rows, locator: this.folded.locator }
    return this.folded
  }

  async expectAsModel(): Promise<void> {
    const lines = this.model.lines()
    const { rows, locator } = this.#previous
    expect(rootFacts(rows)).toEqual(rootFacts(await builtFromScratch(this.spec, lines, TINY)))
    const spec = locatorSpec(this.spec)
    if (!spec) return expect(locator).toBeNull()
    expect(rootFacts(locator!)).toEqual(rootFacts(await builtFromScratch(spec, this.#locatorLines(), TINY)))
  }

  async expectJournal(): Promise<void> {
    const spec = changesSpec(this.spec)
    const journal = journalLines(this.spec, this.model.journal)
    this.model.journal = []
    const root = this.folded!.changes
    if (journal.length === 0) return expect(root).toBeNull()
    expect(rootFacts(root!)).toEqual(rootFacts(await builtFromScratch(spec, journal, TINY)))
    const text = await this.workshop.textOf(spec, root!)
    expect(text.split('\n').sort()).toEqual(journal.join('').split('\n').sort())
  }

  #previous: { rows: FoldedTable['rows']; locator: FoldedTable['locator'] } = undefined as never

  #locatorLines(): string[] {
    if (!locatorSpec(this.spec)) return []
    const lines = new LocatorLines(this.spec).derive(Buffer.from(this.model.lines().join('')))
    return Buffer.from(lines)
      .toString()
      .split('\n')
      .filter(Boolean)
      .map((line) => `${line}\n`)
  }
}

async function* inBatches(changes: readonly FoldChange[]): AsyncGenerator<readonly FoldChange[]> {
  for (let at = 0; at < changes.length; at += 7) yield changes.slice(at, at + 7)
}

describe('a folded table', () => {
  it('has the trees of a build from scratch, and a journal of every change, after random histories', async () => {
    await fc.assert(
      fc.asyncProperty(
        seeds,
        fc.constantFrom(...SPECS),
        fc.constantFrom<Identity>('key', 'full'),
        fc.constantFrom(1, 600, 5000, 1_000_000),
        async (seed, spec, identity, memoryBytes) => {
          const table = new Table(spec, identity, seededRandom(seed))
          for (let row = 0; row < 120; row += 1) table.model.insert()
          await table.begin()
          for (let fold = 0; fold < 3; fold += 1) {
            for (let step = table.model.upTo(90); step >= 0; step -= 1) table.model.step()
            await table.fold({ changeTree: true, memoryBytes })
            await table.expectAsModel()
            await table.expectJournal()
          }
        },
      ),
      propertyRuns(25),
    )
  })
})
