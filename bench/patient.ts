/**
 * One patient with a stay of fifty thousand rows, of which one table was emptied: what a plan and its application take,
 * beside the other way, which is to rebuild the whole database, take the rows out of it and put them back by COPY.
 */
import { join } from 'node:path'
import pg from 'pg'
import { captureUntil, configurationOf, currentLsn, prepare, withCapture } from './capture.ts'
import type { PatientSteps, Step } from './patient-steps.ts'
import type { Question } from './questions.ts'
import { type Finding, isInstalled, PASSPHRASE, ROOT, type Stage } from './stage.ts'

const QUESTION = 'patient'
const STAY_ROWS = 50_000

export const patient: Question = async (stage) => {
  await prepare(stage)
  const { stayId, patientId } = await longStay(stage)
  await captureUntil(stage, await currentLsn(stage))
  await withCapture(stage, () => stage.chartkeep('backup'))
  const [moment] = await ask<{ at: string }>(
    stage,
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at`,
  )
  await stage.sql(`DELETE FROM public.vital_sign WHERE stay_id = ${stayId}`)
  await captureUntil(stage, await currentLsn(stage))
  return [...(await ours(stage, patientId, moment!.at)), ...(await theOtherWay(stage, stayId, moment!.at))]
}

/** A stay that has as many vital signs, whatever the size of the database. */
async function longStay(stage: Stage): Promise<{ readonly stayId: string; readonly patientId: string }> {
  const [stay] = await ask<{ stay_id: string; patient_id: string }>(
    stage,
    'SELECT stay_id, patient_id FROM public.icu_stay ORDER BY stay_id LIMIT 1 OFFSET 5',
  )
  const { stay_id: stayId, patient_id: patientId } = stay!
  const own = `FROM public.vital_sign WHERE stay_id = ${stayId}`
  await stage.sql(`
    WITH codes AS (SELECT array_agg(item_code) AS a FROM (SELECT DISTINCT item_code ${own} LIMIT 5) d)
    INSERT INTO public.vital_sign (stay_id, item_code, recorded_at, value, source)
    SELECT ${stayId}, a[1 + n % 5], (SELECT min(recorded_at) ${own}) + (n / 5) * interval '1 minute', 60 + n % 50, '监护仪'
    FROM codes, generate_series(1, ${STAY_ROWS} - (SELECT count(*)::int ${own})) n`)
  await stage.sql('ANALYZE public.vital_sign')
  return { stayId, patientId }
}

async function ours(stage: Stage, patientId: string, at: string): Promise<Finding[]> {
  const script = join(ROOT, 'bench/patient-steps.ts')
  const command = `exec ${process.execPath} ${script} ${configurationOf(stage)} icu ${patientId} ${at}`
  const measured = await stage.run(`CHARTKEEP_PASSPHRASE='${PASSPHRASE}' ${command}`, true)
  const { plan, apply, rows, textBytes }: PatientSteps = JSON.parse(measured.stdout)
  const line = (what: string, { seconds, cpuSeconds, bytesFetched, requests, statements }: Step): Finding => ({
    question: QUESTION,
    what: `${what}: ${bytesFetched} bytes fetched in ${requests} requests, ${statements} statements`,
    measured: { ...measured, seconds, cpuSeconds, serverCpuSeconds: null, peakMiB: null },
    bytes: null,
  })
  return [
    line(`plan of ${rows} rows, ${textBytes} bytes of text`, plan),
    line('the same plan applied, proved, undo stored', apply),
    { question: QUESTION, what: 'both, with the start of the program', measured, bytes: null },
  ]
}

/** What one does without: rows may have been written since, and nobody compares, approves, or can take it back. */
async function theOtherWay(stage: Stage, stayId: string, at: string): Promise<Finding[]> {
  if (!isInstalled('psql')) return []
  const target = await stage.server.createDatabase('beside')
  const restored = await stage.chartkeep(`restore database --at ${at} --into '${target}'`)
  await stage.sql(`DELETE FROM public.vital_sign WHERE stay_id = ${stayId}`)
  const select = `COPY (SELECT * FROM public.vital_sign WHERE stay_id = ${stayId}) TO STDOUT`
  const psql = stage.client('psql')
  const copied = await stage.run(
    `${psql} -qXd '${target}' -c "${select}" | ${psql} -qXd '${stage.url}' -c 'COPY public.vital_sign FROM STDIN'`,
  )
  await stage.sql('DROP DATABASE beside')
  const seconds = restored.seconds + copied.seconds
  return [
    {
      question: QUESTION,
      what: 'the other way: restore of the whole database, then COPY out of it and in',
      measured: { ...restored, seconds },
      bytes: null,
    },
  ]
}

async function ask<T extends pg.QueryResultRow>({ url }: Stage, statement: string): Promise<T[]> {
  const client = new pg.Client(url)
  await client.connect()
  const { rows } = await client.query<T>(statement)
  await client.end()
  return rows
}
