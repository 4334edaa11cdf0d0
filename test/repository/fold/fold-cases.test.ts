/** What a fold must get right, one by one; and logs that do not belong to the rows they are folded into. */
import { describe, expect, it } from 'vitest'
import type { LoggedChange } from '../../../src/repository/change-log/change.ts'
import type { FoldChange } from '../../../src/repository/fold/fold-change.ts'
import { seededRandom, WARD } from '../tree/support.ts'
import { COMPOSITE, STRAY, Table } from './fold-support.ts'
import type { Identity } from './ward-model.ts'

/** Anchor, key, two values. */
async function wardOf(rows: readonly string[], identity: Identity = 'key', spec = WARD): Promise<Table> {
  const table = new Table(spec, identity, seededRandom(1))
  for (const row of rows) table.model.insert(row.split(' '))
  await table.begin()
  return table
}

const ROWS = ['1 1 a x', '1 2 b x', '2 3 c x', '3 4 d x', '9 5 e x']

describe.each<Identity>(['key', 'full'])('a fold of changes with the %s as the row before', (identity) => {
  it('keeps a value of 10 MB that was not sent because it did not change (F13)', async () => {
    const large = 'L'.repeat(10_000_000)
    const table = await wardOf([`1 1 ${large} x`, '1 2 b x'], identity)
    table.model.update('1', ([anchor, id, text]) => [anchor!, id!, text!, 'y'])
    table.model.update('1', ([anchor, id, text]) => [anchor!, id!, text!, 'z'])

    const folded = await table.fold({ changeTree: true })

    await table.expectAsModel()
    await table.expectJournal()
    expect(folded.rows.textBytes).toBeGreaterThan(large.length)
  })

  it('keeps such a value where the changes themselves are not kept (F13)', async () => {
    const table = await wardOf(['1 1 LLLL x', '1 2 b x'], identity)
    table.model.update('1', ([anchor, id, text]) => [anchor!, id!, text!, 'y'])

    await table.fold({ changeTree: false })

    await table.expectAsModel()
  })

  it('keeps a value that was not sent when the row gets another key and another anchor at once (F13, F21)', async () => {
    const table = await wardOf(['1 1 LLLL x', '1 2 b x'], identity)
    table.model.update('1', ([, , text]) => ['7', '8', text!, 'y'])

    await table.fold({ changeTree: true })

    await table.expectAsModel()
    await table.expectJournal()
  })

  it('follows a row through key 1 → 2 and a delete of 2, and 1 → 2 and an insert of 1 (F21)', async () => {
    const deleted = await wardOf(['1 1 a x'], identity)
    deleted.model.update('1', (fields) => fields.with(1, '2'))
    deleted.model.delete('2')
    const replaced = await wardOf(['1 1 a x'], identity)
    replaced.model.update('1', (fields) => fields.with(1, '2'))
    replaced.model.insert(['4', '1', 'new', 'x'])

    expect((await deleted.fold()).rows.rows).toBe(0)
    expect((await replaced.fold()).rows.rows).toBe(2)

    await deleted.expectAsModel()
    await replaced.expectAsModel()
  })

  it('swaps two keys by way of a third (F21)', async () => {
    const table = await wardOf(ROWS, identity)
    table.model.swapKeys('2', '4')
    const folded = await table.fold({ changeTree: true })

    await table.expectAsModel()
    await table.expectJournal()
    expect(folded.counts).toMatchObject({ inserted: 0, updated: 2, deleted: 0 })
  })

  it('finds a row whose anchor no change tells, and moves it when only its anchor changes (P1)', async () => {
    const table = await wardOf(ROWS, identity)
    table.model.delete('3')
    table.model.update('4', (fields) => fields.with(0, '1'))
    table.model.update('5', (fields) => fields.with(3, 'y'))

    const folded = await table.fold({ changeTree: true })

    await table.expectAsModel()
    await table.expectJournal()
    expect(folded.counts).toMatchObject({ inserted: 0, updated: 2, deleted: 1 })
  })

  it('keeps a row under an anchor that was not sent because it did not change (F13, P1)', async () => {
    const table = await wardOf(['LLLL 1 a x', 'LLLL 2 b x', '1 3 c x'], identity)
    table.model.update('1', (fields) => fields.with(2, 'changed'))
    table.model.update('2', (fields) => fields.with(1, '8'))

    await table.fold({ changeTree: true })

    await table.expectAsModel()
    await table.expectJournal()
  })

  it('drops every row at a truncation, those of the base too, and has what came after it (F22)', async () => {
    const table = await wardOf(ROWS, identity)
    table.model.update('1', (fields) => fields.with(2, 'gone'))
    table.model.delete('2')
    table.model.truncate()
    table.model.insert(['1', '1', 'again', 'x'])
    table.model.truncate()
    table.model.insert(['1', '7', 'last', 'x'])

    const folded = await table.fold({ changeTree: true })

    expect(folded.rows.rows).toBe(1)
    expect(folded.counts).toMatchObject({ inserted: 1, deleted: 5, updated: 0, gross: { truncates: 2 } })
    await table.expectAsModel()
    await table.expectJournal()
  })

  it('leaves a table without rows as an empty one', async () => {
    const table = await wardOf(ROWS, identity)
    for (const key of ['1', '2', '3', '4', '5']) table.model.delete(key)

    await table.fold()
    await table.expectAsModel()

    table.model.insert(['1', '1', 'a', 'x'])
    await table.fold()
    await table.expectAsModel()
  })
})

