/** A server with a database in which a history plays, its recorder, and plain looks at it. */
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { type PostgresServer, startPostgres } from '../../../scripts/support/postgres-server.ts'
import { SHAPE_SQL, SHAPE_TABLES } from './ddl-actions.ts'
import { difference, HistoryModel, type Rows } from './model.ts'
import { Recorder, startRecorder, watchSql } from './recorder.ts'
import { LEAF_TABLES, PUBLISHED_TABLES, WORLD_SQL } from './world.ts'

/** Streams anything that is not small; and somebody cleans up all the time, beside everything else. */
const SETTINGS = {
  logical_decoding_work_mem: '64kB',
  max_slot_wal_keep_size: '2GB',
  wal_sender_timeout: '20s',
  autovacuum_naptime: '1s',
  autovacuum_vacuum_threshold: '5',
  autovacuum_vacuum_scale_factor: '0',
  // Compiling takes longer than any query of a history.
  jit: 'off',
}

export async function startHistoryServer(version: number): Promise<PostgresServer> {
  return await startPostgres({ version, settings: SETTINGS })
}

export interface HistorySite extends AsyncDisposable {
  readonly url: string
  readonly client: pg.Client
  /** Everything committed so far. */
  model(): Promise<HistoryModel>
}

/** With the tables whose shape changes in some histories. */
export async function makeHistorySite(server: PostgresServer, database: string): Promise<HistorySite> {
  const url = await server.createDatabase(database)
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  await startRecorder(client)
  for (const statement of [...WORLD_SQL, ...SHAPE_SQL]) await client.query(statement)
  for (const table of [...LEAF_TABLES, ...SHAPE_TABLES]) await client.query(watchSql(table))
  await client.query(`CREATE PUBLICATION chartkeep FOR TABLE ${[...PUBLISHED_TABLES, ...SHAPE_TABLES].join(', ')}`)
  const recorder = new Recorder(client)
  return {
    url,
    client,
    model: async () => new HistoryModel(await recorder.read(), await generatedColumns(client)),
    [Symbol.asyncDispose]: async () => {
      await dropSlots(client)
      await client.end()
      await dropDatabase(server, database)
    },
  }
}

/** What nobody looks at any more is visited by autovacuum all the same, and fills the memory disk. */
export async function dropDatabase(server: PostgresServer, name: string): Promise<void> {
  const client = new pg.Client(server.url())
  await client.connect()
  try {
    await client.query(`DROP DATABASE ${pg.escapeIdentifier(name)} WITH (FORCE)`)
  } finally {
    await client.end()
  }
}

/** A server serves many histories, and has few slots. */
async function dropSlots(client: pg.Client): Promise<void> {
  const slots = `FROM pg_replication_slots WHERE database = current_database()`
  await client.query(`SELECT pg_terminate_backend(active_pid) ${slots} AND active`)
  // A walsender that was told to end may hold its slot for a moment more.
  for (let left = 1; left > 0; ) {
    await client.query(`SELECT pg_drop_replication_slot(slot_name) ${slots} AND NOT active`)
    left = (await client.query(`SELECT slot_name ${slots}`)).rows.length
  }
}

/** By oid: places, among the columns that are there, of those that the database computes. */
async function generatedColumns(client: pg.Client): Promise<Map<string, ReadonlySet<number>>> {
  const { rows } = await client.query<{ oid: string; columns: boolean[] }>(
    `SELECT attrelid::text AS oid, array_agg(attgenerated <> '' ORDER BY attnum) AS columns FROM pg_attribute
     WHERE attnum > 0 AND NOT attisdropped GROUP BY attrelid HAVING bool_or(attgenerated <> '')`,
  )
  return new Map(
    rows.map(({ oid, columns }) => [oid, new Set(columns.flatMap((generated, index) => (generated ? [index] : [])))]),
  )
}

export interface PlainLook {
  /** `pg_current_snapshot()` of the look. */
  readonly snapshot: string
  readonly rows: Rows
}

/** All watched tables by PostgreSQL's COPY, in one snapshot. */
export async function lookPlainly(url: string): Promise<PlainLook> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    const pins = "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET extra_float_digits = 3; SET search_path = ''"
    await client.query(pins)
    const tables = await client.query<{ oid: string; name: string }>(
      `SELECT DISTINCT tgrelid::text AS oid, tgrelid::regclass::text AS name FROM pg_trigger WHERE tgname = 'oracle_row'`,
    )
    // Locks first, the snapshot behind them: what a TRUNCATE emptied in between would look empty (P4).
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
    const names = tables.rows.map(({ name }) => name)
    await client.query(`LOCK TABLE ONLY ${names.join(', ONLY ')} IN ACCESS SHARE MODE`)
    const { rows } = await client.query<{ snapshot: string }>('SELECT pg_current_snapshot()::text AS snapshot')
    const found = new Map<string, readonly string[]>()
    for (const { oid, name } of tables.rows) found.set(oid, await copyLines(client, name))
    return { snapshot: rows[0]!.snapshot, rows: found }
  } finally {
    await client.end()
  }
}

/** Tables that differ, by oid; a table that one side lacks must be empty on the other. */
export function differences(expected: Rows, found: Rows): Record<string, string> {
  const wrong: Record<string, string> = {}
  for (const oid of new Set([...expected.keys(), ...found.keys()])) {
    const said = difference(expected.get(oid) ?? [], found.get(oid) ?? [])
    if (said !== null) wrong[oid] = said
  }
  return wrong
}

/** Sorted. */
export async function copyLines(client: pg.Client, sqlName: string): Promise<string[]> {
  const parts: Buffer[] = []
  for await (const part of client.query(copyTo(`COPY ${sqlName} TO STDOUT`))) parts.push(part)
  return Buffer.concat(parts).toString('utf8').split('\n').slice(0, -1).sort()
}
