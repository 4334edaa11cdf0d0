/**
 * The catalog fingerprint notices whatever changes rows, or the stream of them, without a word in the stream (P2, P7), and
 * nothing of daily work: else each VACUUM would make a gap.
 */
import { expect, it } from 'vitest'
import type { CatalogFingerprint, ChangeSource } from '../../../../src/source/change-contract.ts'
import { connectClient, describeOnServers, runSql, type TestClient } from '../support.ts'
import { capture, streamVersions } from './support.ts'

const SCHEMA = [
  `CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TYPE pair AS (x integer, y text); CREATE DOMAIN level AS integer;
   CREATE TYPE inner_pair AS (m mood); CREATE TYPE span AS RANGE (subtype = level);
   CREATE DOMAIN rate AS integer; CREATE TABLE rated (a integer PRIMARY KEY, r rate)`,
  `CREATE TABLE e (a integer PRIMARY KEY, m mood); CREATE TABLE c (a integer PRIMARY KEY, p pair[]);
   CREATE TABLE nested (a integer PRIMARY KEY, i inner_pair); CREATE TABLE d (a integer PRIMARY KEY, s span);
   CREATE TABLE t (a integer PRIMARY KEY, b text, c text); CREATE TABLE u (a integer PRIMARY KEY, b text)`,
  `CREATE TABLE root (a integer PRIMARY KEY) PARTITION BY RANGE (a);
   CREATE TABLE leaf1 PARTITION OF root FOR VALUES FROM (0) TO (10); CREATE TABLE leaf2 PARTITION OF root FOR VALUES FROM (10) TO (20);
   CREATE TABLE mid PARTITION OF root FOR VALUES FROM (40) TO (50) PARTITION BY RANGE (a);
   CREATE TABLE deep PARTITION OF mid FOR VALUES FROM (40) TO (45); CREATE TABLE loose (a integer PRIMARY KEY)`,
  `INSERT INTO t SELECT i, i, i FROM generate_series(1, 100) i; INSERT INTO e VALUES (1, 'good'); INSERT INTO loose VALUES (25)`,
]

/** After what stands before in the list: the names of `t` and `u` are swapped, and the new `u` never was published. */
const PUBLISHED_THEN = ['c', 'e', 'nested', 'u', 'leaf2']

/** What happens, and the tables whose digest must be another one; all others must keep theirs. */
const NOTICED: readonly (readonly [what: string, sql: string, tables: readonly string[]])[] = [
  ['an enum label renamed', `ALTER TYPE mood RENAME VALUE 'bad' TO 'worse'`, ['e', 'nested']],
  ['a composite attribute added, in an array', 'ALTER TYPE pair ADD ATTRIBUTE z integer', ['c']],
  ['a composite attribute dropped', 'ALTER TYPE pair DROP ATTRIBUTE z', ['c']],
  ['a domain under a range altered', 'ALTER DOMAIN level SET DEFAULT 1', ['d']],
  ['a constraint given to a domain', 'ALTER DOMAIN rate ADD CONSTRAINT positive CHECK (VALUE > 0)', ['rated']],
  ['and taken from it', 'ALTER DOMAIN rate DROP CONSTRAINT positive', ['rated']],
  ['a column added with a constant default', `ALTER TABLE t ADD COLUMN k text DEFAULT 'x'`, ['t']],
  ['a column added with a volatile default', 'ALTER TABLE t ADD COLUMN v double precision DEFAULT random()', ['t']],
  ['a type changed', 'ALTER TABLE u ALTER COLUMN b TYPE varchar(99)', ['u']],
  ['a column dropped', 'ALTER TABLE t DROP COLUMN v', ['t']],
  [
    'two columns’ names swapped',
    'ALTER TABLE t RENAME b TO x; ALTER TABLE t RENAME c TO b; ALTER TABLE t RENAME x TO c',
    ['t'],
  ],
  ['names swapped and swapped back', 'ALTER TABLE t RENAME b TO x; ALTER TABLE t RENAME x TO b', ['t']],
  ['a partition attached', 'ALTER TABLE root ATTACH PARTITION loose FOR VALUES FROM (20) TO (30)', ['loose']],
  ['a partition detached', 'ALTER TABLE root DETACH PARTITION leaf2', ['leaf2']],
  ['a partition of partitions detached', 'ALTER TABLE root DETACH PARTITION mid', ['deep']],
  ['a partition dropped', 'DROP TABLE leaf1', ['leaf1']],
  ['a table dropped and made anew', 'DROP TABLE u; CREATE TABLE u (a integer PRIMARY KEY, b varchar(99))', ['u']],
  [
    'two tables’ names swapped',
    'ALTER TABLE t RENAME TO x; ALTER TABLE u RENAME TO t; ALTER TABLE x RENAME TO u',
    ['t', 'u'],
  ],
  ['renamed and renamed back', 'ALTER TABLE e RENAME TO x; ALTER TABLE x RENAME TO e', ['e']],
  [
    'moved to another schema and back',
    'CREATE SCHEMA s; ALTER TABLE c SET SCHEMA s; ALTER TABLE s.c SET SCHEMA public',
    ['c'],
  ],
  [
    'a partition detached and attached again',
    'ALTER TABLE root DETACH PARTITION loose; ALTER TABLE root ATTACH PARTITION loose FOR VALUES FROM (20) TO (30)',
    ['loose'],
  ],
  ['a replica identity', 'ALTER TABLE e REPLICA IDENTITY FULL', ['e']],
  ['another primary key', 'ALTER TABLE e DROP CONSTRAINT e_pkey; ALTER TABLE e ADD PRIMARY KEY (a, m)', ['e']],
  ['made unlogged', 'ALTER PUBLICATION chartkeep DROP TABLE d; ALTER TABLE d SET UNLOGGED', ['d']],
  ['row-level security', 'ALTER TABLE c ENABLE ROW LEVEL SECURITY', ['c']],
  [
    'taken out of the publication and put back (P7)',
    'ALTER PUBLICATION chartkeep DROP TABLE c; ALTER PUBLICATION chartkeep ADD TABLE c',
    ['c'],
  ],
  [
    'publish toggled and set back (P7)',
    `ALTER PUBLICATION chartkeep SET (publish = 'insert'); ALTER PUBLICATION chartkeep SET (publish = 'insert, update, delete, truncate')`,
    PUBLISHED_THEN,
  ],
  [
    'the publication dropped and made anew (P7)',
    'DROP PUBLICATION chartkeep; CREATE PUBLICATION chartkeep FOR TABLE c',
    PUBLISHED_THEN,
  ],
]

