/**
 * Two patients merged wrongly, taken apart again: judged by plain SQL that knows nothing of chartkeep, every row as text
 * before the merge and after it.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  availablePostgresVersions,
  type PostgresServer,
  startPostgres,
} from '../../../scripts/support/postgres-server.ts'
import { type AppliedPlan, applyPlan } from '../../../src/restore/patient/apply.ts'
import { readChangeset } from '../../../src/restore/patient/changeset.ts'
import { makeUndoPlan, makeUnmergePlan, type PlanOrder } from '../../../src/restore/patient/make-plan.ts'
import { type ReadPlan, readPlan } from '../../../src/restore/patient/plan-document.ts'
import { shownRows } from '../../../src/restore/patient/plan-view.ts'
import { StoredRows } from '../../../src/restore/patient/stored-rows.ts'
import type { UnmergeWish } from '../../../src/restore/patient/unmerge.ts'
import { openSource } from '../../../src/source/open.ts'
import { toLayout } from '../../support/layout.ts'
import { makeRepository, never, type TestRepository } from '../../support/repository.ts'
import { onDatabase } from './small-ward.ts'

const newest = Math.max(...availablePostgresVersions())

/** Patient 1 has stay 10, patient 2 has stays 20 and 21, patient 3 has stay 30. A vital names its patient, too; a note does not. */
const SCHEMA = `
  CREATE TABLE patient (patient_id int PRIMARY KEY, mrn text UNIQUE, active boolean NOT NULL DEFAULT true, merged_into int REFERENCES patient);
  CREATE TABLE stay (stay_id int PRIMARY KEY, patient_id int NOT NULL REFERENCES patient, bed text);
  CREATE TABLE vital (vital_id int PRIMARY KEY, stay_id int REFERENCES stay, patient_id int REFERENCES patient, value int);
  CREATE TABLE note (note_id int PRIMARY KEY, stay_id int REFERENCES stay, body text);
  CREATE TABLE graft (graft_id int PRIMARY KEY, stay_id int REFERENCES stay, donor_id int REFERENCES patient);
  CREATE TABLE alarm (stay_id int, line text);
  INSERT INTO patient SELECT n, 'M' || n FROM generate_series(1, 4) n;
  INSERT INTO stay VALUES (10, 1, 'B1'), (20, 2, 'B2'), (21, 2, 'B3'), (30, 3, 'B4');
  INSERT INTO vital SELECT s.stay_id * 10 + n, s.stay_id, s.patient_id, n FROM stay s, generate_series(1, 3) n;
  INSERT INTO note SELECT s.stay_id * 10 + n, s.stay_id, 'note ' || n FROM stay s, generate_series(1, 3) n;
  INSERT INTO graft VALUES (1, 10, 3), (2, 30, 4), (3, 10, 2), (4, 20, NULL);
  INSERT INTO alarm SELECT stay_id, 'same line' FROM stay, generate_series(1, 2);`

const TABLES = ['patient', 'stay', 'vital', 'note', 'graft', 'alarm']

const LAYOUT = {
  patient: { table: 'public.patient', key: 'patient_id', label: ['mrn'] },
  anchors: {
    'public.stay': 'patient_id',
    'public.vital': 'stay_id',
    'public.note': 'stay_id',
    'public.graft': 'stay_id',
    'public.alarm': 'stay_id',
  },
  links: ['public.alarm.stay_id -> public.stay.stay_id'],
}

/** Into patient 1, as applications do it: everything that names patient 2 names patient 1. */
const MERGE = `UPDATE stay SET patient_id = 1 WHERE patient_id = 2; UPDATE vital SET patient_id = 1 WHERE patient_id = 2;
  UPDATE graft SET donor_id = 1 WHERE donor_id = 2;`
const GONE = 'DELETE FROM patient WHERE patient_id = 2;'
const FLAGGED = 'UPDATE patient SET merged_into = 1, active = false WHERE patient_id = 2;'

