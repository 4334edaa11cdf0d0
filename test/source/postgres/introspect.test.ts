/** What the catalogs say, and what they are asked about columns for `discover`. */
import { expect, it } from 'vitest'
import { openSource } from '../../../src/source/open.ts'
import { describeOnServers, oldestAndNewest, runSql } from './support.ts'

describeOnServers('The catalogs', oldestAndNewest, (server) => {
  it('are read with names as the database writes them, keys in their order, and links once', async () => {
    const url = await server().createDatabase('catalogs')
    await runSql(
      url,
      `CREATE SCHEMA "Up"; CREATE TYPE "Up".kind AS ENUM ('a');
       CREATE TABLE "Up"."A ""b" (y integer, x integer, k "Up".kind, g integer GENERATED ALWAYS AS (1) STORED,
         PRIMARY KEY (x, y), UNIQUE (k, x)); COMMENT ON TABLE "Up"."A ""b" IS '病人';
       CREATE UNIQUE INDEX partial ON "Up"."A ""b" (y) WHERE y > 0; CREATE UNIQUE INDEX computed ON "Up"."A ""b" ((y + 1));
       CREATE TABLE root (d date, n integer, PRIMARY KEY (d, n)) PARTITION BY RANGE (d);
       CREATE TABLE middle PARTITION OF root FOR VALUES FROM ('2020-01-01') TO ('2021-01-01') PARTITION BY LIST (n);
       CREATE TABLE leaf PARTITION OF middle DEFAULT; CREATE UNLOGGED TABLE fast (a integer);
       CREATE TABLE pointing (d date, n integer, x integer, y integer, FOREIGN KEY (d, n) REFERENCES root);
       ALTER TABLE pointing ADD FOREIGN KEY (x, y) REFERENCES "Up"."A ""b" (x, y) NOT VALID;
       CREATE TEMP TABLE temporary (a integer); CREATE EXTENSION pg_trgm;
       SELECT lo_create(0); CREATE MATERIALIZED VIEW m AS SELECT 1 AS one`,
    )
    await using source = await openSource({ url })
    const { tables, notCaptured } = await source.introspect()
    expect(tables.map((table) => table.name)).toEqual(['"Up"."A ""b"', 'public.fast', 'public.leaf', 'public.pointing'])
    const [odd, fast, leaf, pointing] = tables
    expect(odd).toMatchObject({
      sqlName: '"Up"."A ""b"',
      primaryKey: ['x', 'y'],
      uniqueKeys: [['k', 'x']],
      generatedColumns: ['g'],
      comment: '病人',
      columns: [{ name: 'y', notNull: true }, { name: 'x' }, { name: 'k', type: '"Up".kind', notNull: false }],
    })
    expect(fast).toMatchObject({ unlogged: true, primaryKey: [] })
    expect(leaf).toMatchObject({ partitionOf: 'public.root', primaryKey: ['d', 'n'] })
    expect(pointing?.foreignKeys).toMatchObject([
      { columns: ['d', 'n'], references: 'public.root', referencedColumns: ['d', 'n'], validated: true },
      { columns: ['x', 'y'], references: '"Up"."A ""b"', referencedColumns: ['x', 'y'], validated: false },
    ])
    const kinds = notCaptured.map(({ kind, name, count }) => [kind, name, count])
    expect(kinds).toContainEqual(['generated column', '"Up"."A ""b".g', undefined])
    expect(kinds).toContainEqual(['large objects', 'catalogs', 1])
    expect(kinds).toContainEqual(['materialized view', 'public.m', undefined])
  })

  it('answer for a column how much of it is found in another, and no more', async () => {
    const url = await server().createDatabase('profiled')
    await runSql(
      url,
      `CREATE TABLE stay (id integer PRIMARY KEY); INSERT INTO stay SELECT generate_series(1, 100);
       CREATE TABLE vital (stay bigint, note text, nothing integer, pair point);
       INSERT INTO vital SELECT i % 200 + 1, i::text, NULL, point(i, i) FROM generate_series(1, 400) i`,
    )
    await using source = await openSource({ url })
    const { profile } = source
    const stay = { sqlName: '"public"."stay"', column: 'id' }
    const vital = (column: string) => ({ sqlName: '"public"."vital"', column })
    expect(await profile.containedShare(vital('stay'), stay, 1000)).toBe(0.5)
    expect(await profile.containedShare(stay, vital('stay'), 1000)).toBe(1)
    expect(await profile.containedShare(vital('nothing'), stay, 1000)).toBeNull()
    expect(await profile.containedShare(vital('note'), stay, 1000)).toBeNull()
    expect(await profile.looksUnique(stay, 1000)).toBe(true)
    expect(await profile.looksUnique(vital('stay'), 1000)).toBe(false)
    expect(await profile.looksUnique(vital('pair'), 1000)).toBe(false)
  })
})
