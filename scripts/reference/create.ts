/**
 * Makes the reference ICU database in an existing, empty database: tables, then rows by COPY, then keys, indexes,
 * foreign keys and the rest. The same seed and size give the same rows, byte for byte, on every server.
 */
import { readFile } from 'node:fs/promises'
import pg from 'pg'
import { Failure } from '../../src/errors.ts'
import { Hospital } from './hospital.ts'
import { TableLoader } from './load.ts'
import { DAY, dateText, monthsBetween, zonedText } from './moment.ts'
import { type HospitalShape, type ProfileName, type SizeName, shapeOf } from './shape.ts'
import type { TableName } from './tables.ts'

export interface ReferenceDatabaseOptions {
  /** An existing database without tables. */
  readonly url: string
  /** Default XS. */
  readonly size?: SizeName | undefined
  /** Instead of `size`: about so many rows. */
  readonly rows?: number | undefined
  /** Charting profile, where the size's own is not wanted. */
  readonly profile?: ProfileName | undefined
  /** Default 1. */
  readonly seed?: number | undefined
  /** Called about once for each per cent of the rows, and once for each later step. */
  readonly onProgress?: ((progress: ReferenceProgress) => void) | undefined
}

export interface ReferenceProgress {
  readonly step: 'tables' | 'rows' | 'keys' | 'foreign-keys' | 'objects'
  /** Of this step, in [0, 1]. */
  readonly share: number
}

export interface ReferenceDatabaseReport {
  readonly rows: number
  readonly tables: Readonly<Record<TableName, number>>
}

/** The ward program charts beyond the end of the data. */
const MONTHS_AHEAD = 3

/** Identity columns and sequences that must stand above the loaded values. */
const numbered = [
  ['public.staff', 'staff_id'],
  ['public.patient', 'patient_id'],
  ['public.admission', 'admission_id'],
  ['public.icu_stay', 'stay_id'],
  ['public.vital_sign', 'vital_id'],
  ['public.med_order', 'order_id'],
  ['public.order_execution', 'execution_id'],
  ['public.nursing_record', 'record_id'],
  ['public.fluid_balance', 'fluid_id'],
  ['public.lab_result', 'result_id'],
  ['audit.audit_log', 'log_id'],
] as const

export async function createReferenceDatabase(options: ReferenceDatabaseOptions): Promise<ReferenceDatabaseReport> {
  const shape = shapeOf(options)
  const report = options.onProgress ?? (() => undefined)
  const client = await connect(options.url)
  try {
    await assertEmpty(client)
    report({ step: 'tables', share: 0 })
    await client.query(await statements('tables.sql'))
    await client.query(partitionStatements(shape))

    const tables = await loadRows(options.url, shape, options.seed ?? 1, report)

    await makeKeys(options.url, client, report)
    report({ step: 'foreign-keys', share: 0 })
    await client.query(await statements('foreign-keys.sql'))
    report({ step: 'objects', share: 0 })
    await client.query(await statements('objects.sql'))
    await raiseSequences(client)
    await client.query('analyze')
    report({ step: 'objects', share: 1 })
    return { rows: Object.values(tables).reduce((sum, count) => sum + count, 0), tables }
  } catch (error) {
    throw withoutRowValues(error)
  } finally {
    await client.end()
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'chartkeep-reference' })
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (error) {
    throw unreachable(error)
  }
  await client.query(`set maintenance_work_mem = '192MB'; set client_min_messages = warning`)
  return client
}

function unreachable(error: unknown): Failure {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'
  if (code === '3D000') {
    return new Failure('source-not-found', 'the server has no database of that name', {
      hints: ['Create an empty one with createdb first.'],
    })
  }
  return new Failure('source-unreachable', `cannot open the database: ${code}`, {
    hints: ['Check the address, and that the server answers there (pg_isready).'],
  })
}

async function assertEmpty(client: pg.Client): Promise<void> {
  const found = await client.query<{ tables: number }>(
    `select count(*)::int as tables from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema')
       and n.nspname not like 'pg_toast%' and n.nspname not like 'pg_temp%'`,
  )
  const tables = found.rows[0]?.tables ?? 0
  if (tables > 0) {
    throw new Failure('target-not-empty', `the database holds ${tables} tables; an empty one is needed`, {
      hints: ['Create a new database with createdb and give its address.'],
    })
  }
}

/** One partition for each month of the data and some ahead; what comes later still, or was mistyped, has a default. */
function partitionStatements(shape: HospitalShape): string {
  const months = monthsBetween(shape.start, shape.end, MONTHS_AHEAD + 1)
  const parts = months.slice(0, -1).map((month, index) => {
    const name = `public.vital_sign_${month.slice(0, 4)}${month.slice(5, 7)}`
    return `create table ${name} partition of public.vital_sign
      for values from ('${month} 00:00:00+08') to ('${months[index + 1]} 00:00:00+08');`
  })
  return `${parts.join('\n')}\ncreate table public.vital_sign_default partition of public.vital_sign default;`
}

async function loadRows(
  url: string,
  shape: HospitalShape,
  seed: number,
  report: (progress: ReferenceProgress) => void,
): Promise<Record<TableName, number>> {
  const loader = await TableLoader.open(url)
  try {
    let reported = -1
    for (const until of new Hospital(loader, shape, seed).run()) {
      await loader.drain()
      const share = (until - shape.start) / (shape.end - shape.start)
      if (Math.floor(share * 100) === reported) continue
      reported = Math.floor(share * 100)
      report({ step: 'rows', share })
    }
    return await loader.finish()
  } finally {
    await loader.close()
  }
}

/** Two connections take the paragraphs of keys.sql in turn; each paragraph belongs to one table. */
async function makeKeys(url: string, client: pg.Client, report: (progress: ReferenceProgress) => void): Promise<void> {
  const paragraphs = (await statements('keys.sql')).split(/\n\s*\n/).filter((text) => /^\s*(alter|create)/m.test(text))
  const total = paragraphs.length
  const work = async (worker: pg.Client): Promise<void> => {
    for (let next = paragraphs.shift(); next !== undefined; next = paragraphs.shift()) {
      report({ step: 'keys', share: 1 - (paragraphs.length + 1) / total })
      await worker.query(next)
    }
  }
  const second = await connect(url)
  try {
    await Promise.all([work(client), work(second)])
  } finally {
    await second.end()
  }
}

async function raiseSequences(client: pg.Client): Promise<void> {
  for (const [table, column] of numbered) {
    await client.query(
      `select setval(pg_get_serial_sequence('${table}', '${column}'), (select max(${column}) from ${table}))`,
    )
  }
  await client.query(`select setval('public.mrn_no_seq', (select max(substr(mrn, 3)::bigint) from public.patient))`)
}

async function statements(file: string): Promise<string> {
  return await readFile(new URL(file, import.meta.url), 'utf8')
}

/** Errors of the database quote rows in message, detail and context (F42): only the state goes on. */
function withoutRowValues(error: unknown): unknown {
  if (!(error instanceof pg.DatabaseError)) return error
  return new Failure('target-failed', `making the reference database ended with SQLSTATE ${error.code ?? 'unknown'}`, {
    hints: ['Give a new, empty database and run the same command again.'],
  })
}

/** First day and last moment of the data, for those who print what was made. */
export function describeShape(shape: HospitalShape): string {
  const days = Math.round((shape.end - shape.start) / DAY)
  return `${shape.places} places, ${days} days from ${dateText(shape.start)} to ${zonedText(shape.end)}, profile ${shape.profile.name}`
}
