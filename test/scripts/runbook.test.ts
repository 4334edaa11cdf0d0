/**
 * The runbook is true: every command in it is run, in its order, on a ward with a capture and two servers, and prints what
 * the page says that one sees. Words in capitals are filled in; `psql` is ours, because not every machine has one.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { BY_PASSPHRASE, type Environment, makeSite, PASSWORD, type Site, setUpRepository } from '../cli/cli-support.ts'
import { connectClient, runSql } from '../source/postgres/support.ts'
import { type Step, stepsOf } from './runbook-steps.ts'

// Many processes, each of which waits its turn on a small machine that does something else besides.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url))
const KEY_PASSPHRASE = 'a passphrase of her own'
/** Steps in whose place the table is carried over by hand where the machine has no pg_dump as new as the server. */
const NEEDS_PG_DUMP = /^pg_dump |table\.sql/

/** What is captured is kept this soon. */
const SEAL_SECONDS = 0.5

/** Below it the page says to restart the new server. */
const NEEDS_RESTART = /SET max_slot_wal_keep_size/

let site: Site
let spare: PostgresServer
let english: readonly Step[]
let chinese: readonly Step[]
let environment: Record<string, string | undefined>
let capture: ChildProcess | null = null
/** What words in capitals stand for; grows with what commands print. */
const words = new Map<string, string>()

beforeAll(async () => {
  english = stepsOf(await readFile(join(CHECKOUT, 'docs/runbook.md'), 'utf8'))
  chinese = stepsOf(await readFile(join(CHECKOUT, 'docs/runbook.zh-CN.md'), 'utf8'))
  site = await makeSite(`ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'`, 'SELECT pg_reload_conf()')
  spare = await startPostgres({ requirePasswords: true })
  await setUpRepository(site)
  await addPassphrase()
  await addWriter()
  environment = await environmentOf()
  await site.run(['key', 'create', '--role', 'approver', '--name', 'Dr. Chen', '--out', 'approver.key'], {
    CHARTKEEP_KEY_PASSPHRASE: KEY_PASSPHRASE,
  })
  await startCapture()
  await site.run(['backup'])
  fillIn()
})

afterAll(async () => {
  await stopCapture()
  await spare?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})

/** The page's way in. Where it does not matter commands open by the key file: each of sixty would stretch a passphrase. */
async function addPassphrase(): Promise<void> {
  await site.writeFile('passphrase.txt', `${BY_PASSPHRASE.CHARTKEEP_PASSPHRASE}\n`)
  await site.run(['wrapper', 'add', '--passphrase-file', 'passphrase.txt'])
}

async function addWriter(): Promise<void> {
  const writer = site.url.replace('chartkeep@', 'chartkeep_writer@')
  const { stdout } = await site.run(['setup-sql', writer, '--writer'])
  await runSql(site.adminUrl, stdout.replaceAll(/^\\.*$/gm, ''), `ALTER ROLE chartkeep_writer PASSWORD '${PASSWORD}'`)
  const configuration = await readFile(join(site.folder, 'chartkeep.yaml'), 'utf8')
  const more = [
    `writer: { url: '${writer}' }`,
    'retention: { last: 3, daily: 14, window: 14d }',
    `capture: { sealSeconds: ${SEAL_SECONDS} }`,
  ]
  const indented = configuration.replace(/^( +)(url: postgres)/m, (_, indent, url) =>
    [...more, url].map((line) => indent + line).join('\n'),
  )
  await site.writeFile('chartkeep.yaml', indented)
}

/** With `chartkeep` and `psql` on the path. */
async function environmentOf(): Promise<Record<string, string | undefined>> {
  const bin = join(site.folder, 'bin')
  await mkdir(bin)
  const node = `exec ${process.execPath} --disable-warning=ExperimentalWarning`
  await writeFile(join(bin, 'chartkeep'), `#!/bin/sh\n${node} ${join(CHECKOUT, 'src/cli/main.ts')} "$@"\n`)
  await writeFile(join(bin, 'psql.ts'), PSQL)
  await writeFile(join(bin, 'psql'), `#!/bin/sh\n${node} ${join(bin, 'psql.ts')} "$@"\n`)
  for (const name of ['chartkeep', 'psql']) await chmod(join(bin, name), 0o755)
  return {
    ...process.env,
    PATH: `${bin}${delimiter}${process.env.PATH}`,
    ...site.environment,
    CHARTKEEP_KEY_PASSPHRASE: KEY_PASSPHRASE,
  }
}

function useSecrets(secrets: Environment): void {
  environment = Object.fromEntries(
    Object.entries({ ...environment, ...secrets }).filter(([, value]) => value !== undefined),
  )
}