describe('a fold', () => {
  it('that fails leaves the trees it began with, and is done again in full (F8)', async () => {
    const table = await wardOf(ROWS)
    table.model.update('1', (fields) => fields.with(2, 'changed'))
    table.model.insert(['1', '9', 'new', 'x'])
    const changes = table.model.takeChanges()
    const put = table.workshop.store.put.bind(table.workshop.store)
    table.workshop.store.put = async () => {
      throw new Error('the store is gone')
    }
    await expect(table.fold({}, changes)).rejects.toThrow('the store is gone')
    table.workshop.store.put = put
    table.workshop.renewPacks()

    await table.fold({}, changes)

    await table.expectAsModel()
  })

  it('of no changes names the trees it was given, and stores nothing', async () => {
    const table = await wardOf(ROWS)
    const before = table.roots

    const folded = await table.fold({ changeTree: true })

    expect(folded).toMatchObject({ ...before, changes: null, counts: { leavesRead: 0, leavesStored: 0 } })
  })
})

describe('a log that does not fit the rows is refused, and no value of it is told:', () => {
  const cases: readonly (readonly [string, readonly Partial<LoggedChange>[]])[] = [
    ['an insert of a key that is there', [inserted('1\t1\tSECRET\tx')]],
    ['an insert of a key that is there under another anchor', [inserted('8\t1\tSECRET\tx')]],
    ['two inserts of one key', [inserted('1\t77\tSECRET\tx'), inserted('2\t77\tSECRET\tx')]],
    ['an update of a key that is not there', [updated('1\t77\tSECRET\tx')]],
    ['an update of a key that was deleted', [deleted('1'), updated('1\t1\tSECRET\tx')]],
    ['an update after a truncation', [{ kind: 'truncate', before: null, after: null }, updated('1\t1\tSECRET\tx')]],
    ['a delete of a key that is not there', [deleted('77')]],
    ['a delete of a key that was deleted', [deleted('1'), deleted('1')]],
    ['a change of a key to one that another row has', [updated('1\t2\tSECRET\tx', '\\u\t1\t\\u\t\\u')]],
    ['a change of a key to one that another row of another anchor has', [updated('1\t4\tS\tx', '\\u\t1\t\\u\t\\u')]],
    ['an insert that does not tell a field', [inserted('1\t77\t\\u\tx')]],
    ['an update that does not tell the key', [updated('1\t\\u\tSECRET\tx')]],
    ['a row of another width', [inserted('1\t77\tSECRET')]],
    ['an update without a row', [{ kind: 'update', before: null, after: null }]],
  ]

  it.each(cases)('%s', async (_, changes) => {
    const table = await wardOf(ROWS)
    const numbered = changes.map((change, seq) => ({ table: table.model.table, seq, transaction: 0, ...change }))

    const failure = await table.fold({}, numbered as FoldChange[]).catch((error) => error)

    expect(failure).toMatchObject({ code: 'change-log-gap', message: expect.stringContaining(WARD.name) })
    expect(JSON.stringify([failure.message, failure.context, failure.hints])).not.toContain('SECRET')
  })

  it.each([COMPOSITE, STRAY])('an update of an absent row of $name, which has no locator', async (spec) => {
    const table = await wardOf(['1 1 a x'.split(' ').slice(0, spec.fieldCount).join(' ')], 'key', spec)
    const line = Array.from({ length: spec.fieldCount }, () => '5').join('\t')
    const changes = [{ ...updated(line), table: table.model.table, seq: 0, transaction: 0 }]

    await expect(table.fold({}, changes as FoldChange[])).rejects.toMatchObject({ code: 'change-log-gap' })
  })
})

function inserted(after: string): Partial<LoggedChange> {
  return { kind: 'insert', before: null, after: Buffer.from(after) }
}

function updated(after: string, before: string | null = null): Partial<LoggedChange> {
  return { kind: 'update', before: before === null ? null : Buffer.from(before), after: Buffer.from(after) }
}

function deleted(key: string): Partial<LoggedChange> {
  return { kind: 'delete', before: Buffer.from(`\\u\t${key}\t\\u\t\\u`), after: null }
}
