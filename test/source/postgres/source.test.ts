/**
 * The PostgreSQL source on several versions (with EVERY_VERSION=1 on all that this machine can run): the promises of all
 * sources, and the rebuilding of a schema with every kind of object, by pg_dump where one fits and by our own statements
 * everywhere.
 *
 * The judge of a rebuilt schema is pg_dump, which reads the catalogs in its own way; where the machine has none that is
 * new enough, our own statements of both databases are compared, and the counts of the catalogs.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import type { PostgresServer } from '../../../scripts/support/postgres-server.ts'
import type { SchemaDdl } from '../../../src/source/contract.ts'
import { loadTable, openTarget, readTable } from '../../../src/source/open.ts'
import { connect } from '../../../src/source/postgres/connect.ts'
import { writeSchemaDdl } from '../../../src/source/postgres/ddl/from-catalogs.ts'
import { findPgDump } from '../../../src/source/postgres/ddl-from-pg-dump.ts'
import { describeSource, type SourceBench } from '../source-suite.ts'
import { EVERY_KIND, EVERY_ROW, LATER_KINDS } from './every-kind.ts'
import {
  connectClient,
  describeOnServers,
  linesOf,
  oldestAndNewest,
  PHASES,
  readAll,
  runSql,
  someVersions,
  sortedLines,
} from './support.ts'

const run = promisify(execFile)

/** The oldest, the newest, and the one this machine has a pg_dump for. */
const withPgDumpBetween = someVersions([...oldestAndNewest, 15])

describeOnServers('PostgreSQL as a source', withPgDumpBetween, (server) => {
  describeSource('what every source promises', () => benchOf(server()))
})

describeOnServers('PostgreSQL rebuilt', withPgDumpBetween, (server) => {
  describe('a schema with every kind of object', () => {
    let source = ''
    beforeAll(async () => {
      source = await server().createDatabase('every_kind')
      const later = LATER_KINDS.filter(([since]) => since <= server().version).map(([, sql]) => sql)
      await runSql(source, EVERY_KIND, ...later, EVERY_ROW)
    })

    it('is rebuilt as it was by our own statements, every row equal', async () => {
      const ddl = await ownDdl(source)
      expect(ddl.notCarried).toEqual([])
      const target = await server().createDatabase('own_rebuilt')
      await rebuild(ddl, source, target)
      await expectSameSchema(source, target)
      await expectSameRows(source, target)
    })

    it('is rebuilt as it was by pg_dump, where one fits the server', async () => {
      await using read = await readAll(source)
      const ddl = await read.readDdl()
      const fits = await findPgDump(read.identity.serverVersionNumber)
      expect(ddl.origin).toBe(fits === undefined ? 'chartkeep' : `pg_dump ${fits.version}`)
      if (fits === undefined) return
      const target = await server().createDatabase('dump_rebuilt')
      await rebuild(ddl, source, target)
      await expectSameSchema(source, target)
    })

    it('lists by name what our own statements do not carry', async () => {
      const url = await server().createDatabase('beyond')
      await runSql(url, BEYOND)
      const { notCarried } = await ownDdl(url)
      expect(notCarried.map(({ kind, name }) => `${kind} ${name}`)).toEqual(BEYOND_LISTED)
    })
  })
})

function benchOf(server: PostgresServer): SourceBench {
  let made = 0
  return {
    createDatabase: async () => {
      made += 1
      return { url: await server.createDatabase(`suite_${Date.now().toString(36)}_${made}`) }
    },
    run: ({ url }, sql) => runSql(url, sql),
    example: `CREATE SCHEMA ward; CREATE TABLE ward.patient (id integer PRIMARY KEY, name text NOT NULL);
      CREATE TABLE ward.note (note integer PRIMARY KEY, patient integer REFERENCES ward.patient);
      INSERT INTO ward.patient SELECT i, '病人' || i FROM generate_series(1, 1000) i;
      INSERT INTO ward.note SELECT i, i FROM generate_series(1, 1000) i`,
    addRows: `INSERT INTO ward.patient VALUES (5000, 'late'); INSERT INTO ward.note VALUES (5000, 5000)`,
  }
}

async function ownDdl(url: string): Promise<SchemaDdl> {
  await using session = await connect({ url }, 'read')
  return await writeSchemaDdl(session)
}