/** As much of psql as the page uses; at `\password` it types the password. */
const PSQL = `
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
const pg = createRequire(${JSON.stringify(join(CHECKOUT, 'package.json'))})('pg')
const [url, flag, what] = process.argv.slice(2)
const client = new pg.Client(url)
await client.connect()
const text = flag === '-f' ? readFileSync(what, 'utf8') : what
const roles = [...text.matchAll(/^\\\\password "?([^"\\n]+)"?$/gm)].map((found) => found[1])
const results = [await client.query(text.replaceAll(/^\\\\.*$/gm, ''))].flat()
for (const role of roles) await client.query('ALTER ROLE ' + pg.escapeIdentifier(role) + " PASSWORD '${PASSWORD}'")
if (flag === '-c') for (const { fields = [], rows = [] } of results) {
  if (fields.length > 0) console.log(fields.map(({ name }) => name).join(' | '))
  for (const row of rows) console.log(Object.values(row).join(' | '))
}
await client.end()
`

function fillIn(): void {
  const { port } = site.server
  const all = {
    DRILL_ADMIN_URL: spare.url(),
    DRILL_URL: spare.url('icu_restore'),
    NEW_ADMIN_URL: spare.url(),
    NEW_URL: spare.url('icu'),
    ADMIN_URL: site.adminUrl,
    OLD_ADDRESS: `127.0.0.1:${port}`,
    NEW_ADDRESS: `127.0.0.1:${spare.port}`,
    TEXT: 'MRN4',
    REQUEST: 'request 117',
  }
  for (const [word, value] of Object.entries(all)) words.set(word, value)
}

async function startCapture(): Promise<void> {
  await stopCapture()
  const started = spawn('chartkeep', ['capture'], { cwd: site.folder, env: environment as NodeJS.ProcessEnv })
  capture = started
  let printed = ''
  started.stdout.on('data', (text) => {
    printed += text
  })
  started.stderr.on('data', (text) => {
    printed += text
  })
  for (let waited = 0; waited < 60_000 && !printed.includes('following'); waited += 100) {
    if (started.exitCode !== null) break
    await pause(100)
  }
  expect(printed).toContain('following')
}

async function stopCapture(): Promise<void> {
  const running = capture
  capture = null
  if (running === null || running.exitCode !== null) return
  const ended = new Promise((resolve) => running.once('exit', resolve))
  running.kill('SIGTERM')
  await ended
}

/** The environment goes from step to step, as in one shell. */
async function runStep({ command }: Step): Promise<{ readonly status: number; readonly printed: string }> {
  const filled = command.replaceAll(/\b[A-Z]+(_[A-Z]+)*\b/g, (word) => words.get(word) ?? word)
  if (filled === 'chartkeep capture') {
    await startCapture()
    return { status: 0, printed: '' }
  }
  const variables = join(site.folder, 'variables')
  const script = `${filled}\nstatus=$?\nenv -0 > ${variables}\nexit $status\n`
  const ended = await new Promise<{ status: number; printed: string }>((resolve) => {
    const options = { cwd: site.folder, env: environment as NodeJS.ProcessEnv, timeout: 120_000 }
    execFile('sh', ['-c', script], options, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
      resolve({ status, printed: stdout + stderr })
    })
  })
  environment = Object.fromEntries(
    (await readFile(variables, 'utf8'))
      .split('\0')
      .filter(Boolean)
      .map((line) => {
        const equals = line.indexOf('=')
        return [line.slice(0, equals), line.slice(equals + 1)]
      }),
  )
  return ended
}

/** What later steps call by a word in capitals. */
function learn({ command }: Step, printed: string): void {
  const [key] = /^\d+(?= +MRN4)/m.exec(printed) ?? []
  if (key) words.set('PATIENT', key)
  const changes = [...printed.matchAll(/[0-9a-f]{8}-[0-9A-F]+\/[0-9A-F]+-\d+/g)]
  if (command.includes('timeline') && changes.length > 0) words.set('CHANGE', changes.at(-1)![0])
  const [, changeset] = /^changeset {2}(\S+)/m.exec(printed) ?? []
  if (changeset) words.set('CHANGESET', changeset)
  const [, wrapper] = /^(\S+) +passphrase /m.exec(printed) ?? []
  if (command.includes('wrapper list') && wrapper) words.set('OLD_WRAPPER', wrapper)
}

async function count(sql: string, url = site.adminUrl): Promise<number> {
  await using client = await connectClient(url)
  const { rows } = await client.query(`SELECT count(*)::int AS count FROM ${sql}`)
  return rows[0].count
}

async function clock(): Promise<string> {
  await using client = await connectClient(site.adminUrl)
  const { rows } = await client.query(`SELECT to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`)
  return rows[0].now
}

