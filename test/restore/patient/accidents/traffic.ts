/**
 * Wards at work beside a repair, and what they touched: triggers that fire for the wards' sessions only keep a journal of
 * keys. Another trigger writes for everybody, as an application's would: what a repair causes there must be told.
 */
import pg from 'pg'
import { Random } from '../../../../scripts/reference/random.ts'
import { startWard } from '../../../../scripts/reference/ward.ts'
import { rowId, type SeenRow } from './rows.ts'
import type { AccidentTable, AccidentWorld } from './world.ts'

/** Tables of which every write leaves a line in `oracle.trail`. */
export const TRAILED: ReadonlySet<string> = new Set(['public.nursing_record', 'public.med_order'])

const PINS = "SET datestyle TO 'ISO, YMD' SET timezone TO 'UTC' SET extra_float_digits TO '3' SET bytea_output TO 'hex'"

export function trafficSql({ tables }: AccidentWorld): string {
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
    ${tables.map(watchSql).join('\n')}`
}

function watchSql(table: AccidentTable): string {
  const { name, key } = table
  const fields = key.length === 0 ? '($1)::text' : key.map((column) => `($1)."${column}"::text`).join(', ')
  const trail = TRAILED.has(name)
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
  readonly url: string
  readonly client: pg.Client
  readonly seed: number
  /** In whose rows somebody works. */
  readonly patient: string
}

/** The reference ward, and somebody who works in rows of the one patient. */
export async function startTraffic({ url, client, seed, patient }: TrafficOptions): Promise<Traffic> {
  await client.query('TRUNCATE oracle.touched')
  const ward = await startWard({ url, seed, actionsPerSecond: 40, connections: 1, deletionShare: 0.1 })
  const nurse = await startNurse(url, new Random(seed, 'nurse'), patient)
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

const STAY = '(SELECT stay_id FROM public.icu_stay WHERE patient_id = $1 ORDER BY stay_id LIMIT 1)'
const DEEDS = [
  `UPDATE public.nursing_record SET content = content || '.' WHERE record_id = (SELECT min(record_id) + $2 FROM public.nursing_record WHERE stay_id = ${STAY})`,
  `UPDATE public.patient SET phone = $2::text WHERE patient_id = $1`,
  `INSERT INTO public.lab_result (stay_id, sample_no, item_code, value_text, sampled_at, reported_at)
     SELECT ${STAY}, 'T' || $2::text, item_code, '1', now(), now() FROM dict.item LIMIT 1`,
  `DELETE FROM public.lab_result WHERE result_id = (SELECT min(result_id) + $2 FROM public.lab_result WHERE stay_id = ${STAY})`,
  `UPDATE public.fluid_balance SET volume_ml = volume_ml + 1 WHERE fluid_id = (SELECT max(fluid_id) - $2 FROM public.fluid_balance WHERE stay_id = ${STAY})`,
]
const PAUSE_SECONDS = 0.03

async function startNurse(url: string, random: Random, patient: string) {
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
            .pick(DEEDS)
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