const UNNOTICED: readonly (readonly [what: string, sql: string])[] = [
  [
    'plain work',
    `INSERT INTO t VALUES (1000); UPDATE t SET b = 'x'; DELETE FROM t WHERE a = 1; UPDATE e SET m = 'bad'`,
  ],
  ['a rolled-back ALTER', 'BEGIN; ALTER TABLE t ADD COLUMN gone integer; ROLLBACK'],
  ['VACUUM and ANALYZE', 'VACUUM (ANALYZE) t'],
  ['VACUUM FREEZE of the catalogs', 'VACUUM FREEZE pg_catalog.pg_attribute'],
  ['VACUUM FREEZE of the names', 'VACUUM FREEZE pg_catalog.pg_type; VACUUM FULL pg_catalog.pg_type'],
  ['VACUUM FULL', 'VACUUM FULL t'],
  ['CLUSTER', 'CLUSTER t USING t_pkey'],
  ['TRUNCATE', 'TRUNCATE t'],
  ['REINDEX', 'REINDEX TABLE t'],
  ['an index made', 'CREATE INDEX ON t (b)'],
  ['a table made', 'CREATE TABLE fresh (a integer PRIMARY KEY)'],
  ['another table published', 'ALTER PUBLICATION chartkeep ADD TABLE fresh'],
  ['a trigger and a foreign key', 'ALTER TABLE u ADD FOREIGN KEY (a) REFERENCES t'],
]

describeOnServers('The catalog fingerprint', streamVersions, (server) => {
  it('is another one for exactly the tables whose rows may have changed unseen (P2, P7)', async () => {
    await using captured = await capture(server(), { sql: SCHEMA, publish: 'e, c, nested, d, t, u, leaf1, leaf2' })
    const missed: string[] = []
    for (const [what, sql, expected] of NOTICED) {
      const changed = await changedBy(captured, sql)
      if (changed.join() !== [...expected].sort().join()) missed.push(`${what}: ${changed.join()}`)
    }
    expect(missed).toEqual([])
  })

  it('stays the same through daily work', async () => {
    await using captured = await capture(server(), { sql: SCHEMA, publish: 'e, c, nested, d, t, u, leaf1, leaf2' })
    const noticed: string[] = []
    for (const [what, sql] of UNNOTICED) {
      const changed = await changedBy(captured, sql)
      const others = changed.filter((table) => table !== 'fresh')
      if (others.length > 0) noticed.push(`${what}: ${others.join()}`)
    }
    expect(noticed).toEqual([])
  })

  it('is another one after a partition was unlogged for a while, which a publication of its root allows', async () => {
    await using captured = await capture(server(), { sql: SCHEMA, publish: 'root' })
    const unlogged = 'ALTER TABLE leaf1 SET UNLOGGED; INSERT INTO root VALUES (3); ALTER TABLE leaf1 SET LOGGED'

    expect(await changedBy(captured, unlogged)).toEqual(['leaf1'])
    expect(await changedBy(captured, 'INSERT INTO root VALUES (4)')).toEqual([])
  })

  it('speaks of its position or a later moment, and digests all tables into one', async () => {
    await using captured = await capture(server(), { sql: SCHEMA, publish: 't' })
    const before = await captured.changes.fingerprint()
    await runSql(captured.url, 'SET synchronous_commit = on; ALTER TABLE t ADD COLUMN late integer')
    const after = await captured.changes.fingerprint()
    expect(after.lsn).toBeGreaterThan(before.lsn)
    expect(after.digest).not.toBe(before.digest)
    expect((await captured.changes.fingerprint()).digest).toBe(after.digest)
    expect([...after.tables.keys()]).toContain('public.t')
  })
})

interface Fingerprinted {
  readonly client: TestClient
  readonly url: string
  readonly changes: ChangeSource
}

/** Names without their schema, sorted. */
async function changedBy({ changes, url }: Fingerprinted, sql: string): Promise<string[]> {
  const before = await changes.fingerprint()
  await using client = await connectClient(url)
  // One by one: VACUUM and its like run in no transaction of several.
  for (const statement of sql.split('; ')) await client.query(statement)
  const after = await changes.fingerprint()
  const names = new Set([...before.tables.keys(), ...after.tables.keys()])
  return [...names]
    .filter((name) => digest(before, name) !== digest(after, name))
    .map((name) => name.replace('public.', ''))
    .sort()
}

function digest(fingerprint: CatalogFingerprint, name: string): string | undefined {
  return fingerprint.tables.get(name)
}