/** Until it is in the repository: nothing else is confirmed to the server. */
async function runCaptured(sql: string): Promise<void> {
  await using client = await connectClient(site.adminUrl)
  await client.query('BEGIN')
  await client.query(sql)
  const { rows } = await client.query('SELECT pg_current_wal_insert_lsn() AS before')
  await client.query('COMMIT')
  const isKept = `SELECT bool_and(confirmed_flush_lsn > '${rows[0].before}') AS kept FROM pg_replication_slots`
  for (let waited = 0; waited < 60_000; waited += 100) {
    const { rows: slots } = await client.query(isKept)
    if (slots[0].kept) return
    await pause(100)
  }
  expect.fail('what was written was not captured within a minute')
}

/** `doctor` ends as what it finds wants it; every other command succeeds. */
const mayComplain = (command: string) => command === 'chartkeep doctor'

/** What pg_dump would have carried over. */
async function carryTable(): Promise<void> {
  await using from = await connectClient(spare.url('icu_restore'))
  const { rows } = await from.query('SELECT code, label FROM drug')
  const values = rows.map(({ code, label }) => `('${code}', '${label}')`).join(', ')
  await runSql(
    site.adminUrl,
    'CREATE TABLE drug (code text PRIMARY KEY, label text)',
    `INSERT INTO drug VALUES ${values}`,
  )
}

async function play(section: string): Promise<void> {
  const steps = english.filter((step) => step.section === section)
  expect(steps.length).toBeGreaterThan(0)
  for (const step of steps) {
    if (NEEDS_PG_DUMP.test(step.command) && !(await hasPgDump())) {
      if (step.command.startsWith('pg_dump')) await carryTable()
      continue
    }
    const { status, printed } = await runStep(step)
    const isFine = status === 0 || (mayComplain(step.command) && [57, 60, 61].includes(status))
    expect([step.command, isFine ? '' : printed]).toEqual([step.command, ''])
    expect([step.command, step.sees.filter((code) => !printed.includes(code)), printed]).toEqual([
      step.command,
      [],
      printed,
    ])
    learn(step, printed)
    if (NEEDS_RESTART.test(step.command)) {
      await spare.stop()
      await spare.start()
    }
  }
}

async function hasPgDump(): Promise<boolean> {
  const { printed } = await runStep({ section: '', command: 'pg_dump --version', sees: [] })
  return Number(/\(PostgreSQL\) (\d+)/.exec(printed)?.[1] ?? 0) >= site.server.version
}

describe('the runbook', () => {
  it('has the same commands in both languages, and shows the same to see', () => {
    expect(chinese).toEqual(english)
  })

  it('says what to do first', async () => {
    await play('first')
  })

  it('brings back what a patient lost', async () => {
    const before = await count('note')
    words.set('MOMENT', await clock())
    await runCaptured('DELETE FROM note WHERE stay_id = 103')
    await play('patient')

    expect(await count('note')).toBe(before)
  })

  it('takes apart two patients who were merged wrongly', async () => {
    const stays = await count('icu_stay WHERE patient_id = 5')
    expect(stays).toBeGreaterThan(0)
    words.set('MOMENT', await clock())
    words.set('OTHER', '5')
    await runCaptured(
      'UPDATE icu_stay SET patient_id = 4 WHERE patient_id = 5; DELETE FROM patient WHERE patient_id = 5',
    )
    await play('merge')

    expect(await count('icu_stay WHERE patient_id = 5')).toBe(stays)
    expect(await count('patient WHERE patient_id = 5')).toBe(1)
  })

  it('brings back a table that was dropped', async () => {
    await site.run(['backup'])
    words.set('MOMENT', await clock())
    await runCaptured('UPDATE patient SET name = name')
    await runSql(site.adminUrl, 'DROP TABLE drug')
    await play('table')

    expect(await count('drug', spare.url('icu_restore'))).toBe(50)
    expect(await count('drug')).toBe(50)
  })

  it('gets capture going again when its slot was lost', async () => {
    await stopCapture()
    await runSql(site.adminUrl, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots`)
    await play('capture')
  })

  it('shows a gap, and closes it', async () => {
    await play('gap')
  })

  it('makes room on a full disk', async () => {
    await play('disk')
    await play('slot')
  })

  it('opens the repository without its passphrase', async () => {
    useSecrets(BY_PASSPHRASE)
    await site.writeFile('new-passphrase.txt', 'another long passphrase\n')
    await site.writeFile('sheet.txt', await readFile(join(site.folder, 'chartkeep-recovery-sheet.txt'), 'utf8'))
    await play('passphrase')

    expect(environment.CHARTKEEP_PASSPHRASE).toBe(undefined)
    useSecrets({ ...site.environment, CHARTKEEP_PASSPHRASE_FILE: undefined })
  })

  it('gives the ward another server for a dead one', async () => {
    const notes = await count('note')
    await stopCapture()
    await site.server.stop()
    await play('server')

    expect(await count('note', spare.url('icu'))).toBe(notes)
  })
})
