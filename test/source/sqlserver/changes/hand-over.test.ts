/**
 * Where a snapshot stands in the log (P3): over snapshots that see commits late, and in another order than they were
 * logged. What is claimed of one must be so: it has what commits before the position, of every table, and nothing else.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type LookAtRows, settledPosition, standingOf } from '../../../../src/source/sqlserver/changes/hand-over.ts'
import { type CdcLsn, packLsn } from '../../../../src/source/sqlserver/changes/lsn.ts'
import { CdcModel, type Edit, FAST_PACE } from './cdc-model.ts'

const TABLES = ['dbo.a', 'dbo.b']

type Rows = ReturnType<CdcModel['seenBy']>

const editArb: fc.Arbitrary<readonly [number, number, number]> = fc.tuple(fc.nat(1), fc.nat(3), fc.nat(3))

/** Rows come, change, and go again with the values that they had before: what is there tells little. */
function editsOf(model: CdcModel, numbers: readonly (readonly [number, number, number])[]): Edit[] {
  const edits: Edit[] = []
  const there = new Map(TABLES.map((table) => [table, new Set(model.rows.get(table)!.keys())]))
  for (const [at, row, how] of numbers) {
    const table = TABLES[at]!
    const known = there.get(table)!
    const id = String(row)
    if (!known.has(id)) edits.push({ kind: 'insert', table, id, value: `v${how % 2}` })
    else if (how === 3) edits.push({ kind: 'delete', table, id })
    else edits.push({ kind: 'update', table, id, value: `v${how % 2}` })
    if (how === 3 && known.has(id)) known.delete(id)
    else known.add(id)
  }
  return edits
}

function lookIn(rows: Rows): LookAtRows {
  return async ({ table }, keys) => {
    const lines = rows.get(table.info.name) ?? new Map<string, string>()
    return new Map(keys.flatMap((key) => (lines.has(key) ? [[key, lines.get(key)!] as const] : [])))
  }
}

function shownOf(rows: Rows): unknown {
  return TABLES.map((table) => [...(rows.get(table) ?? [])].sort())
}

it('is where its rows say, or nowhere: never where they are not (P3)', async () => {
  let [stood, stoodNot, inverted] = [0, 0, 0]
  const commits = fc.array(fc.array(editArb, { minLength: 1, maxLength: 3 }), { maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(
      commits,
      commits,
      commits,
      fc.infiniteStream(fc.boolean()),
      async (before, during, after, isLate) => {
        const model = new CdcModel(TABLES)
        const questions = model.open()
        for (const numbers of before) model.commit(...editsOf(model, numbers))
        const settled = (await settledPosition(questions, model.followed(...TABLES), FAST_PACE))!
        const first = model.log.length
        for (const numbers of during) model.commit(...editsOf(model, numbers))
        // Of what was committed just now, some is not seen yet.
        const unseen = new Set<CdcLsn>()
        for (const { lsn } of model.log.slice(first)) if (isLate.next().value) unseen.add(lsn)
        const last = model.log.at(-1)!.lsn
        const snapshot = model.seenBy((lsn) => lsn <= last && !unseen.has(lsn))
        for (const numbers of after) model.commit(...editsOf(model, numbers))
        const followed = model.followed(...TABLES)
        const position = await standingOf({ questions, followed, settled, look: lookIn(snapshot), pace: FAST_PACE })

        const seen = model.log.slice(first).filter(({ lsn }) => lsn <= last && !unseen.has(lsn))
        const isPrefix = seen.every(({ lsn }, index) => lsn === model.log[first + index]!.lsn)
        if (!isPrefix) inverted += 1
        if (position === null) {
          stoodNot += 1
          expect(isPrefix).toBe(false)
          return
        }
        stood += 1
        expect(shownOf(model.seenBy((lsn) => packLsn(lsn) < position))).toEqual(shownOf(snapshot))
      },
    ),
    { numRuns: 300 },
  )
  expect(stood).toBeGreaterThan(50)
  expect(stoodNot).toBeGreaterThan(20)
  expect(inverted).toBeGreaterThan(stoodNot)
})

it('is known of no read while the capture job stands still (F9)', async () => {
  const model = new CdcModel(TABLES)
  const questions = model.open()
  const pace = { ...FAST_PACE, markLooks: 3 }
  const settled = (await settledPosition(questions, model.followed(...TABLES), pace))!
  model.captures = false
  const followed = model.followed(...TABLES)
  const standing = standingOf({ questions, followed, settled, look: lookIn(new Map()), pace })

  await expect(standing).rejects.toMatchObject({ code: 'source-failed' })
})

it('is known of no read whose changes clean-up took away meanwhile (F15)', async () => {
  const model = new CdcModel(TABLES)
  const questions = model.open()
  const followed = model.followed(...TABLES)
  const settled = (await settledPosition(questions, followed, FAST_PACE))!
  for (const id of ['1', '2', '3']) model.commit({ kind: 'insert', table: 'dbo.a', id, value: 'x' })
  model.onPage = () => model.cleanUp(1)

  expect(await standingOf({ questions, followed, settled, look: lookIn(model.rows), pace: FAST_PACE })).toBeNull()
})