const PLAIN: UnmergeWish = { policy: 'missing', give: [], acceptLoss: false }

describe(`two patients merged, taken apart (PostgreSQL ${newest})`, () => {
  let server: PostgresServer
  let made: TestRepository
  let stored: StoredRows
  let past: string[]
  let url = ''
  let count = 0

  beforeAll(async () => {
    server = await startPostgres({ version: newest })
    made = await makeRepository()
    const first = await server.createDatabase('icu')
    await onDatabase(first, SCHEMA)
    await using source = await openSource({ url: first })
    const id = await made.snapshot(source, toLayout(LAYOUT), Date.UTC(2026, 0, 2))
    const { manifest } = await made.repository.readManifest(id)
    stored = new StoredRows(manifest, made.repository.chunkReader(), made.repository.keyring.secrets)
    url = first
    past = await rows()
  }, 120_000)

  afterAll(async () => {
    await made?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  /** As the snapshot has it, and then what befell. @returns every row behind it */
  async function after(accident: string): Promise<string[]> {
    count += 1
    url = await server.createDatabase(`merge_${count}`)
    await onDatabase(url, SCHEMA)
    await onDatabase(url, accident)
    return await rows()
  }

  async function rows(): Promise<string[]> {
    const parts = TABLES.map((table) => `SELECT '${table} ' || t::text AS line FROM ${table} t`)
    const [found] = await onDatabase(url, parts.join(' UNION ALL '))
    return found!.rows.map(({ line }) => line).sort()
  }

  function order(): PlanOrder {
    const { repository } = made
    return {
      repository,
      connection: { url },
      requester: 'Wang Fang',
      signal: never(),
      nowMs: Date.now,
      random: randomBytes,
    }
  }

  async function unmerge(
    wish: Partial<UnmergeWish> = {},
    patients: readonly [string, string] = ['1', '2'],
  ): Promise<ReadPlan> {
    const asked = { stored, patients, asked: 'latest', wish: { ...PLAIN, ...wish } }
    const { bytes, plan } = await makeUnmergePlan(order(), asked)
    const read = await readPlan(made.repository, bytes)
    expect(plan).toEqual(read)
    return read
  }

  async function apply(plan: ReadPlan): Promise<AppliedPlan> {
    return await applyPlan({
      ...order(),
      plan,
      executor: 'Zhao Min',
      emergencyReason: null,
      onePerson: true,
    })
  }

  it.each([
    ['who was deleted', GONE],
    ['who is said to be merged', FLAGGED],
  ])('everything goes back to the one %s, and by the undo it is merged again', async (_, mark) => {
    const merged = await after(MERGE + mark)
    const plan = await unmerge({ policy: 'changed' })
    const applied = await apply(plan)
    expect(applied).toMatchObject({
      inserted: mark === GONE ? 1 : 0,
      updated: 2 + 6 + 1 + (mark === GONE ? 0 : 1),
      deleted: 0,
    })
    expect(await rows()).toEqual(past)

    const changeset = await readChangeset(made.repository, applied.changesetId)
    expect(changeset).toMatchObject({ kind: 'unmerge', patient: '1', otherPatient: '2' })
    const undo = await makeUndoPlan(order(), applied.changesetId)
    expect(undo.plan.document.otherPatient).toBe(plan.document.otherPatient)
    await apply(undo.plan)
    expect(await rows()).toEqual(merged)
    await apply(await unmerge({ policy: 'changed' }, ['2', '1']))
    expect(await rows()).toEqual(past)
  })

  it('names both patients, and of every row that moved whose it will be', async () => {
    await after(MERGE + GONE)
    const { document, ...plan } = await unmerge()
    const pseudonyms = [document.patient, document.otherPatient]
    expect(new Set(pseudonyms).size).toBe(2)
    const shown = [...shownRows({ document, ...plan }, true)]
    const moved = shown.filter(({ status }) => status === 'moved')
    expect(moved.map(({ table }) => table).sort()).toEqual([
      ...['public.graft', 'public.stay', 'public.stay'],
      ...Array.from({ length: 6 }, () => 'public.vital'),
    ])
    // Whose graft it is has not changed, only who gave it.
    const going = moved.filter(({ goesTo }) => goesTo !== undefined)
    expect(new Set(going.map(({ goesTo }) => goesTo))).toEqual(new Set([pseudonyms[1]]))
    expect(going).toHaveLength(8)
    const stay = moved.find(({ table }) => table === 'public.stay')
    expect(stay?.columns).toEqual([{ name: 'patient_id', past: '2', present: '1' }])
  })

  it('leaves the content of rows as it is, what was corrected in them since included, unless it is to be as it was', async () => {
    const correct = `UPDATE stay SET bed = 'B9' WHERE stay_id = 20; UPDATE note SET body = 'corrected' WHERE note_id = 201;
      UPDATE vital SET value = 99 WHERE vital_id = 202; UPDATE note SET body = 'corrected' WHERE note_id = 101;`
    await after(correct)
    const expected = await rows()
    await after(correct + MERGE + FLAGGED)
    await apply(await unmerge())
    expect(await rows()).toEqual(expected.map((line) => line.replace('patient (2,M2,t,)', 'patient (2,M2,f,)')).sort())

    await after(correct + MERGE + FLAGGED)
    await apply(await unmerge({ policy: 'changed' }))
    expect(await rows()).toEqual(past)
  })

  it('what was written since under a row that goes back goes with it; what hangs on the patient stays, unless it is given', async () => {
    const since = `INSERT INTO note VALUES (900, 20, 'since'); INSERT INTO vital VALUES (900, 20, 1, 5);
      INSERT INTO stay VALUES (40, 1, 'B5'); INSERT INTO vital VALUES (901, 40, 1, 6); INSERT INTO note VALUES (901, 40, 'since');
      INSERT INTO graft VALUES (9, 10, 1);`
    await after(MERGE + GONE + since)
    const plan = await unmerge()
    const along = [...shownRows(plan, true)].filter(({ cause }) => cause?.startsWith('written since'))
    expect(along.map(({ table, action }) => `${table} ${action}`)).toEqual(['public.note none'])
    await apply(plan)
    const line = (own: number) => [
      'graft (9,10,1)',
      'note (900,20,since)',
      'note (901,40,since)',
      `stay (40,${own},B5)`,
      'vital (900,20,2,5)',
      `vital (901,40,${own},6)`,
    ]
    expect(await rows()).toEqual([...past, ...line(1)].sort())

    await after(MERGE + GONE + since)
    await apply(await unmerge({ give: [{ table: 'public.stay', key: ['40'] }] }))
    expect(await rows()).toEqual([...past, ...line(2)].sort())
  })

  it('a row written since that hangs on rows of both stays as it is, and says so', async () => {
    await after(
      `ALTER TABLE note ADD COLUMN IF NOT EXISTS body text; ${MERGE}${GONE}INSERT INTO graft VALUES (9, 20, 1);`,
    )
    const plan = await unmerge()
    // Who gave it is not always whose it is: in no row of then but by chance.
    const [row] = [...shownRows(plan, true)].filter(({ status }) => status === 'conflicting')
    expect(row).toMatchObject({
      table: 'public.graft',
      action: 'none',
      cause: 'written since: it hangs on rows of both patients',
    })
    await apply(plan)
    expect(await rows()).toEqual([...past, 'graft (9,20,1)'].sort())
  })

  it('touches nothing of a third patient, to whom rows went, or from whom they came', async () => {
    await after(
      `${MERGE}${FLAGGED}UPDATE stay SET patient_id = 3 WHERE stay_id = 21; UPDATE stay SET patient_id = 1 WHERE stay_id = 30;`,
    )
    const plan = await unmerge()
    const conflicts = [...shownRows(plan, true)].filter(
      ({ table, status }) => table === 'public.stay' && status === 'conflicting',
    )
    expect(conflicts.map(({ cause }) => cause).sort()).toEqual([
      "it was somebody else's then",
      'its key is in use for somebody else now',
    ])
    await apply(plan)
    const stays = (await rows()).filter((line) => line.startsWith('stay'))
    expect(stays).toEqual(['stay (10,1,B1)', 'stay (20,2,B2)', 'stay (21,3,B3)', 'stay (30,1,B4)'])
  })

  it('a merge into either direction, or that crossed, goes back all the same', async () => {
    await after(`UPDATE stay SET patient_id = 2 WHERE stay_id = 10; UPDATE vital SET patient_id = 2 WHERE stay_id = 10;
      UPDATE stay SET patient_id = 1 WHERE stay_id = 21; UPDATE vital SET patient_id = 1 WHERE stay_id = 21;
      UPDATE note SET stay_id = 10 WHERE note_id = 201; UPDATE note SET stay_id = 21 WHERE note_id = 202;`)
    const expected = past.map((line) => line.replace('note (202,20,', 'note (202,21,')).sort()
    const plan = await unmerge()
    await apply(plan)
    // From one stay to another of the same patient is no merge: that is a change, and `missing` leaves it.
    expect(await rows()).toEqual(expected)
  })

  it('says that rows of others are not looked at, which name one of the two', async () => {
    await after(`INSERT INTO graft VALUES (5, 30, 2); ${MERGE}${GONE}`)
    const plan = await unmerge()
    const reason = (name: string) => `rows of other patients that name one of the two by ${name} are not looked at`
    expect(plan.document.leftOut).toEqual([
      { table: 'public.graft', reason: reason('graft_donor_id_fkey') },
      { table: 'public.patient', reason: reason('patient_merged_into_fkey') },
    ])
    await apply(plan)
    expect(await rows()).toEqual([...past, 'graft (5,30,1)'].sort())
  })

  it('is not planned by halves: a row that cannot go back keeps all where they are', async () => {
    await after(`${MERGE}${GONE}INSERT INTO patient VALUES (9, 'M2');`)
    await expect(unmerge()).rejects.toMatchObject({
      code: 'plan-refused',
      message: '2 rows of public.stay hang on the other patient and cannot go back',
      hints: expect.arrayContaining(['public.patient: another row holds its unique mrn now']),
    })
  })

  it('is refused where nothing was moved, of one patient, of a stranger, and for a row that says itself whose it is', async () => {
    await after('DELETE FROM note WHERE stay_id = 20')
    await expect(unmerge()).rejects.toMatchObject({
      code: 'plan-refused',
      message: expect.stringMatching(/^no row that was one patient’s/),
    })
    await expect(unmerge({}, ['1', '1'])).rejects.toMatchObject({ code: 'bad-usage' })
    await expect(unmerge({}, ['1', '77'])).rejects.toMatchObject({
      code: 'bad-usage',
      message: expect.stringContaining('nobody has one of the two keys'),
    })
    await after(MERGE + GONE)
    const give = [{ table: 'public.stay', key: ['20'] }]
    await expect(unmerge({ give })).rejects.toMatchObject({
      code: 'bad-usage',
      message: expect.stringContaining('say themselves whose they are'),
    })
  })

  it('a patient numbered anew gets the old number back', async () => {
    await after(`INSERT INTO patient VALUES (88, 'M88'); UPDATE stay SET patient_id = 88 WHERE patient_id = 2;
      UPDATE vital SET patient_id = 88 WHERE patient_id = 2; UPDATE graft SET donor_id = 88 WHERE donor_id = 2; ${GONE}`)
    await apply(await unmerge({}, ['2', '88']))
    // Who gave to whom stands in a row of a third patient.
    const expected = past.map((line) => line.replace('graft (3,10,2)', 'graft (3,10,88)'))
    expect(await rows()).toEqual([...expected, 'patient (88,M88,t,)'].sort())
  })
})
