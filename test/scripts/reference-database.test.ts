/**
 * The reference database as others rely on it: its size, its rules, its kinds of objects, and that a seed gives the
 * same rows for ever. One database of the size XS and small ones of some 20,000 rows.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { referenceConfiguration } from '../../scripts/reference/configuration.ts'
import { createReferenceDatabase, type ReferenceDatabaseReport } from '../../scripts/reference/create.ts'
import { TableLoader } from '../../scripts/reference/load.ts'
import { type TableName, tableNames } from '../../scripts/reference/tables.ts'
import { availablePostgresVersions, type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { brokenRules, connect, digests, one } from './reference-queries.ts'

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url))
const SMALL_ROWS = 20_000

let server: PostgresServer
let url: string
let client: pg.Client
let report: ReferenceDatabaseReport

beforeAll(async () => {
  server = await startPostgres()
  url = await server.createDatabase('xs')
  report = await createReferenceDatabase({ url, size: 'XS' })
  client = await connect(url)
})

afterAll(async () => {
  await client?.end()
  await server?.[Symbol.asyncDispose]()
})

describe('size XS', () => {
  it('has the rows of two beds over thirty days with values every five minutes', () => {
    const bedDays = 2 * 30 * 0.85
    const perBedDay = (...names: TableName[]) => names.reduce((sum, name) => sum + report.tables[name], 0) / bedDays

    expect(report.rows).toBeGreaterThan(350_000)
    expect(report.rows).toBeLessThan(430_000)
    // The ladder's own figures, by table.
    const ladder: [number, number][] = [
      [perBedDay('public.vital_sign'), 3456],
      [perBedDay('public.device_data'), 3034],
      [perBedDay('public.med_order'), 15],
      [perBedDay('public.order_execution'), 45],
      [perBedDay('public.nursing_record'), 12],
      [perBedDay('public.nursing_assessment'), 60],
      [perBedDay('public.fluid_balance'), 60],
      [perBedDay('public.lab_result'), 120],
      [perBedDay('public.clinical_document'), 2.5],
      [perBedDay('public.document_version'), 5],
      [perBedDay('public.score'), 8],
      [perBedDay('audit.audit_log'), 500],
    ]
    for (const [made, wanted] of ladder) {
      expect(made).toBeGreaterThan(wanted * 0.8)
      expect(made).toBeLessThan(wanted * 1.2)
    }
  })

  it('counts what the server holds', async () => {
    for (const name of tableNames) {
      const { count } = await one<{ count: number }>(client, `select count(*)::int as count from ${name}`)
      expect([name, count]).toEqual([name, report.tables[name]])
    }
  })

  it('breaks no rule of the ward', async () => {
    expect(await brokenRules(url)).toEqual({})
  })

  it('charts nothing outside the stay that it belongs to', async () => {
    const { outside } = await one<{ outside: number }>(
      client,
      `select count(*)::int as outside from (
         select stay_id, recorded_at as at from public.vital_sign union all
         select stay_id, recorded_at at time zone 'Asia/Shanghai' from public.device_data union all
         select stay_id, recorded_at from public.nursing_record union all
         select stay_id, recorded_at from public.fluid_balance union all
         select stay_id, scored_at from public.score union all
         select stay_id, ordered_at from public.med_order union all
         select stay_id, started_at from public.order_execution) x
       join public.icu_stay s using (stay_id)
       where at < s.in_at - interval '1 minute' or at > coalesce(s.out_at, 'infinity')`,
    )

    expect(outside).toBe(0)
  })

  it('has foreign keys that the server validated, one that it did not, and rows that would break that one', async () => {
    const { rows } = await client.query<{ name: string; is_valid: boolean; self: boolean; schemas: number }>(
      `select conname as name, convalidated as is_valid, conrelid = confrelid as self,
              case when r.relnamespace = f.relnamespace then 1 else 2 end as schemas
       from pg_constraint c join pg_class r on r.oid = c.conrelid join pg_class f on f.oid = c.confrelid
       where contype = 'f' and conparentid = 0`,
    )
    const orphans = await one<{ count: number }>(
      client,
      `select count(*)::int as count from public.nursing_record n
       where reviewed_by is not null and not exists (select from public.staff s where s.staff_id = n.reviewed_by)`,
    )

    expect(rows.filter((row) => !row.is_valid).map((row) => row.name)).toEqual(['nursing_record_reviewer_fk'])
    expect(orphans.count).toBeGreaterThan(0)
    expect(rows.filter((row) => row.self).length).toBeGreaterThanOrEqual(2)
    expect(rows.filter((row) => row.schemas === 2).length).toBeGreaterThanOrEqual(3)
    expect(rows.length).toBeGreaterThan(30)
  })

  it('leaves the laboratory’s stay and the audit log without a foreign key, and lists them as links', async () => {
    const { rows } = await client.query(
      `select from pg_constraint where contype = 'f'
       and conrelid in ('public.lab_result'::regclass, 'audit.audit_log'::regclass)`,
    )

    expect(rows).toEqual([])
    expect(referenceConfiguration().links).toContain('public.lab_result.stay_id -> public.icu_stay.stay_id')
    for (const link of referenceConfiguration().links) {
      const [, from, column, to, target] = /^(.*)\.(\w+) -> (.*)\.(\w+)$/.exec(link) as RegExpExecArray
      const { orphans } = await one<{ orphans: number }>(
        client,
        `select count(*)::int as orphans from ${from} a
         where ${column} is not null and not exists (select from ${to} b where b.${target} = a.${column})`,
      )
      expect([link, orphans]).toEqual([link, 0])
    }
  })

  it('has every kind of object that a backup must carry', async () => {
    const kinds = await one<Record<string, number>>(
      client,
      `with columns as (
         select a.*, t.typtype, t.typname from pg_attribute a join pg_class c on c.oid = a.attrelid
         join pg_type t on t.oid = a.atttypid join pg_namespace n on n.oid = c.relnamespace
         where n.nspname in ('public', 'dict', 'audit') and c.relkind in ('r', 'p') and not c.relispartition and attnum > 0)
       select (select count(*)::int from columns where attidentity = 'a') as identity_always,
              (select count(*)::int from columns where attidentity = 'd') as identity_by_default,
              (select count(*)::int from columns where attgenerated = 's') as generated,
              (select count(*)::int from columns where typtype = 'e') as enum,
              (select count(*)::int from columns where typtype = 'd') as domain,
              (select count(*)::int from columns where attndims > 0) as arrays,
              (select count(distinct typname)::int from columns) as types,
              (select count(*)::int from pg_class where relkind = 'v' and relnamespace = 'public'::regnamespace) as views,
              (select count(*)::int from pg_matviews) as materialised,
              (select count(*)::int from pg_trigger where not tgisinternal) as triggers,
              (select count(*)::int from pg_inherits i join pg_class c on c.oid = i.inhrelid
               where c.relkind = 'r') as partitions,
              (select count(*)::int from pg_index where indpred is not null and not indisprimary) as partial_indexes,
              (select count(*)::int from pg_index where indexprs is not null) as expression_indexes,
              (select count(*)::int from pg_description d where objsubid = 0 and description ~ '[一-龥]') as comments,
              (select count(*)::int from pg_sequence s where not exists (
                 select from pg_depend d where d.objid = s.seqrelid and d.deptype in ('a', 'i'))) as free_sequences`,
    )

    const missing = Object.entries(kinds).filter(([, count]) => count === 0)
    expect(missing).toEqual([])
    expect(kinds.types).toBeGreaterThan(18)
    expect(kinds.comments).toBeGreaterThan(25)
  })

  it('has a primary key on every table and partition, but for one table, which holds equal rows twice', async () => {
    const { rows } = await client.query<{ name: string }>(
      `select oid::regclass::text as name from pg_class c
       where relkind in ('r', 'p') and relnamespace::regnamespace::text in ('public', 'dict', 'audit')
       and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)`,
    )
    const repeated = await one<{ count: number }>(
      client,
      'select count(*)::int as count from (select 1 from public.device_alarm a group by a.* having count(*) > 1) x',
    )

    expect(rows).toEqual([{ name: 'device_alarm' }])
    expect(repeated.count).toBeGreaterThan(0)
  })

  it('has neighbouring heart rates that resemble each other, and nights that are calmer than days', async () => {
    // Against the mean of the hour around it, so that only the neighbourhood counts and not the patient.
    const figures = await one<{ lag: number; day: number; night: number }>(
      client,
      `with hr as (
         select stay_id, recorded_at, value::float8 as v,
                extract(hour from recorded_at at time zone 'Asia/Shanghai') as hour,
                value::float8 - avg(value::float8) over (partition by stay_id order by recorded_at
                  rows between 6 preceding and 6 following) as apart
         from public.vital_sign where item_code = 'HR'),
       neighbours as (select hr.*, lag(apart) over (partition by stay_id order by recorded_at) as apart_before from hr)
       select corr(apart, apart_before) as lag, avg(v) filter (where hour between 14 and 18) as day,
              avg(v) filter (where hour between 2 and 6) as night from neighbours`,
    )

    expect(figures.lag).toBeGreaterThan(0.3)
    expect(figures.day).toBeGreaterThan(figures.night + 3)
  })

  it('has present patients when the data end', async () => {
    const { count } = await one<{ count: number }>(client, 'select count(*)::int as count from public.current_stay')

    expect(count).toBeGreaterThan(0)
  })

  it('hands out numbers above the loaded ones', async () => {
    const inserted = await one<{ next: boolean }>(
      client,
      `insert into public.fluid_balance (stay_id, recorded_at, direction, item_code, volume_ml, nurse_id)
       select stay_id, in_at, '入', 'DRUG', 1, attending_id from public.icu_stay limit 1
       returning fluid_id > (select max(fluid_id) from public.fluid_balance) as next`,
    )

    expect(inserted.next).toBe(true)
  })
})

describe('the configuration', () => {
  it('puts every table in one category, and every anchor is a column', async () => {
    const { categories, anchors } = referenceConfiguration()

    expect(Object.values(categories).flat().sort()).toEqual([...tableNames].sort())
    for (const [table, column] of Object.entries(anchors)) {
      expect(
        await one(client, `select attname from pg_attribute where attrelid = $1::regclass and attname = $2`, [
          table,
          column,
        ]),
      ).toEqual({
        attname: column,
      })
    }
  })
})

describe('a seed', () => {
  it('gives the same rows in every table, and another seed gives others', async () => {
    const [first, second, other] = [await made('seed_a', 7), await made('seed_b', 7), await made('seed_c', 8)]
    const names = await Promise.all([staffNames('seed_a'), staffNames('seed_b'), staffNames('seed_c')])

    expect(second).toEqual(first)
    expect([names[1] === names[0], names[2] === names[0]]).toEqual([true, false])
    const same = tableNames.filter((name) => other[name] === first[name])
    // What does not depend on chance at all.
    expect(same.sort()).toEqual([
      'dict."给药频次"',
      'dict.diagnosis',
      'dict.drug',
      'dict.item',
      'public.bed',
      'public.department',
    ])
  })

  it('gives the same rows on the oldest version of PostgreSQL as on the newest', async () => {
    const versions = availablePostgresVersions()
    await using oldest = await startPostgres({ version: Math.min(...versions) })
    const oldUrl = await oldest.createDatabase('icu')
    await createReferenceDatabase({ url: oldUrl, rows: SMALL_ROWS, seed: 9 })

    expect(await digests(oldUrl)).toEqual(await made('seed_d', 9))
  })
})

describe('what goes wrong', () => {
  it('is refused before anything is made, where the database is not empty', async () => {
    await expect(createReferenceDatabase({ url, rows: SMALL_ROWS })).rejects.toMatchObject({ code: 'target-not-empty' })
  })

  it('is told apart: a server that is not there, and a database that is not', async () => {
    const missing = createReferenceDatabase({ url: server.url('never_made') })
    await expect(missing).rejects.toMatchObject({ code: 'source-not-found' })

    const nowhere = createReferenceDatabase({ url: 'postgres://postgres@127.0.0.1:1/icu' })
    await expect(nowhere).rejects.toMatchObject({
      code: 'source-unreachable',
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })

  it('is told without the rows that the server quotes (F42)', async () => {
    const loader = await TableLoader.open(url)
    try {
      loader.write('public.nursing_record', 'PLANTED-VALUE\t1\n')

      const failure: unknown = await loader.finish().catch((error: unknown) => error)

      expect(failure).toMatchObject({ code: 'target-failed', message: expect.stringContaining('22P02') })
      expect(allTextOf(failure)).not.toContain('PLANTED')
      expect(server.log()).toContain('PLANTED-VALUE')
    } finally {
      await loader.close()
    }
  })
})

describe('the command', () => {
  const run = (...given: string[]) =>
    promisify(execFile)(process.execPath, ['scripts/reference-database.ts', ...given], { cwd: CHECKOUT })

  it('makes a database and prints the rows of each table', async () => {
    const into = await server.createDatabase('by_command')

    const { stdout } = await run('--rows', '5000', '--seed', '3', '--into', into)

    const printed = Object.fromEntries(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('\t')),
    )
    expect(Object.keys(printed).sort()).toEqual([...tableNames].sort())
    expect(Number(printed['public.vital_sign'])).toBeGreaterThan(500)
  })

  it('refuses a size that it does not know, with the status of wrong usage', async () => {
    await expect(run('--size', 'XXL', '--into', url)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--size is one of XS, S, M, not XXL'),
    })
  })
})

async function made(name: string, seed: number): Promise<Record<TableName, string>> {
  const into = await server.createDatabase(name)
  await createReferenceDatabase({ url: into, rows: SMALL_ROWS, seed })
  return await digests(into)
}

async function staffNames(database: string): Promise<string> {
  const asking = await connect(server.url(database))
  const { names } = await one<{ names: string }>(
    asking,
    `select string_agg(name, ',' order by staff_id) as names from public.staff`,
  ).finally(() => asking.end())
  return names
}

/** Everything of an error that could reach a log. */
function allTextOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return `${error.message} ${error.stack} ${JSON.stringify(error)} ${error.cause === undefined ? '' : allTextOf(error.cause)}`
}
