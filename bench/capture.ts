/**
 * What it costs to follow a database: how fast capture catches up, what the next snapshot costs then, and what the
 * application feels of it. pg_recvlogical is the yardstick: it follows the same publication, and keeps nothing.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { RunningCommand } from '../scripts/demo/running-command.ts'
import type { Measured } from './measure.ts'
import { pgBackRest } from './pgbackrest.ts'
import type { Question } from './questions.ts'
import { directoryBytes, type Finding, isInstalled, PASSPHRASE, ROOT, type Stage } from './stage.ts'

const QUESTION = 'capture'
const BATCHES = 2000
const ROWS_A_BATCH = 100
const TOLL_SECONDS = 15
const TOLL_ROUNDS = 3
/** A program that has just begun is compiled first. */
const SETTLING_MS = 5_000

export const capture: Question = async (stage) => {
  await prepare(stage)
  await captureUntil(stage, await currentLsn(stage))
  await withCapture(stage, () => stage.chartkeep('backup'))
  return [...(await catchUp(stage)), ...(await increments(stage)), ...(await toll(stage))]
}

/** A publication of the tables with a primary key, and a limit, without which capture makes no slot. Once for a run. */
export async function prepare({ sql, tables, server }: Stage): Promise<void> {
  await sql(`ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'`)
  await sql('SELECT pg_reload_conf()')
  const client = await connect(server.url('icu'))
  const published = await client.query(`SELECT FROM pg_publication WHERE pubname = 'chartkeep'`)
  if (published.rowCount !== 0) return await client.end()
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate)`,
  )
  await client.end()
  const keyed = new Set(rows.map(({ name }) => name))
  await sql(`CREATE PUBLICATION chartkeep FOR TABLE ${tables.filter((table) => keyed.has(table)).join(', ')}`)
}

/** How long does it take to keep what was committed meanwhile, beside receiving it only? */
async function catchUp(stage: Stage): Promise<Finding[]> {
  await stage.sql(`SELECT pg_create_logical_replication_slot('bare', 'pgoutput')`)
  await stage.sql(manySmallTransactions())
  const lsn = await currentLsn(stage)
  const bytesBefore = await directoryBytes(stage.repository)
  const kept = await captureUntil(stage, lsn)
  const { changes, textBytes } = JSON.parse(kept.stdout)
  const speed = `${Math.round(changes / kept.seconds)} a second, start included; ${textBytes} bytes of text`
  const findings = [
    found(
      `chartkeep capture, ${changes} changes: ${speed}`,
      kept,
      (await directoryBytes(stage.repository)) - bytesBefore,
    ),
  ]
  if (isInstalled('pg_recvlogical')) {
    const options = `-o proto_version=2 -o publication_names=chartkeep --endpos ${lsn} --no-loop -f -`
    const bare = await stage.run(`pg_recvlogical -d '${stage.url}' --slot bare --start ${options} > /dev/null`)
    findings.push(found('pg_recvlogical of the same changes to /dev/null', bare))
  }
  await stage.sql(`SELECT pg_drop_replication_slot('bare')`)
  return findings
}

/** What does a snapshot cost when a thousandth of the rows changed? To be read beside `full-read`. */
async function increments(stage: Stage): Promise<Finding[]> {
  const changed = Math.ceil(stage.rows / 1000)
  const recent = `WHERE vital_id > (SELECT max(vital_id) FROM public.vital_sign) - ${changed}`
  const cases: readonly (readonly [what: string, where: string])[] = [
    [`what was caught up with: ${BATCHES * ROWS_A_BATCH} changes`, 'WHERE false'],
    ['the latest 0.1 % of the vital signs corrected', recent],
    ['0.1 % of the rows changed all over the year', 'WHERE vital_id % 200 = 11'],
    ['nothing changed', 'WHERE false'],
  ]
  const findings: Finding[] = []
  for (const [what, where] of cases) {
    await stage.sql(`UPDATE public.vital_sign SET value = value + 0.1 ${where}`)
    await captureUntil(stage, await currentLsn(stage))
    const before = await directoryBytes(stage.repository)
    const taken = await withCapture(stage, () => stage.chartkeep('backup'))
    const { mode, bytesRead } = JSON.parse(taken.stdout.trim().split('\n').at(-1)!)
    const bytes = (await directoryBytes(stage.repository)) - before
    findings.push(found(`chartkeep backup (${mode}, ${bytesRead} bytes read), ${what}`, taken, bytes))
    const beside = await pgBackRest(stage, 'incr')
    if (beside) findings.push(found(`pgbackrest backup --type=incr, ${what}`, beside.measured, beside.bytes))
  }
  return findings
}

/**
 * What does the application feel of it, at half of what the server can do? In turn, because the server has work of its own
 * that falls on one or the other; medians. Nothing is vacuumed meanwhile, and what was written before is on the disk.
 */
async function toll(stage: Stage): Promise<Finding[]> {
  if (!isInstalled('pgbench') || !isInstalled('pg_recvlogical')) return []
  const tables = ['pgbench_accounts', 'pgbench_branches', 'pgbench_tellers']
  await stage.run(`pgbench -q -i -s 10 '${stage.url}'`)
  await stage.sql(`ALTER PUBLICATION chartkeep ADD TABLE ${tables.join(', ')}`)
  for (const table of tables) await stage.sql(`ALTER TABLE ${table} SET (autovacuum_enabled = off)`)
  const saturated = tpsOf((await play(stage, '')).stdout)
  const ways: readonly (readonly [beside: string, around: Around])[] = [
    ['alone', (work) => work()],
    ['with pg_recvlogical to /dev/null', (work) => withBare(stage, work)],
    ['with chartkeep capture', (work) => withCaptureOnly(stage, work)],
  ]
  const played = new Map<string, Played[]>()
  for (let round = 0; round < TOLL_ROUNDS; round += 1) {
    for (const [beside, around] of ways) {
      const one = await around(async () => {
        await stage.sql('CHECKPOINT')
        await setTimeout(SETTLING_MS)
        const measured = await play(stage, `-R ${Math.floor(saturated / 2)}`)
        return { measured, p95Ms: await p95Ms(stage.directory), tps: tpsOf(measured.stdout) }
      })
      played.set(beside, [...(played.get(beside) ?? []), one])
    }
  }
  return [...played].map(([beside, runs]) => {
    const p95 = runs.map((run) => run.p95Ms).sort((a, b) => a - b)
    const median = runs.find((run) => run.p95Ms === p95[Math.floor(p95.length / 2)])!
    const all = p95.map((ms) => ms.toFixed(1)).join(', ')
    const done = `${median.tps.toFixed(0)} a second, p95 ${median.p95Ms.toFixed(1)} ms (of ${all})`
    return found(`pgbench at half of ${Math.round(saturated)} tps, ${beside}: ${done}`, median.measured)
  })
}

interface Played {
  readonly measured: Measured
  readonly p95Ms: number
  readonly tps: number
}

type Around = (work: () => Promise<Played>) => Promise<Played>

async function play(stage: Stage, options: string): Promise<Measured> {
  const log = join(stage.directory, 'pgbench')
  const command = `pgbench -n -c 4 -j 1 -T ${TOLL_SECONDS} -l --log-prefix=${log} ${options} '${stage.url}' 2>&1`
  return await stage.run(`rm -f ${log}.* && ${command}`, true)
}

async function withBare(stage: Stage, work: () => Promise<Played>): Promise<Played> {
  await stage.sql(`SELECT pg_create_logical_replication_slot('bare', 'pgoutput')`)
  const options = ['-o', 'proto_version=2', '-o', 'publication_names=chartkeep', '-f', '/dev/null']
  const program = ['pg_recvlogical', '-d', stage.url, '--slot', 'bare', '--start', ...options]
  const bare = new RunningCommand(program, captureWorld())
  const played = await work()
  await bare.stop()
  await stage.sql(`SELECT pg_drop_replication_slot('bare')`)
  return played
}

/** What was written without it, at full speed above all, is not part of the question. */
async function withCaptureOnly(stage: Stage, work: () => Promise<Played>): Promise<Played> {
  await captureUntil(stage, await currentLsn(stage))
  return await withCapture(stage, work)
}

/** Of the transactions that pgbench wrote down: client, number, microseconds, … a line. */
async function p95Ms(directory: string): Promise<number> {
  const names = (await readdir(directory)).filter((name) => name.startsWith('pgbench.'))
  const logs = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')))
  const lines = logs.flatMap((log) => log.trimEnd().split('\n'))
  const times = lines.map((line) => Number(line.split(' ')[2])).sort((a, b) => a - b)
  return (times[Math.floor(times.length * 0.95)] ?? 0) / 1000
}

function tpsOf(printed: string): number {
  return Number(/tps = ([\d.]+)/.exec(printed)?.[1] ?? 0)
}

export async function captureUntil(stage: Stage, lsn: string): Promise<Measured> {
  const script = join(ROOT, 'bench/capture-until.ts')
  const command = `exec ${process.execPath} ${script} ${configurationOf(stage)} '${stage.url}' ${lsn}`
  return await stage.run(`CHARTKEEP_PASSPHRASE='${PASSPHRASE}' ${command}`, true)
}

/** While capture runs, which is not measured. */
export async function withCapture<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
  await using running = new RunningCommand(captureProgram(stage), captureWorld())
  await running.says('connected')
  return await work()
}

export function captureProgram(stage: Stage): string[] {
  return [process.execPath, join(ROOT, 'src/cli/main.ts'), 'capture', '--json', '--config', configurationOf(stage)]
}

export function captureWorld(): { readonly cwd: string; readonly env: NodeJS.ProcessEnv } {
  return { cwd: ROOT, env: { ...process.env, CHARTKEEP_PASSPHRASE: PASSPHRASE } }
}

export function configurationOf({ directory }: Stage): string {
  return join(directory, 'chartkeep.yaml')
}

/** Each of a hundred rows, as a monitor's charting is. */
function manySmallTransactions(): string {
  return `DO $$
    DECLARE first bigint := (SELECT min(vital_id) FROM public.vital_sign);
    BEGIN
      FOR batch IN 0..${BATCHES - 1} LOOP
        UPDATE public.vital_sign SET value = value + 0.1
          WHERE vital_id >= first + batch * ${ROWS_A_BATCH} AND vital_id < first + (batch + 1) * ${ROWS_A_BATCH};
        COMMIT;
      END LOOP;
    END $$`
}

export async function currentLsn({ url }: Stage): Promise<string> {
  const client = await connect(url)
  // A commit that waits for the disk takes everything before it along.
  await client.query('SET synchronous_commit TO on')
  await client.query(`SELECT pg_logical_emit_message(true, 'bench', 'mark')`)
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn')
  await client.end()
  return rows[0]!.lsn
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client(url)
  await client.connect()
  return client
}

function found(what: string, measured: Measured, bytes: number | null = null): Finding {
  return { question: QUESTION, what, measured, bytes }
}
