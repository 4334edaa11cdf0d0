/** All tables of a snapshot from one pass of a log: who gets which change, what is numbered how, and how much is held. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LoggedChange, LoggedTransaction } from '../../../src/repository/change-log/change.ts'
import { changesSpec, TRANSACTIONS_SPEC } from '../../../src/repository/fold/change-tree.ts'
import { type FoldedTables, type FoldTables, foldTables } from '../../../src/repository/fold/fold-tables.ts'
import { builtFromScratch, rootFacts, TINY, Workshop } from '../tree/editor-support.ts'
import { KEYS, seededRandom, WARD } from '../tree/support.ts'
import { COMPOSITE, STRAY, Table } from './fold-support.ts'

const SPECS = [WARD, COMPOSITE, STRAY]
/** 2026-11-23 07:00:00 UTC, and some microseconds. */
const TIME_US = 1_795_417_200_000_017n

let spillDirectory: string
beforeAll(async () => {
  spillDirectory = await mkdtemp(join(tmpdir(), 'chartkeep-test-'))
})
afterAll(async () => {
  await rm(spillDirectory, { recursive: true })
})

/** Tables of one repository that change together. */
class Ward {
  readonly workshop = new Workshop()
  readonly tables: Table[]
  readonly #random = seededRandom(9)
  #number = 0

