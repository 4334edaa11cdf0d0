/**
 * Wards at work beside a repair, and what they touched: triggers that fire for the wards' sessions only keep a journal of
 * keys. Another trigger writes for everybody, as an application's would: what a repair causes there must be told.
 */
import pg from 'pg'
import { Random } from '../../../../scripts/reference/random.ts'
import { startWard } from '../../../../scripts/reference/ward.ts'
import { rowId, type SeenRow } from './rows.ts'
import type { AccidentPlace, AccidentTable, AccidentWorld } from './world.ts'

const PINS = "SET datestyle TO 'ISO, YMD' SET timezone TO 'UTC' SET extra_float_digits TO '3' SET bytea_output TO 'hex'"

export function trafficSql({ tables, trailed }: AccidentWorld): string {
  return `CREATE SCHEMA oracle;
    CREATE TABLE oracle.touched (rel text, key text[]);
    CREATE TABLE oracle.trail (id bigint GENERATED ALWAYS AS IDENTITY, what text);
    CREATE FUNCTION oracle.touch() RETURNS trigger LANGUAGE plpgsql ${PINS} AS $$
      BEGIN
        IF TG_OP <> 'INSERT' THEN
          EXECUTE format('INSERT INTO oracle.touched SELECT %L, ARRAY[%s]', TG_ARGV[1], TG_ARGV[0]) USING OLD;
        END IF;
        IF TG_OP <> 'DELETE' THEN
          EXECUTE format('INSERT INTO oracle.touched SELECT %L, ARRAY[%s]', TG_ARGV[1], TG_ARGV[0]) USING NEW;
        END IF;
        RETURN NULL;
      END $$;
    CREATE FUNCTION oracle.leave_trail() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO oracle.trail (what) VALUES (TG_OP); RETURN NULL; END $$;
    ${tables.map((table) => watchSql(table, trailed.has(table.name))).join('\n')}`
}

function watchSql(table: AccidentTable, isTrailed: boolean): string {
  const { name, key } = table
  const fields = key.length === 0 ? '($1)::text' : key.map((column) => `concat(($1)."${column}")`).join(', ')
  const trail = isTrailed
    ? `CREATE TRIGGER trail AFTER INSERT OR UPDATE OR DELETE ON ${name} FOR EACH ROW EXECUTE FUNCTION oracle.leave_trail();`
    : ''
  return `CREATE TRIGGER touch AFTER INSERT OR UPDATE OR DELETE ON ${name} FOR EACH ROW
    WHEN (current_setting('application_name') = 'ward')
    EXECUTE FUNCTION oracle.touch(${pg.escapeLiteral(fields)}, ${pg.escapeLiteral(name)});${trail}`
}

export interface Traffic {
  /** @returns how long the longest transaction of the traffic took, its errors by SQLSTATE, and what it touched */
  stop(): Promise<TrafficReport>
}

export interface TrafficReport {
  readonly slowestMs: number
  readonly transactions: number
  readonly errors: Readonly<Record<string, number>>
  readonly isTouched: (row: SeenRow) => boolean
}

export interface TrafficOptions {
  readonly place: AccidentPlace
  readonly url: string
  readonly client: pg.Client
  readonly seed: number
  /** In whose rows somebody works. */
  readonly patient: string
}

/** The reference ward, where it can work, and somebody who works in rows of the one patient. */
export async function startTraffic({ place, url, client, seed, patient }: TrafficOptions): Promise<Traffic> {
  await client.query('TRUNCATE oracle.touched')
  const rate = { actionsPerSecond: 40, connections: 1, deletionShare: 0.1 }
  const ward = place.hasWard ? await startWard({ url, seed, ...rate }) : NO_WARD
  const nurse = await startNurse(url, new Random(seed, 'nurse'), { patient, deeds: place.deeds })
  return {
    stop: async () => {
      const [{ actions, errors }, nursed] = await Promise.all([ward.stop(), nurse()])
      const { rows } = await client.query<{ rel: string; key: string[] }>('SELECT rel, key FROM oracle.touched')
      const touched = new Set(rows.map(({ rel, key }) => `${rel} ${JSON.stringify(key)}`))
      const isTouched = ({ table, key }: SeenRow) =>
        touched.has(rowId(table, table.key.length === 0 ? key.slice(0, 1) : key))
      const all = { ...errors }
      for (const [code, count] of Object.entries(nursed.errors)) all[code] = (all[code] ?? 0) + count
      return { slowestMs: nursed.slowestMs, transactions: actions + nursed.transactions, errors: all, isTouched }
    },
  }
}

const NO_WARD = { stop: async () => ({ actions: 0, errors: {} }) }
const PAUSE_SECONDS = 0.03

interface Nursed {
  readonly patient: string
  readonly deeds: readonly string[]
}

async function startNurse(url: string, random: Random, { patient, deeds }: Nursed) {
  const client = new pg.Client({ connectionString: url, application_name: 'ward' })
  await client.connect()
  let isOver = false
  const report = { slowestMs: 0, transactions: 0, errors: {} as Record<string, number> }
  const work = (async () => {
    while (!isOver) {
      const startedMs = performance.now()
      await client
        .query(
          random
            .pick(deeds)
            .replaceAll('$1', patient)
            .replaceAll('$2', String(random.below(6))),
        )
        .catch((error: { code?: string }) => {
          report.errors[`${error.code}`] = (report.errors[`${error.code}`] ?? 0) + 1
        })
      report.slowestMs = Math.max(report.slowestMs, performance.now() - startedMs)
      report.transactions += 1
      await client.query(`SELECT pg_sleep(${PAUSE_SECONDS})`)
    }
    await client.end()
  })()
  return async () => {
    isOver = true
    await work
    return report
  }
}