async function rebuild(ddl: SchemaDdl, source: string, target: string): Promise<void> {
  await using read = await readAll(source)
  await using rebuilt = await openTarget({ url: target })
  await rebuilt.assertUsable(read.identity)
  await rebuilt.runSteps(ddl.steps.filter((step) => step.phase === 'before-rows'))
  const { signal } = new AbortController()
  for (const table of read.tableTickets) {
    await loadTable({ url: target }, { ...table, encoding: 'UTF8' }, readTable(read.ticket, table, signal), signal)
  }
  for (const phase of PHASES.slice(1)) await rebuilt.runSteps(ddl.steps.filter((step) => step.phase === phase))
  await rebuilt.setSequences(read.schema.sequences)
  await rebuilt.refreshViews()
  await rebuilt.gatherStatistics()
  expect(rebuilt.skipped).toEqual([])
}

async function expectSameSchema(source: string, target: string): Promise<void> {
  const statements = async (url: string) => (await ownDdl(url)).steps.map((step) => `${step.phase} ${step.sql}`).sort()
  expect(await statements(target)).toEqual(await statements(source))
  expect(await catalogCounts(target)).toEqual(await catalogCounts(source))
  const judge = await judgeOf(source)
  if (judge !== undefined) expect(await dumpText(judge, target)).toBe(await dumpText(judge, source))
}

async function expectSameRows(source: string, target: string): Promise<void> {
  await using read = await readAll(source)
  await using again = await readAll(target)
  expect(again.tableTickets.map((table) => table.name)).toEqual(read.tableTickets.map((table) => table.name))
  for (const [index, table] of read.tableTickets.entries()) {
    const copy = again.tableTickets[index]
    if (copy)
      expect(sortedLines(await linesOf(again.ticket, copy))).toEqual(sortedLines(await linesOf(read.ticket, table)))
  }
}

async function judgeOf(url: string): Promise<string | undefined> {
  await using session = await connect({ url }, 'read')
  return (await findPgDump(session.serverVersionNumber))?.path
}

async function dumpText(pgDump: string, url: string): Promise<string> {
  const { stdout } = await run(pgDump, ['--schema-only', url], { maxBuffer: 1 << 26 })
  // Recent releases make up a new key for psql with each dump.
  return stdout.replace(/^\\(un)?restrict .*$/gm, '')
}

/** How many objects of the user each catalog holds, and how many dependencies there are between them. */
async function catalogCounts(url: string): Promise<unknown> {
  await using client = await connectClient(url)
  const catalogs = ['class', 'attrdef', 'constraint', 'trigger', 'proc', 'type', 'rewrite', 'policy', 'description']
  const counts = catalogs.map((name) =>
    name === 'description'
      ? `SELECT '${name}' AS catalog, count(*) FROM pg_description WHERE objoid >= 16384`
      : `SELECT '${name}', count(*) FROM pg_${name} WHERE oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend d
           WHERE d.objid = pg_${name}.oid AND d.deptype = 'e')`,
  )
  const { rows } = await client.query(
    `${counts.join(' UNION ALL ')} UNION ALL SELECT 'reloptions', count(*) FROM pg_class WHERE reloptions IS NOT NULL
     UNION ALL SELECT 'acl', count(*) FROM pg_class WHERE relacl IS NOT NULL AND oid >= 16384 ORDER BY 1`,
  )
  return rows
}

/** One of each kind that is left to pg_dump. */
const BEYOND = `
CREATE AGGREGATE public.total (integer) (SFUNC = int4pl, STYPE = integer);
CREATE OPERATOR public.=== (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq);
CREATE COLLATION public.plain FROM "C";
CREATE TEXT SEARCH CONFIGURATION public.words (COPY = pg_catalog.simple);
CREATE TEXT SEARCH DICTIONARY public.simply (TEMPLATE = pg_catalog.simple);
CREATE FOREIGN DATA WRAPPER elsewhere; CREATE SERVER far FOREIGN DATA WRAPPER elsewhere;
CREATE FOREIGN TABLE public.remote (a integer) SERVER far;
CREATE PUBLICATION everything;
CREATE FUNCTION public.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER watch_ddl ON ddl_command_end EXECUTE FUNCTION public.on_ddl();
CREATE TYPE public.pair AS (a integer); CREATE FUNCTION public.to_int(public.pair) RETURNS integer LANGUAGE sql AS 'SELECT $1.a';
CREATE CAST (public.pair AS integer) WITH FUNCTION public.to_int(public.pair);
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;
`
const BEYOND_LISTED = [
  'aggregate public.total',
  'cast public.pair as integer',
  'collation public.plain',
  'default privileges of role postgres',
  'event trigger watch_ddl',
  'foreign server far',
  'foreign table public.remote',
  'foreign-data wrapper elsewhere',
  'operator public."==="',
  'publication everything',
  'text search configuration public.words',
  'text search dictionary public.simply',
]