  constructor(rows: number) {
    this.tables = SPECS.map((spec) => new Table(spec, 'key', this.#random, this.workshop))
    for (const { model } of this.tables) for (let row = 0; row < rows; row += 1) model.insert()
  }

  async begin(): Promise<this> {
    for (const table of this.tables) await table.begin()
    return this
  }

  /** One transaction over all tables. */
  transaction(steps: number, mark: string | null = null): LoggedTransaction {
    const changes: LoggedChange[] = []
    for (let step = 0; step < steps; step += 1) {
      const { model } = this.tables[Math.floor(this.#random() * this.tables.length)]!
      model.step()
      changes.push(...model.takeChanges())
    }
    this.#number += 1
    const number = BigInt(this.#number)
    const stamp = { xid: 700 + this.#number, commitLsn: number << 8n, endLsn: (number << 8n) + 8n, mark }
    return { ...stamp, commitTimeUs: TIME_US + number, changes }
  }

  async fold(transactions: readonly LoggedTransaction[], more: Partial<FoldTables> = {}): Promise<FoldedTables> {
    const { chunks, leafPacks, nodePacks } = this.workshop
    const folded = await foldTables({
      tables: this.tables.map(({ spec, roots, model }) => ({
        spec,
        ...roots,
        oid: model.table.oid,
        columns: model.table.columns,
      })),
      transactions: each(transactions),
      accept: () => true,
      chunks,
      keys: KEYS,
      leafPacks,
      nodePacks,
      spillDirectory,
      changeTree: true,
      signal: new AbortController().signal,
      cuts: TINY,
      ...more,
    })
    await this.workshop.flush()
    return folded
  }

  async expectAsModels(folded: FoldedTables): Promise<void> {
    for (const table of this.tables) {
      const { rows } = folded.tables.get(table.spec.name)!
      expect(rootFacts(rows)).toEqual(rootFacts(await builtFromScratch(table.spec, table.model.lines(), TINY)))
    }
  }
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

async function linesOf(ward: Ward, folded: FoldedTables): Promise<string[]> {
  return (await ward.workshop.textOf(TRANSACTIONS_SPEC, folded.transactions!)).split('\n').slice(0, -1)
}

describe('folding all tables', () => {
  it('gives each its changes, numbers all of them in one row, and keeps the transactions', async () => {
    const ward = await new Ward(60).begin()
    const log = [ward.transaction(40), ward.transaction(0), ward.transaction(55, 'changeset a\tb\\c')]

    const folded = await ward.fold(log)

    await ward.expectAsModels(folded)
    const [first, , third] = log.map(({ changes }) => changes.length)
    expect(folded).toMatchObject({ transactionCount: 3, changeCount: first! + third!, last: { xid: 703 } })
    expect(await linesOf(ward, folded)).toEqual([
      `0\t701\t0/100\t0/108\t2026-11-23T07:00:00.000018Z\t\\N\t${first}`,
      '1\t702\t0/200\t0/208\t2026-11-23T07:00:00.000019Z\t\\N\t0',
      `2\t703\t0/300\t0/308\t2026-11-23T07:00:00.000020Z\tchangeset a\\tb\\\\c\t${third}`,
    ])
    const numbers = await Promise.all(ward.tables.map(({ spec }) => changeNumbers(ward, folded, spec)))
    const all = new Map(numbers.flat())
    expect([...all.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: first! + third! }, (_, seq) => seq))
    for (const [seq, transaction] of all) expect(transaction).toBe(seq < first! ? 0 : 2)
  })

  it('takes the transactions that are accepted, asks about each once, and joins the parts of a large one', async () => {
    const ward = await new Ward(60).begin()
    const seen = ward.transaction(0)
    const large = ward.transaction(60)
    const later = ward.transaction(5)
    const foreign = { ...seen, changes: large.changes.slice(0, 3) }
    const parts = [0, 20, 40].map((at) => ({
      ...large,
      changes: large.changes.slice(at, at === 40 ? undefined : at + 20),
    }))
    const asked: number[] = []

    const folded = await ward.fold([foreign, ...parts, later], {
      accept: ({ xid }) => {
        asked.push(xid)
        return xid !== seen.xid
      },
    })

    await ward.expectAsModels(folded)
    expect(asked).toEqual([701, 702, 703])
    expect(folded).toMatchObject({ transactionCount: 2, changeCount: large.changes.length + later.changes.length })
    expect((await linesOf(ward, folded)).map((line) => line.split('\t')[1])).toEqual(['702', '703'])
  })

  it('is the same whatever memory there is, and leaves no file behind', async () => {
    const ward = await new Ward(60).begin()
    const log = Array.from({ length: 10 }, () => ward.transaction(30))

    const generous = await ward.fold(log)
    const frugal = await ward.fold(log, { memoryBytes: 700 })

    await ward.expectAsModels(generous)
    expect(await readdir(spillDirectory)).toEqual([])
    for (const [name, table] of generous.tables) {
      const other = frugal.tables.get(name)!
      expect(rootFacts(other.rows)).toEqual(rootFacts(table.rows))
      expect(other.changes && rootFacts(other.changes)).toEqual(table.changes && rootFacts(table.changes))
    }
  })

  it('passes over changes of tables that it is not asked for, and leaves those without changes as they are', async () => {
    const ward = await new Ward(20).begin()
    const [wanted, still] = ward.tables
    const other = { ...wanted!.model.table, name: 'public.other', oid: '99' }
    const insert = { kind: 'insert' as const, table: other, before: null, after: Buffer.from('1') }
    const log = { ...ward.transaction(0), changes: [insert] }

    const folded = await ward.fold([log])

    expect(folded.changeCount).toBe(1)
    expect(folded.tables.get(still!.spec.name)).toMatchObject({ ...still!.roots, changes: null })
    expect(folded.tables.has('public.other')).toBe(false)
  })

  it('takes what was changed while a table had another name, and was given its own back before anybody looked', async () => {
    const ward = await new Ward(30).begin()
    const [table] = ward.tables
    const { model } = table!
    const others = ward.tables.slice(1).map((each) => ({ ...each.model.table, oid: '99' }))
    for (let step = 0; step < 20; step += 1) model.step()
    const own = { ...model.table, oid: '16400' }
    const log = { ...ward.transaction(0), changes: model.takeChanges().map((change) => ({ ...change, table: own })) }
    const renamed = { ...own, name: 'public.hidden' }
    const hidden = { ...log, changes: log.changes.map((change) => ({ ...change, table: renamed })) }
    const tables = ward.tables.map(({ spec, roots }, index) => ({
      spec,
      ...roots,
      ...(index === 0 ? own : others[index - 1]!),
    }))

    const folded = await ward.fold([hidden], { tables })

    expect(rootFacts(folded.tables.get(table!.spec.name)!.rows)).toEqual(
      rootFacts(await builtFromScratch(table!.spec, model.lines(), TINY)),
    )
  })

  it('keeps no transactions where no tree of changes is wanted', async () => {
    const ward = await new Ward(20).begin()

    const folded = await ward.fold([ward.transaction(30)], { changeTree: false })

    await ward.expectAsModels(folded)
    expect(folded.transactions).toBeNull()
    expect([...folded.tables.values()].map(({ changes }) => changes)).toEqual([null, null, null])
  })

  it.each([
    ['another oid', { oid: '2' }],
    ['a column less', { columns: ['c0', 'c1', 'c2'] }],
    ['another column', { columns: ['c0', 'c1', 'c2', 'cX'] }],
    ['another key', { key: [1, 2] }],
  ])('refuses changes of a table that has %s than the one that is stored (P2)', async (_, difference) => {
    const ward = await new Ward(20).begin()
    const table = { ...ward.tables[0]!.model.table, ...difference }
    const change = { kind: 'truncate' as const, table, before: null, after: null }

    const folding = ward.fold([{ ...ward.transaction(0), changes: [change] }])

    await expect(folding).rejects.toMatchObject({ code: 'change-log-gap', context: { tree: WARD.name } })
  })

  it('counts changes as those of the table that they were made in, whatever names tables bore meanwhile (P2)', async () => {
    const ward = await new Ward(40).begin()
    const [a, b] = ward.tables.map(({ model }) => model.table)
    const names = new Map([
      [a!.oid, { ...a!, name: b!.name }],
      [b!.oid, { ...b!, name: 'public.spare' }],
    ])
    const log = ward.transaction(60)
    const swapped = log.changes.map((change) => ({ ...change, table: names.get(change.table.oid) ?? change.table }))

    await ward.expectAsModels(await ward.fold([{ ...log, changes: swapped }]))
  })

  it('fails as a whole when the log does not fit one of them', async () => {
    const ward = await new Ward(20).begin()
    const log = ward.transaction(30)
    const { table } = ward.tables[2]!.model
    const absent = { kind: 'delete' as const, table, before: Buffer.from('\\u\tabsent\t\\u'), after: null }

    const folding = ward.fold([{ ...log, changes: [...log.changes, absent] }])

    await expect(folding).rejects.toMatchObject({ code: 'change-log-gap', context: { tree: table.name } })
  })

  it('ends when it is told to', async () => {
    const ward = await new Ward(20).begin()

    const folding = ward.fold([ward.transaction(30)], { signal: AbortSignal.abort(new Error('enough')) })

    await expect(folding).rejects.toThrow('enough')
  })
})

/** Number of each change, and of its transaction, as a table's change tree has them. */
async function changeNumbers(ward: Ward, folded: FoldedTables, table: typeof WARD): Promise<[number, number][]> {
  const spec = changesSpec(table)
  const text = await ward.workshop.textOf(spec, folded.tables.get(table.name)!.changes!)
  const at = table.anchor === null ? 0 : 1
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => [Number(line.split('\t')[at]), Number(line.split('\t')[at + 1])])
}
