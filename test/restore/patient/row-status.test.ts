import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  availablePostgresVersions,
  type PostgresServer,
  startPostgres,
} from '../../../scripts/support/postgres-server.ts'
import { patientClosure } from '../../../src/restore/patient/closure.ts'
import { planPatient } from '../../../src/restore/patient/plan.ts'
import { type PatientFacts, patientFacts, type RowFact } from '../../../src/restore/patient/row-status.ts'
import type { SelectedRow } from '../../../src/restore/patient/selection.ts'
import { StoredRows } from '../../../src/restore/patient/stored-rows.ts'
import { openSource } from '../../../src/source/open.ts'
import { openLiveRows } from '../../../src/source/postgres/live-rows.ts'
import { toLayout } from '../../support/layout.ts'
import { makeRepository, never, type TestRepository } from '../../support/repository.ts'
import { LAYOUT, onDatabase, SCHEMA } from './small-ward.ts'

const newest = Math.max(...availablePostgresVersions())

describe(`one patient then beside now (PostgreSQL ${newest})`, () => {
  let server: PostgresServer
  let made: TestRepository
  let stored: StoredRows
  let count = 0
  let url = ''

  beforeAll(async () => {
    server = await startPostgres({ version: newest })
    const first = await server.createDatabase('icu')
    await onDatabase(first, SCHEMA)
    made = await makeRepository()
    await using source = await openSource({ url: first })
    const id = await made.snapshot(source, toLayout(LAYOUT), Date.UTC(2026, 0, 2))
    const { manifest } = await made.repository.readManifest(id)
    stored = new StoredRows(manifest, made.repository.chunkReader(), made.repository.keyring.secrets)
  }, 120_000)

  afterAll(async () => {
    await made?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  /** What patient 2 (stays 1, 10, 19) looks like after `accident` befell a database that was as the snapshot has it. */
  async function after(accident: string): Promise<PatientFacts> {
    count += 1
    url = await server.createDatabase(`accident_${count}`)
    await onDatabase(url, SCHEMA)
    await onDatabase(url, accident)
    await using live = await openLiveRows({ url }, { signal: never(), lockTimeoutMs: 5_000 })
    return await patientFacts(live, await patientClosure(stored, Buffer.from('2')), stored)
  }

  /** Table and action of every row that a plan for these rows would write. */
  async function written(accident: string, rows: readonly SelectedRow[]): Promise<string[]> {
    const facts = await after(accident)
    const selection = { categories: null, tables: null, rows }
    const closure = await patientClosure(stored, Buffer.from('2'))
    const { tables } = planPatient(closure, facts, { policy: 'exact', selection, acceptLoss: false })
    return tables.flatMap(({ table, rows: planned }) =>
      planned.filter(({ action }) => action !== 'none').map(({ action }) => `${table.name} ${action}`),
    )
  }

  const row = (table: string, ...key: string[]) => ({ table: `public.${table}`, key })

  it('of rows that are named one by one, those are written and no others', async () => {
    const accident = `DELETE FROM note WHERE stay_id = 10; UPDATE ward_order SET barcode = 'bad' || order_id WHERE stay_id = 1;
      INSERT INTO note VALUES (9000, 1, 'new', 1, now())`
    const rows = [row('note', '9'), row('note', '36'), row('note', '9000'), row('ward_order', '27'), row('stay', '1')]
    expect(await written(accident, rows)).toEqual([
      'public.note insert',
      'public.note insert',
      'public.note delete',
      'public.ward_order update',
    ])
    const others = written('SELECT', [row('note', '9'), row('note', '10'), row('note', '9')])
    await expect(others).rejects.toMatchObject({
      code: 'bad-usage',
      message: "1 of 3 rows of public.note are not this patient's, then or now",
    })
    const unknown = written('SELECT', [row('notes', '9')])
    await expect(unknown).rejects.toMatchObject({ message: 'the snapshot has no table public.notes' })
    await expect(written('SELECT', [row('alarm', '1')])).rejects.toMatchObject({ code: 'bad-usage' })
  })

  it('a row is not put back without the one that it hangs on, when that is not named', async () => {
    const accident =
      'DELETE FROM note WHERE stay_id = 10; DELETE FROM ward_order WHERE stay_id = 10; DELETE FROM alarm WHERE stay_id = 10; DELETE FROM stay WHERE stay_id = 10'
    expect(await written(accident, [row('note', '9')])).toEqual([])
    expect(await written(accident, [row('note', '9'), row('stay', '10')])).toEqual([
      'public.note insert',
      'public.stay insert',
    ])
  })

  it('nothing happened: every row is the same, special characters and equal rows of a table without key included', async () => {
    const facts = await after('SELECT')
    expect(counts(facts)).toEqual({ same: 1 + 3 + 30 + 30 + 9 })
    expect(facts.needed.every(({ there }) => there)).toBe(true)
  })

  it('rows deleted are missing, rows changed say which columns, rows added are newer', async () => {
    const facts = await after(`
      DELETE FROM note WHERE stay_id = 10;
      UPDATE note SET body = 'x', score = NULL WHERE note_id = 18;
      UPDATE note SET score = 18.5 WHERE note_id = 45;
      INSERT INTO note VALUES (9000, 1, 'new', 1, now());
      INSERT INTO stay VALUES (900, 2, 'B1'); INSERT INTO note VALUES (9001, 900, 'new', 1, now());`)
    expect(counts(facts, 'public.note')).toEqual({ missing: 10, changed: 2, newer: 2, same: 18 })
    expect(counts(facts, 'public.stay')).toEqual({ same: 3, newer: 1 })
    const changed = of(facts, 'public.note', 'changed')
    expect(changed.map(({ columns }) => columns)).toEqual([['body', 'score'], ['score']])
  })

  it('of equal rows of a table without key, as many as are gone are missing', async () => {
    const facts = await after('DELETE FROM alarm WHERE ctid IN (SELECT ctid FROM alarm WHERE stay_id = 19 LIMIT 2)')
    expect(counts(facts, 'public.alarm')).toEqual({ same: 7, missing: 2 })
  })

  it('a patient who is gone altogether is missing altogether', async () => {
    const facts =
      await after(`DELETE FROM note WHERE stay_id IN (1, 10, 19); DELETE FROM ward_order WHERE stay_id IN (1, 10, 19);
      DELETE FROM alarm WHERE stay_id IN (1, 10, 19); DELETE FROM stay WHERE patient_id = 2; DELETE FROM patient WHERE patient_id = 2`)
    expect(counts(facts)).toEqual({ missing: 73 })
  })

  it('a stay that was filed under another patient conflicts, by key', async () => {
    const facts = await after('UPDATE stay SET patient_id = 3 WHERE stay_id = 10')
    expect(of(facts, 'public.stay', 'conflicting').map(({ cause }) => cause)).toEqual([
      'its key is in use for somebody else now',
    ])
    // What hangs on it is found all the same, by what the patient was; and nothing of it would be written under another.
    expect(counts(facts, 'public.note')).toEqual({ same: 30 })
  })

  it('what hangs on a stay that is somebody else’s now is left alone, and so is what came with a merge', async () => {
    const facts =
      await after(`UPDATE stay SET patient_id = 3 WHERE stay_id = 10; UPDATE stay SET patient_id = 2 WHERE stay_id = 5;
      DELETE FROM note WHERE stay_id = 10 AND note_id % 2 = 0; INSERT INTO note VALUES (9000, 10, 'by the ward of patient 3', 0, now())`)
    expect(counts(facts, 'public.note')).toEqual({ same: 25, conflicting: 5 + 1 + 10 })
    expect(counts(facts, 'public.stay')).toEqual({ same: 2, conflicting: 2 })
    const causes = new Set(of(facts, 'public.stay', 'conflicting').map(({ cause }) => cause))
    expect(causes).toEqual(new Set(['its key is in use for somebody else now', "it was somebody else's then"]))
  })

  it('what hangs on a row that is as it was, and with it on one that is somebody else’s now, is left alone', async () => {
    const schema = `CREATE TABLE person (person_id int PRIMARY KEY);
      CREATE TABLE chart (chart_id int PRIMARY KEY, person_id int REFERENCES person);
      CREATE TABLE version (chart_id int REFERENCES chart, n int, PRIMARY KEY (chart_id, n));
      CREATE TABLE mark (mark_id int PRIMARY KEY, chart_id int, n int, FOREIGN KEY (chart_id, n) REFERENCES version);
      INSERT INTO person VALUES (1), (2); INSERT INTO chart VALUES (10, 1), (20, 1); INSERT INTO version VALUES (10, 1), (20, 1);
      INSERT INTO mark VALUES (100, 10, 1), (200, 20, 1);`
    const layout = {
      patient: { table: 'public.person', key: 'person_id', label: [] },
      anchors: { 'public.chart': 'person_id', 'public.version': 'chart_id', 'public.mark': 'chart_id' },
      links: [],
    }
    const own = await server.createDatabase('charts')
    await onDatabase(own, schema)
    await using charts = await makeRepository()
    await using source = await openSource({ url: own })
    const { manifest } = await charts.repository.readManifest(await charts.snapshot(source, toLayout(layout), 0))
    const rows = new StoredRows(manifest, charts.repository.chunkReader(), charts.repository.keyring.secrets)
    await onDatabase(
      own,
      'UPDATE chart SET person_id = 2 WHERE chart_id = 10; UPDATE mark SET mark_id = 101 WHERE mark_id = 100; UPDATE mark SET mark_id = 201 WHERE mark_id = 200',
    )
    await using live = await openLiveRows({ url: own }, { signal: never(), lockTimeoutMs: 5_000 })
    const facts = await patientFacts(live, await patientClosure(rows, Buffer.from('1')), rows)
    expect(counts(facts, 'public.version')).toEqual({ same: 2 })
    expect(counts(facts, 'public.mark')).toEqual({ missing: 1, newer: 1, conflicting: 2 })
  })

  it('an order whose drug is gone from the dictionary conflicts, and says by which reference', async () => {
    const facts = await after("DELETE FROM ward_order WHERE drug = 'd1'; DELETE FROM drug WHERE code = 'd1'")
    const conflicting = of(facts, 'public.ward_order', 'conflicting')
    expect(conflicting.length).toBeGreaterThan(0)
    expect(new Set(conflicting.map(({ cause }) => cause))).toEqual(
      new Set(['it refers by ward_order_drug_fkey to a row of public.drug that is gone']),
    )
    expect(conflicting.length + (counts(facts, 'public.ward_order').same ?? 0)).toBe(30)
  })

  it('a unique value that another row holds now is a conflict; one that the same patient holds is not', async () => {
    const facts = await after(`
      UPDATE ward_order SET barcode = 'spare' WHERE order_id = 27; INSERT INTO ward_order VALUES (9000, 5, 'd2', 'X27');
      UPDATE ward_order SET barcode = 'free' WHERE order_id = 54; UPDATE ward_order SET barcode = 'X54' WHERE order_id = 81;`)
    const table = facts.tables.find(({ table: one }) => one.name === 'public.ward_order')!
    const statuses = new Map(table.rows.map((fact) => [`${fact.past?.line}`.split('\t')[0], fact]))
    expect(statuses.get('27')).toMatchObject({
      status: 'conflicting',
      cause: 'another row holds its unique barcode now',
    })
    expect([statuses.get('54')?.status, statuses.get('81')?.status]).toEqual(['changed', 'changed'])
  })

  it('what hangs on a row that cannot be put back, because another holds its unique value, is left alone, and so on down (F20)', async () => {
    const facts = await after(`
      DELETE FROM note WHERE stay_id IN (1, 10, 19); DELETE FROM ward_order WHERE stay_id IN (1, 10, 19);
      DELETE FROM stay WHERE patient_id = 2; DELETE FROM patient WHERE patient_id = 2; INSERT INTO patient VALUES (99, 'M2')`)
    expect(counts(facts, 'public.patient')).toEqual({ conflicting: 1 })
    const causes = (table: string) => new Set(of(facts, table, 'conflicting').map(({ cause }) => cause))
    expect(causes('public.patient')).toEqual(new Set(['another row holds its unique mrn now']))
    for (const table of ['public.stay', 'public.note', 'public.ward_order']) {
      expect(counts(facts, table)).toEqual({ conflicting: table === 'public.stay' ? 3 : 30 })
      expect(causes(table)).toEqual(new Set(['the row that it hangs on is somebody else’s now, or cannot be put back']))
    }
  })

  it('columns that came, went, or changed their type since are told apart (F23)', async () => {
    const facts =
      await after(`ALTER TABLE note ADD COLUMN author text DEFAULT 'nobody'; ALTER TABLE note DROP COLUMN score;
      ALTER TABLE note ALTER COLUMN at TYPE text; DELETE FROM note WHERE note_id = 18`)
    const table = facts.tables.find(({ table: one }) => one.name === 'public.note')!
    expect([table.columnsNew, table.columnsLost]).toEqual([['author'], ['score', 'at']])
    expect(counts(facts, 'public.note')).toEqual({ same: 29, missing: 1 })
  })

  it('a table that is gone makes its rows conflict, not vanish', async () => {
    const facts = await after('DROP TABLE alarm')
    expect(of(facts, 'public.alarm', 'conflicting')).toHaveLength(9)
  })

  it('a key of another type is refused by name', async () => {
    await expect(after('ALTER TABLE note ALTER COLUMN note_id TYPE bigint')).rejects.toMatchObject({
      code: 'schema-changed',
    })
  })
})

function counts(facts: PatientFacts, name?: string): Record<string, number> {
  const rows = facts.tables
    .filter(({ table }) => name === undefined || table.name === name)
    .flatMap((table) => table.rows)
  const found: Record<string, number> = {}
  for (const { status } of rows) found[status] = (found[status] ?? 0) + 1
  return found
}

function of(facts: PatientFacts, name: string, status: string): RowFact[] {
  return facts.tables.find(({ table }) => table.name === name)!.rows.filter((fact) => fact.status === status)
}
