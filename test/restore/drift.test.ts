/**
 * Schema drift (F23, P2): for every usual change of a table's shape, an earlier moment is rebuilt under its schema and a
 * later one under its own, each as it was; and nothing in between that the stream did not tell is rebuilt at all.
 */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { formatLsn } from '../../src/repository/lsn.ts'
import { stateAt } from '../../src/repository/state/state.ts'
import { resolveTarget } from '../../src/repository/state/target.ts'
import { restoreDatabase } from '../../src/restore/database.ts'
import { connectClient, runSql } from '../source/postgres/support.ts'
import { type CapturedDatabase, captureDatabase } from '../support/capture-by-hand.ts'
import { makeRepository, never, type TestRepository } from '../support/repository.ts'

const LAYOUT = { patient: null, anchors: new Map(), categories: new Map(), links: [], exclude: new Set<string>() }

interface Drift {
  /** Its table, and the name of the test. */
  readonly table: string
  readonly before?: string
  readonly change: string
}

const PLAIN = 'id integer PRIMARY KEY, v text, w integer'

const DRIFTS: readonly Drift[] = [
  { table: 'column_added', change: `ALTER TABLE column_added ADD COLUMN extra text DEFAULT 'constant'` },
  { table: 'volatile_added', change: 'ALTER TABLE volatile_added ADD COLUMN extra float8 DEFAULT random()' },
  { table: 'column_dropped', change: 'ALTER TABLE column_dropped DROP COLUMN w' },
  {
    table: 'column_made_anew',
    change: 'ALTER TABLE column_made_anew DROP COLUMN w; ALTER TABLE column_made_anew ADD COLUMN w text',
  },
  {
    table: 'column_generated',
    change: 'ALTER TABLE column_generated ADD COLUMN twice integer GENERATED ALWAYS AS (w * 2) STORED',
  },
  { table: 'column_required', change: 'ALTER TABLE column_required ALTER v SET NOT NULL' },
  { table: 'column_renamed', change: 'ALTER TABLE column_renamed RENAME w TO width' },
  {
    table: 'names_swapped',
    change: `ALTER TABLE names_swapped RENAME v TO x; ALTER TABLE names_swapped RENAME w TO v;
      ALTER TABLE names_swapped RENAME x TO w`,
  },
  { table: 'type_changed', change: 'ALTER TABLE type_changed ALTER w TYPE numeric(9,2)' },
  {
    table: 'type_widened',
    before: 'CREATE TABLE type_widened (id integer PRIMARY KEY, v varchar(20), w integer)',
    change: 'ALTER TABLE type_widened ALTER v TYPE varchar(200)',
  },
  { table: 'default_changed', change: `ALTER TABLE default_changed ALTER v SET DEFAULT 'new'` },
  {
    table: 'key_changed',
    change: 'ALTER TABLE key_changed DROP CONSTRAINT key_changed_pkey; ALTER TABLE key_changed ADD PRIMARY KEY (w, id)',
  },
  {
    table: 'made_anew',
    change: `DROP TABLE made_anew; CREATE TABLE made_anew (id integer PRIMARY KEY, other text);
      INSERT INTO made_anew VALUES (1, 'of the new table'); ALTER PUBLICATION chartkeep ADD TABLE made_anew`,
  },
  {
    table: 'swapped_one',
    change: `ALTER TABLE swapped_one RENAME TO swapped_between; ALTER TABLE swapped_two RENAME TO swapped_one;
      ALTER TABLE swapped_between RENAME TO swapped_two`,
  },
  { table: 'swapped_two', change: 'SELECT' },
  { table: 'dropped', change: 'DROP TABLE dropped' },
  { table: 'unpublished', change: 'ALTER PUBLICATION chartkeep DROP TABLE unpublished' },
  { table: 'told_in_full', change: 'ALTER TABLE told_in_full REPLICA IDENTITY FULL' },
  { table: 'moved', change: 'CREATE SCHEMA elsewhere; ALTER TABLE moved SET SCHEMA elsewhere' },
  { table: 'renamed', change: 'ALTER TABLE renamed RENAME TO renamed_then' },
  {
    table: 'label_renamed',
    before: `CREATE TYPE mood AS ENUM ('calm', 'awake'); CREATE TABLE label_renamed (${PLAIN}, m mood DEFAULT 'calm')`,
    change: `ALTER TYPE mood RENAME VALUE 'calm' TO 'quiet'`,
  },
  {
    table: 'label_added',
    before: `CREATE TYPE tone AS ENUM ('low', 'high'); CREATE TABLE label_added (${PLAIN}, m tone DEFAULT 'low')`,
    change: `ALTER TYPE tone ADD VALUE 'middle' BEFORE 'high'`,
  },
  {
    table: 'attribute_added',
    before: `CREATE TYPE pair AS (a integer, b text); CREATE TABLE attribute_added (${PLAIN}, p pair DEFAULT ROW(1, 'x'))`,
    change: 'ALTER TYPE pair ADD ATTRIBUTE c integer',
  },
  {
    table: 'attribute_dropped',
    before: `CREATE TYPE three AS (a integer, b text); CREATE TABLE attribute_dropped (${PLAIN}, p three DEFAULT ROW(1, 'x'))`,
    change: 'ALTER TYPE three DROP ATTRIBUTE b',
  },
  {
    table: 'domain_changed',
    before: `CREATE DOMAIN rate AS integer CHECK (VALUE > 0); CREATE TABLE domain_changed (${PLAIN}, r rate DEFAULT 1)`,
    change: `ALTER DOMAIN rate DROP CONSTRAINT rate_check; ALTER DOMAIN rate ADD CHECK (VALUE < 300)`,
  },
  {
    table: 'part_attached',
    before: `CREATE TABLE shelf (id integer PRIMARY KEY, v text, w integer) PARTITION BY RANGE (id);
      CREATE TABLE part_attached (${PLAIN})`,
    change: 'ALTER TABLE shelf ATTACH PARTITION part_attached FOR VALUES FROM (0) TO (100)',
  },
  {
    table: 'part_detached',
    before: 'CREATE TABLE part_detached PARTITION OF shelf FOR VALUES FROM (100) TO (200)',
    change: 'ALTER TABLE shelf DETACH PARTITION part_detached',
  },
  {
    table: 'part_dropped',
    before: 'CREATE TABLE part_dropped PARTITION OF shelf FOR VALUES FROM (200) TO (300)',
    change: 'DROP TABLE part_dropped',
  },
]

