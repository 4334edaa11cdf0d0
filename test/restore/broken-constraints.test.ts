/**
 * Constraints that were dropped after a snapshot, and rows that they forbade (F23): a moment before the next snapshot is
 * rebuilt with every row, under the rules that its rows allow, and says which it could not make.
 */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { formatLsn } from '../../src/repository/lsn.ts'
import { stateAt } from '../../src/repository/state/state.ts'
import { resolveTarget } from '../../src/repository/state/target.ts'
import { type RestoreReport, restoreDatabase } from '../../src/restore/database.ts'
import { connectClient, runSql } from '../source/postgres/support.ts'
import { type CapturedDatabase, captureDatabase } from '../support/capture-by-hand.ts'
import { makeRepository, never, type TestRepository } from '../support/repository.ts'

const LAYOUT = { patient: null, anchors: new Map(), categories: new Map(), links: [], exclude: new Set<string>() }

const SCHEMA = `
  CREATE TABLE checked (id integer PRIMARY KEY, v integer, CONSTRAINT "low Value" CHECK (v < 100));
  COMMENT ON CONSTRAINT "low Value" ON checked IS 'of the protocol';
  CREATE TABLE twice (id integer PRIMARY KEY, v integer CONSTRAINT twice_v UNIQUE, w integer);
  COMMENT ON CONSTRAINT twice_v ON twice IS 'one of each';
  CREATE UNIQUE INDEX twice_w ON twice (w);
  CREATE TABLE refers (id integer PRIMARY KEY, v integer REFERENCES twice (v));
  CREATE TABLE apart (id integer PRIMARY KEY, v int4range, CONSTRAINT apart_v EXCLUDE USING gist (v WITH &&));
  CREATE TABLE shelf (id integer PRIMARY KEY, v integer, w integer, CONSTRAINT shelf_v CHECK (v < 100))
    PARTITION BY RANGE (id);
  CREATE UNIQUE INDEX shelf_w ON shelf (id, w);
  CREATE TABLE shelf_low PARTITION OF shelf FOR VALUES FROM (0) TO (100);
  CREATE TABLE shelf_high PARTITION OF shelf FOR VALUES FROM (100) TO (200);
  CREATE TABLE elder (id integer PRIMARY KEY, v integer, CONSTRAINT elder_v CHECK (v < 100));
  CREATE TABLE heir (PRIMARY KEY (id)) INHERITS (elder);
  CREATE TABLE kept (id integer PRIMARY KEY, v integer CHECK (v < 100));
  INSERT INTO checked VALUES (1, 1); INSERT INTO twice VALUES (1, 1, 1); INSERT INTO refers VALUES (1, 1);
  INSERT INTO apart VALUES (1, '[1,5)'); INSERT INTO shelf VALUES (1, 1, 1), (101, 1, 1); INSERT INTO elder VALUES (1, 1);
  INSERT INTO heir VALUES (2, 2); INSERT INTO kept VALUES (1, 1)`

const LEAVES = ['checked', 'twice', 'refers', 'apart', 'shelf_low', 'shelf_high', 'elder', 'heir', 'kept']

const DROPPED = `
  ALTER TABLE checked DROP CONSTRAINT "low Value"; ALTER TABLE refers DROP CONSTRAINT refers_v_fkey;
  ALTER TABLE twice DROP CONSTRAINT twice_v; DROP INDEX twice_w; ALTER TABLE apart DROP CONSTRAINT apart_v;
  ALTER TABLE shelf DROP CONSTRAINT shelf_v; ALTER TABLE elder DROP CONSTRAINT elder_v;
  INSERT INTO checked VALUES (2, 200); INSERT INTO twice VALUES (2, 1, 1); INSERT INTO refers VALUES (2, 9);
  INSERT INTO apart VALUES (2, '[2,3)'); INSERT INTO shelf VALUES (2, 200, 1); INSERT INTO heir VALUES (3, 200);
  UPDATE kept SET v = 2`

let server: PostgresServer
let made: TestRepository
let captured: CapturedDatabase
let url: string
let into: string
let report: RestoreReport

beforeAll(async () => {
  server = await startPostgres({})
  made = await makeRepository()
  url = await server.createDatabase('ruled')
  await runSql(url, SCHEMA)
  captured = await captureDatabase({ made, url, layout: LAYOUT, tables: LEAVES.map((name) => `ONLY ${name}`) })
  await captured.snapshot()
  await runSql(url, DROPPED)
  const target = await resolveTarget({
    repository: made.repository,
    sourceName: 'icu',
    at: formatLsn(await captured.caughtUp()),
  })
  await using state = await stateAt(made.repository, target, {
    temporaryDirectory: tmpdir(),
    random: randomBytes,
    signal: never(),
  })
  into = await server.createDatabase('ruled_then')
  const { repository, manifest } = state
  const order = { repository, manifest, into: { url: into }, buildPool: made.pool, signal: never() }
  report = await restoreDatabase({ ...order, nowMs: () => 0, onProgress: () => {} })
}, 120_000)

afterAll(async () => {
  await captured?.[Symbol.asyncDispose]()
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function rowsOf(database: string) {
  await using client = await connectClient(database)
  const rows: Record<string, unknown> = {}
  for (const name of LEAVES) rows[name] = (await client.query(`SELECT * FROM ONLY ${name} ORDER BY id`)).rows
  return rows
}

test('every row is there, whatever rule it breaks, and each rule that could not be made is named', async () => {
  expect(await rowsOf(into)).toEqual(await rowsOf(url))
  const named = report.skipped.map(({ kind, name, reason }) => `${kind}: ${name}: ${reason}`.replaceAll('"', ''))
  expect(named.sort()).toEqual([
    'check: CHECK CONSTRAINT public.checked low Value: rows break it; made NOT VALID',
    'check: CHECK CONSTRAINT public.elder elder_v: rows break it; made NOT VALID',
    'check: CHECK CONSTRAINT public.shelf shelf_v: rows break it; made NOT VALID',
    expect.stringMatching(/^foreign key: FK CONSTRAINT public.refers refers_v_fkey: the key that it refers to/),
    expect.stringMatching(/^key or index: COMMENT .*twice_v.* was not made$/),
    'key or index: CONSTRAINT public.apart apart_v: rows break it; not made',
    'key or index: CONSTRAINT public.twice twice_v: rows break it; not made',
    'key or index: INDEX public.twice_w: rows break it; not made',
  ])
})

test.each([
  ['checked', `INSERT INTO checked VALUES (9, 200)`],
  ['a partition', `INSERT INTO shelf VALUES (9, 200, 1)`],
  ['a partition whose rows hold it', `INSERT INTO shelf VALUES (109, 200, 1)`],
  ['a table that inherits', `INSERT INTO heir VALUES (9, 200)`],
  ['a table that nobody changed', `INSERT INTO kept VALUES (9, 200)`],
])('a check binds the rows to come: %s', async (_, statement) => {
  await using client = await connectClient(into)
  await expect(client.query(statement)).rejects.toMatchObject({ code: '23514' })
})
