/**
 * What the demo does in the databases itself: as the administrator who runs the printed script, and as an onlooker who
 * asks PostgreSQL, and not chartkeep, whether two databases hold the same rows.
 */
import pg from 'pg'
import { Failure } from '../../src/errors.ts'

/** psql's own commands begin with a backslash; the one in the script asks for the password at a terminal. */
const PSQL_COMMAND = /^\\.*$/gm

export interface Login {
  readonly role: string
  readonly password: string
}

export async function runAsAdministrator(url: string, script: string, login: Login): Promise<void> {
  await withClient(url, async (client) => {
    await client.query(script.replaceAll(PSQL_COMMAND, ''))
    await client.query(`alter role ${pg.escapeIdentifier(login.role)} password ${pg.escapeLiteral(login.password)}`)
  })
}

export interface TableRows {
  readonly rows: number
  readonly md5: string
}

/** Of each table, as its name stands in SQL: how many rows, and one MD5 over the MD5s of all rows, sorted. */
export async function digestByPostgres(url: string, sqlNames: readonly string[]): Promise<Map<string, TableRows>> {
  return await withClient(url, async (client) => {
    const found = new Map<string, TableRows>()
    await client.query(`set work_mem = '64MB'`)
    for (const name of sqlNames) {
      const { rows } = await client.query<TableRows>(
        `select count(*)::int as rows, md5(coalesce(string_agg(digest, '' order by digest), '')) as md5
         from (select md5(t::text) as digest from only ${name} t) d`,
      )
      found.set(name, rows[0]!)
    }
    return found
  })
}

export interface DatabaseLook {
  /** The database's own clock, after everything committed before: ISO 8601 with microseconds, UTC. */
  readonly at: string
  /** By name in SQL. */
  readonly tables: ReadonlyMap<string, TableRows>
}

/** ISO 8601 with microseconds, UTC. */
const CLOCK = `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`

/** All ordinary tables, as they are; nobody may write meanwhile. */
export async function lookNow(url: string): Promise<DatabaseLook> {
  const { at, names } = await withClient(url, async (client) => {
    const tables = await client.query<{ name: string }>(
      `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1`,
    )
    const clock = await client.query<{ at: string }>(CLOCK)
    return { at: clock.rows[0]!.at, names: tables.rows.map(({ name }) => name) }
  })
  return { at, tables: await digestByPostgres(url, names) }
}

export interface Accident {
  /** Of the server's clock: it had not happened yet. */
  readonly sinceTime: string
  /** The key. */
  readonly patient: string
  readonly deleted: number
  readonly overwritten: number
  /** Names in SQL of the tables that it befell, as they were before. */
  readonly before: ReadonlyMap<string, TableRows>
  readonly tables: readonly string[]
}

/**
 * Deletes the nursing records of the last twelve hours of the stay that has most, and overwrites its orders. What came from the
 * old system, with reviewers who never had an account, stays: its foreign key was never validated, and would refuse it now.
 */
export async function patientAccident(url: string): Promise<Accident> {
  return await withClient(url, async (client) => {
    const named = await client.query<{ name: string }>(
      `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind = 'r' and c.oid in (select relid from pg_partition_tree('public.nursing_record')
         union select relid from pg_partition_tree('public.med_order')
         union values ('public.nursing_record'::regclass), ('public.med_order'::regclass)) order by 1`,
    )
    const tables = named.rows.map(({ name }) => name)
    const before = await digestByPostgres(url, tables)
    const found = await client.query<{ stay: string; patient: string }>(
      `select s.stay_id as stay, s.patient_id as patient from public.icu_stay s join public.nursing_record n using (stay_id)
       where exists (select from public.med_order o where o.stay_id = s.stay_id) group by 1, 2 order by count(*) desc, 1 limit 1`,
    )
    const { stay, patient } = found.rows[0]!
    const clock = await client.query<{ at: string }>(CLOCK)
    await client.query('begin')
    const deleted = await client.query(
      `delete from public.nursing_record where stay_id = $1 and recorded_at >
         (select max(recorded_at) - interval '12 hours' from public.nursing_record where stay_id = $1)
         and (reviewed_by is null or reviewed_by in (select staff_id from public.staff))`,
      [stay],
    )
    const overwritten = await client.query(`update public.med_order set content = '***' where stay_id = $1`, [stay])
    await client.query('commit')
    const [done, sinceTime] = [[deleted, overwritten].map(({ rowCount }) => rowCount ?? 0), clock.rows[0]!.at]
    return { sinceTime, patient, deleted: done[0]!, overwritten: done[1]!, before, tables }
  })
}

export async function databaseBytes(url: string): Promise<number> {
  return await withClient(url, async (client) => {
    const { rows } = await client.query<{ bytes: number }>(
      'select pg_database_size(current_database())::float8 as bytes',
    )
    return rows[0]!.bytes
  })
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'chartkeep-demo' })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await work(client)
  } catch (error) {
    throw withoutRowValues(error)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Errors of the database quote rows (F42): only the state goes on. */
function withoutRowValues(error: unknown): unknown {
  if (error instanceof Failure) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  return new Failure('source-failed', `the demo's own look at the database ended with ${code}`)
}