const TABLES = DRIFTS.map(({ table }) => table)
const FIRST: Readonly<Record<string, number>> = { part_detached: 100, part_dropped: 200 }

/** What exists besides: it is not there before, and there later. */
const NEW = `CREATE TABLE fresh (id integer PRIMARY KEY); INSERT INTO fresh VALUES (1);
  CREATE TABLE part_new PARTITION OF shelf FOR VALUES FROM (300) TO (400); INSERT INTO shelf VALUES (300, 'new', 1)`

let server: PostgresServer
let made: TestRepository
let captured: CapturedDatabase
let url: string
let earlier: Looked
let justBefore: bigint
let between: bigint

/** By table: its columns, labels and place, then its rows. */
type Looked = Readonly<Record<string, readonly string[]>>

beforeAll(async () => {
  server = await startPostgres({})
  made = await makeRepository()
  url = await server.createDatabase('drifting')
  for (const { table, before } of DRIFTS) {
    const first = FIRST[table] ?? 1
    const rows = `INSERT INTO ${table} (id, v, w) SELECT n, 'row ' || n, n FROM generate_series(${first}, ${first + 19}) n`
    await runSql(url, before ?? `CREATE TABLE ${table} (${PLAIN})`, rows)
  }
  captured = await captureDatabase({ made, url, layout: LAYOUT, tables: TABLES })
  await captured.snapshot()
  for (const table of TABLES) await runSql(url, `UPDATE ${table} SET v = 'after the snapshot' WHERE id % 2 = 0`)
  justBefore = await captured.caughtUp()
  earlier = await look(url)
  for (const { change } of DRIFTS) await runSql(url, change)
  await runSql(url, NEW)
  between = await captured.caughtUp()
}, 120_000)

