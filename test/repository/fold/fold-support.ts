/** A table that changes, and is folded after it: what comes out is held against a build from scratch. */
import { tmpdir } from 'node:os'
import { expect } from 'vitest'
import { LocatorLines } from '../../../src/repository/build/locator-lines.ts'
import type { TableRoots } from '../../../src/repository/fold/base-rows.ts'
import { changesSpec } from '../../../src/repository/fold/change-tree.ts'
import type { FoldChange } from '../../../src/repository/fold/fold-change.ts'
import { type FoldedTable, foldTable } from '../../../src/repository/fold/fold-table.ts'
import { locatorSpec, type TreeSpec } from '../../../src/repository/tree/spec.ts'
import { builtFromScratch, keyOf, rootFacts, TINY, Workshop } from '../tree/editor-support.ts'
import { KEYS, WARD } from '../tree/support.ts'
import { type Identity, journalLines, WardModel } from './ward-model.ts'

export const COMPOSITE: TreeSpec = { name: 'public.stay_event', fieldCount: 4, anchor: 0, key: [1, 0] }
export const STRAY: TreeSpec = { name: 'public.code', fieldCount: 3, anchor: null, key: [1] }
export const LATE_KEY: TreeSpec = { name: 'public.late', fieldCount: 5, anchor: 1, key: [4, 2] }
export const SPECS = [WARD, COMPOSITE, STRAY, LATE_KEY]

export interface FoldChoices {
  readonly changeTree?: boolean
  readonly memoryBytes?: number
}

export class Table {
  readonly workshop: Workshop
  readonly model: WardModel
  readonly spec: TreeSpec
  folded: FoldedTable | null = null
  #roots: TableRoots | null = null

  constructor(spec: TreeSpec, identity: Identity, random: () => number, workshop = new Workshop()) {
    this.spec = spec
    this.workshop = workshop
    this.model = new WardModel(spec, identity, random)
  }

  get roots(): TableRoots {
    if (!this.#roots) throw new Error('the table was not begun')
    return this.#roots
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
    this.#roots = { rows, locator: root }
  }

  /** Folds what the model did since the last fold. */
  async fold(
    choices: FoldChoices = {},
    changes: readonly FoldChange[] = this.model.takeChanges(),
  ): Promise<FoldedTable> {
    const { chunks, leafPacks, nodePacks } = this.workshop
    this.folded = await foldTable({
      spec: this.spec,
      previous: this.roots,
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
    this.#roots = { rows: this.folded.rows, locator: this.folded.locator }
    return this.folded
  }

  async expectAsModel(): Promise<void> {
    const lines = this.model.lines()
    const { rows, locator } = this.roots
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

/** Three folds of a random table, each held against the model. */
export async function playFolds(random: () => number): Promise<void> {
  const one = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)]!
  const table = new Table(one(SPECS), one<Identity>(['key', 'full']), random)
  const changeTree = random() < 0.5
  // From a batch for nearly every change to one for all.
  const memoryBytes = one([1, 2000, 15_000, 1_000_000])
  for (let row = 0; row < 120; row += 1) table.model.insert()
  await table.begin()
  for (let fold = 0; fold < 3; fold += 1) {
    for (let step = table.model.upTo(90); step >= 0; step -= 1) table.model.step()
    await table.fold({ changeTree, memoryBytes })
    await table.expectAsModel()
    if (changeTree) await table.expectJournal()
  }
}

async function* inBatches(changes: readonly FoldChange[]): AsyncGenerator<readonly FoldChange[]> {
  for (let at = 0; at < changes.length; at += 7) yield changes.slice(at, at + 7)
}
