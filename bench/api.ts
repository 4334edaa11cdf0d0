/**
 * Two hundred clients at once, and a backup beside them: how soon `/health` answers, and what memory the service takes.
 *
 *     node launch.mjs bench/api.ts                     200 clients, 1 M vital signs, 30 s
 *     node launch.mjs bench/api.ts --clients 50 --rows 200000 --seconds 10
 *
 * Half of the clients ask `/health`, half ask status, snapshots and jobs with a token of their own. The service is a
 * process of its own (`chartkeep serve`); the snapshot is started over the API once the clients are at work. Bound: the
 * median of `/health` at most 50 ms. Prints one line a figure; not a test, because a machine may do something else besides.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { startPostgres } from '../scripts/support/postgres-server.ts'
import { createToken } from '../src/repository/access/tokens.ts'
import { openRepository } from '../src/repository/repository-lifecycle.ts'
import { openStore } from '../src/repository/store/open.ts'

const MAIN = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
const NODE_OPTIONS = ['--disable-warning=ExperimentalWarning']
const PORT = 18_090
const BASE = `http://127.0.0.1:${PORT}`
const PASSPHRASE = 'correct horse battery staple'
const BOUND_MS = 50
const ASKED = ['/v1/sources/icu/status', '/v1/sources/icu/snapshots', '/v1/jobs', '/v1/service']

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '200' },
    rows: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '30' },
  },
})
const [clients, rows, seconds] = [Number(values.clients), Number(values.rows), Number(values.seconds)]

const folder = mkdtempSync(join(tmpdir(), 'chartkeep-bench-api-'))
await using server = await startPostgres()
let service: ChildProcess | null = null
try {
  await prepare()
  const tokens = await newTokens(Math.ceil(clients / 10))
  service = spawn(process.execPath, [...NODE_OPTIONS, MAIN, 'serve', '--listen', `127.0.0.1:${PORT}`], {
    cwd: folder,
    env: environment(),
    stdio: 'ignore',
  })
  await untilAnswered()
  await play(tokens, service.pid!)
} finally {
  service?.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}

async function prepare(): Promise<void> {
  const url = await server.createDatabase('icu')
  const client = new pg.Client(url)
  await client.connect()
  await client.query(`CREATE TABLE patient (patient_id bigint PRIMARY KEY, mrn text);
    CREATE TABLE vital_sign (patient_id bigint REFERENCES patient, id bigint, at timestamptz, value numeric, PRIMARY KEY (patient_id, id));
    INSERT INTO patient SELECT n, 'M' || n FROM generate_series(1, 1000) n;
    INSERT INTO vital_sign SELECT 1 + n % 1000, n, timestamptz '2026-01-01' + n * interval '1 s', n / 7.0 FROM generate_series(1, ${rows}) n;`)
  await client.end()
  const { username, password, port } = new URL(url)
  writeFileSync(join(folder, 'password'), decodeURIComponent(password), { mode: 0o600 })
  const source = `postgres://${username}@127.0.0.1:${port}/icu`
  writeFileSync(
    join(folder, 'chartkeep.yaml'),
    `repository: { url: "file://${folder}/repository" }
sources:
  icu:
    url: ${source}
    ${password === '' ? '' : 'passwordFile: password'}
    patient: { table: public.patient, key: patient_id }
    anchors: { public.vital_sign: patient_id }
`,
  )
  command(['init'])
  command(['backup'])
}

async function play(tokens: readonly string[], pid: number): Promise<void> {
  const endMs = performance.now() + seconds * 1000
  const health: number[] = []
  const others: number[] = []
  const statuses = new Map<number, number>()
  let peakMiB = 0
  const watch = setInterval(() => {
    peakMiB = Math.max(peakMiB, residentMiB(pid))
  }, 100)
  const work = Array.from({ length: clients }, async (_, n) => {
    const headers = { Authorization: `Bearer ${tokens[n % tokens.length]}` }
    while (performance.now() < endMs) {
      const isHealth = n % 2 === 0
      const startedMs = performance.now()
      const answer = await fetch(
        isHealth ? `${BASE}/health` : BASE + ASKED[n % ASKED.length],
        isHealth ? {} : { headers },
      )
      await answer.arrayBuffer()
      ;(isHealth ? health : others).push(performance.now() - startedMs)
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
      // As a person or a watch asks: again and again, not without end.
      await new Promise((done) => setTimeout(done, 500))
    }
  })
  const begun = await fetch(`${BASE}/v1/jobs`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${tokens[0]}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ kind: 'snapshot', reason: 'a backup beside the clients' }),
  })
  const job = (await begun.json()) as { id?: string; code?: string }
  await Promise.all(work)
  clearInterval(watch)
  said('clients', `${clients}, for ${seconds} s, load ${loadavg()[0]?.toFixed(1)}`)
  said('backup', begun.status === 202 ? `job ${job.id}` : `did not start: ${job.code}`)
  said(
    'health',
    `median ${quantile(health, 0.5)} ms, p95 ${quantile(health, 0.95)} ms, of ${health.length}; at most ${BOUND_MS} ms wanted`,
  )
  said('others', `median ${quantile(others, 0.5)} ms, p95 ${quantile(others, 0.95)} ms, of ${others.length}`)
  said('statuses', [...statuses].map(([status, count]) => `${status} × ${count}`).join(', '))
  said('memory', `peak ${peakMiB.toFixed(0)} MiB of the service's process`)
}

/** One for ten clients: a token may ask twenty times a second. Not by the command, which stretches the passphrase each time. */
async function newTokens(count: number): Promise<string[]> {
  const settings = { url: `file://${folder}/repository` }
  const secret = { kind: 'passphrase', passphrase: PASSPHRASE } as const
  await using repository = await openRepository(await openStore(settings), settings, secret)
  const tokens: string[] = []
  for (let n = 0; n < count; n += 1) {
    const nowMs = Date.now()
    const wanted = {
      role: 'operator',
      person: `client ${n}`,
      nowMs,
      expiresMs: nowMs + 3_600_000,
      random: randomBytes,
    } as const
    tokens.push((await createToken(repository.sealed, wanted)).shownOnce)
  }
  return tokens
}

function command(args: readonly string[]): string {
  const options = { cwd: folder, env: environment(), encoding: 'utf8' } as const
  return execFileSync(process.execPath, [...NODE_OPTIONS, MAIN, ...args], options)
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, CHARTKEEP_PASSPHRASE: PASSPHRASE }
}

async function untilAnswered(): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await fetch(`${BASE}/health`).catch(() => null)) return
    await new Promise((done) => setTimeout(done, 200))
  }
  throw new Error('the service does not answer')
}

function residentMiB(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
  return (pages * 4096) / 2 ** 20
}

function quantile(figures: readonly number[], share: number): string {
  const sorted = figures.toSorted((a, b) => a - b)
  return (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(1)
}

function said(what: string, result: string): void {
  process.stdout.write(`${what.padEnd(9)} ${result}\n`)
}