afterAll(async () => {
  await captured?.[Symbol.asyncDispose]()
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function look(database: string): Promise<Looked> {
  await using client = await connectClient(database)
  const { rows: tables } = await client.query(
    `SELECT c.oid::regclass::text AS name, c.relkind = 'r' AS has_rows, (SELECT string_agg(concat_ws(' ', a.attname,
         format_type(a.atttypid, a.atttypmod), replace(pg_get_expr(d.adbin, d.adrelid), '::integer', ''), (SELECT string_agg(e.enumlabel, ',' ORDER BY
         e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = a.atttypid)), '; ' ORDER BY a.attnum) FROM pg_attribute a
         LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p') AS key,
       (SELECT p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent WHERE i.inhrelid = c.oid) AS parent
     FROM pg_class c WHERE c.relnamespace::regnamespace::text IN ('public', 'elsewhere') AND c.relkind IN ('r', 'p')`,
  )
  const looked: Record<string, readonly string[]> = {}
  for (const { name, has_rows: hasRows, columns, key, parent } of tables) {
    const { rows } = hasRows
      ? await client.query(`SELECT t::text AS line FROM ONLY ${name} t ORDER BY id`)
      : { rows: [] }
    looked[name] = [`${columns} ${key} in ${parent}`, ...rows.map(({ line }) => line)]
  }
  return looked
}

async function restoredAt(at: string): Promise<Looked> {
  const target = await resolveTarget({ repository: made.repository, sourceName: 'icu', at })
  await using state = await stateAt(made.repository, target, {
    temporaryDirectory: tmpdir(),
    random: randomBytes,
    signal: never(),
  })
  const into = await server.createDatabase(`rebuilt_${randomBytes(4).toString('hex')}`)
  const { repository, manifest } = state
  const order = { repository, manifest, into: { url: into }, buildPool: made.pool, signal: never() }
  await restoreDatabase({ ...order, nowMs: () => 0, onProgress: () => {} })
  return await look(into)
}

test('an earlier moment is rebuilt under its schema, with the changes before the drift (F23)', async () => {
  expect(await restoredAt(formatLsn(justBefore))).toEqual(earlier)
})

test.each(DRIFTS)('$table: no moment between the drift and the next snapshot is rebuilt (F23, P2)', async ({
  table,
}) => {
  const wanted = new Set([`public.${table}`])
  const at = formatLsn(between)

  const outcome = await resolveTarget({ repository: made.repository, sourceName: 'icu', at, wanted }).catch(
    (error: unknown) => error,
  )

  expect(outcome).toMatchObject({ code: 'change-log-gap' })
  expect(String(outcome)).toContain(`public.${table}:`)
})

test('a later moment is rebuilt under its own schema, with the changes behind the next snapshot (F23)', async () => {
  await captured.snapshot()
  for (const table of Object.keys(await look(url))) await runSql(url, `DELETE FROM ${table} WHERE id % 5 = 3`)
  const later = await captured.caughtUp()

  const found = await restoredAt(formatLsn(later))

  const now = await look(url)
  // Not published: they stand as of the snapshot.
  const coarse = ['fresh', 'part_new', 'shelf', 'unpublished']
  for (const name of coarse) expect([name, found[name]![0]]).toEqual([name, now[name]![0]])
  const published = (looked: Looked) =>
    Object.fromEntries(Object.entries(looked).filter(([name]) => !coarse.includes(name)))
  expect(published(found)).toEqual(published(now))
})
