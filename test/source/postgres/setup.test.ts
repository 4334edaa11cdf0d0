/** What `setup-sql` prints is run as an administrator would, and then everything is read with the role it made. */
import { expect, it } from 'vitest'
import { openSource, setupSql } from '../../../src/source/open.ts'
import { connectClient, describeOnServers, linesOf, oldestAndNewest, readAll, runSql, sortedLines } from './support.ts'

describeOnServers('What setup-sql prints', oldestAndNewest, (server) => {
  it('lets the role read every table, sequence and schema, hidden rows included, and write nothing', async () => {
    const url = await server().createDatabase('ward data')
    await runSql(
      url,
      `CREATE ROLE owner NOLOGIN; CREATE SCHEMA "In side" AUTHORIZATION owner; SET ROLE owner;
       CREATE TABLE "In side".t (a integer GENERATED ALWAYS AS IDENTITY, b text); INSERT INTO "In side".t (b) VALUES ('x'), ('y');
       ALTER TABLE "In side".t ENABLE ROW LEVEL SECURITY; CREATE SEQUENCE "In side".s; RESET ROLE`,
    )
    const readerUrl = url.replace('postgres@', 'chart%20reader@')
    const script = setupSql(readerUrl)
    await runSql(url, withoutMetaCommands(script), withoutMetaCommands(script))
    await runSql(url, 'SET ROLE owner; CREATE TABLE "In side".later (a integer)')

    await using read = await readAll(readerUrl)
    expect(read.tableTickets.map((table) => table.name)).toEqual(['"In side".later', '"In side".t'])
    const [, table] = read.tableTickets
    expect(table && sortedLines(await linesOf(read.ticket, table))).toEqual(['', '1\tx', '2\ty'])
    expect((await read.readDdl()).steps.length).toBeGreaterThan(0)
    await using source = await openSource({ url: readerUrl })
    expect((await source.introspect()).sequences).toHaveLength(2)
    await expect(runSql(readerUrl, 'DELETE FROM "In side".t')).rejects.toMatchObject({ code: '42501' })
  })
})

describeOnServers('What setup-sql prints for capture', oldestAndNewest, (server) => {
  it('publishes what can be found by its key and nothing else, and again what has changed since (P9, F34, F44)', async () => {
    const url = await server().createDatabase('published')
    await runSql(
      url,
      `CREATE SCHEMA other; CREATE TABLE good (a integer PRIMARY KEY, b text); CREATE TABLE keyless (a integer);
       CREATE TABLE deferred (a integer PRIMARY KEY DEFERRABLE); CREATE TABLE named (a regclass PRIMARY KEY);
       CREATE TABLE nothing (a integer PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
       CREATE TABLE whole (a integer PRIMARY KEY); ALTER TABLE whole REPLICA IDENTITY FULL;
       CREATE UNLOGGED TABLE unlogged (a integer PRIMARY KEY); CREATE TABLE "Left out" (a integer PRIMARY KEY);
       CREATE TABLE other.root (a integer PRIMARY KEY) PARTITION BY RANGE (a);
       CREATE TABLE other.leaf PARTITION OF other.root FOR VALUES FROM (0) TO (10)`,
    )
    const readerUrl = url.replace('postgres@', 'follower@')
    const script = withoutMetaCommands(setupSql(readerUrl, { exclude: ['public."Left out"'] }))
    await runSql(url, script, script)
    expect(await publishedIn(url)).toEqual(['other.leaf', 'public.good', 'public.whole'])
    await runSql(url, 'ALTER TABLE good DROP CONSTRAINT good_pkey; CREATE TABLE later (a integer PRIMARY KEY)', script)
    expect(await publishedIn(url)).toEqual(['other.leaf', 'public.later', 'public.whole'])
    for (const table of ['good', 'keyless', 'deferred', 'nothing', 'whole', 'later', 'other.leaf']) {
      await runSql(url, `UPDATE ${table} SET a = a; DELETE FROM ${table}`)
    }

    await using source = await openSource({ url: readerUrl })
    const plan = await source.changes?.plan(['public.later'], { allowsUnlimitedSlot: true })
    expect(plan).toMatchObject({ obstacle: null, tables: [{ resolution: 'transaction' }], dangers: [] })
    const signal = new AbortController().signal
    await source.changes?.createSlot('follower', { lockTimeoutMs: 5000, signal })
    await source.changes?.dropSlot('follower')
    // The emergency brake: whoever owns the publication may take a table out.
    await runSql(readerUrl, 'ALTER PUBLICATION chartkeep DROP TABLE public.whole')
    expect(await publishedIn(url)).toEqual(['other.leaf', 'public.later'])
  })
})

describeOnServers('A role that is something else already', oldestAndNewest, (server) => {
  it.each([
    ['who runs the script', 'postgres', 'SELECT 1'],
    ['who may make roles', 'maker', 'CREATE ROLE maker CREATEROLE'],
    ['who owns tables', 'app', 'CREATE ROLE app LOGIN; CREATE TABLE t (a integer); ALTER TABLE t OWNER TO app'],
  ])('%s is refused by the scripts for both roles, and stays what it is', async (_, role, made) => {
    const url = await server().createDatabase(`of_${role}`)
    await runSql(url, made)
    const before = await rolesOf(url)
    const address = url.replace('postgres@', `${role}@`)
    for (const script of [setupSql(address), setupSql(address, { exclude: [], writer: true })]) {
      expect(script).toMatch(/^\\set ON_ERROR_STOP on$/m)
      await expect(runSql(url, withoutMetaCommands(script))).rejects.toThrow(/needs a role of its own/)
    }
    expect(await rolesOf(url)).toEqual(before)
  })
})

async function rolesOf(url: string): Promise<unknown[]> {
  await using client = await connectClient(url)
  return (await client.query('SELECT * FROM pg_roles ORDER BY rolname')).rows
}

async function publishedIn(url: string): Promise<string[]> {
  await using client = await connectClient(url)
  const { rows } = await client.query(
    `SELECT schemaname || '.' || tablename AS name FROM pg_publication_tables WHERE pubname = 'chartkeep' ORDER BY 1`,
  )
  return rows.map(({ name }) => name)
}

it('names the role and the database of the address, and holds no password', () => {
  const script = setupSql('postgres://re%22ader@db.hospital/icu')
  expect(script).toContain('GRANT CONNECT ON DATABASE "icu" TO "re""ader";')
  expect(script).toContain('\\password "re""ader"')
  expect(script).not.toMatch(/PASSWORD\s+'/i)
})

function withoutMetaCommands(script: string): string {
  return script.replace(/^\\.*$/gm, '')
}
