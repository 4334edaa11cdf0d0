/**
 * Tries a bundle as a hospital would: unpacked into an empty directory, no network but loopback, no Node, an empty home.
 *
 *     node launch.mjs scripts/bundle-try.ts ARCHIVE
 *
 * The main job against a PostgreSQL on loopback: role, configuration, repository, backup, check, rebuild, proof. Then an
 * upgrade to a second version beside it, on the same repository, and back; and a bundle with one byte changed. Wants
 * Linux, and the right to make a network namespace (`unshare --net`); says so where it has not.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { writeSums } from './bundle-parts.ts'
import { startPostgres } from './support/postgres-server.ts'

const WARD = `
  CREATE TABLE patient (patient_id bigint PRIMARY KEY, mrn text UNIQUE);
  CREATE TABLE icu_stay (stay_id bigint PRIMARY KEY, patient_id bigint NOT NULL REFERENCES patient, bed text);
  CREATE TABLE vital_sign (id bigint PRIMARY KEY, stay_id bigint NOT NULL REFERENCES icu_stay, at timestamptz, value numeric);
  INSERT INTO patient SELECT n, 'M' || n FROM generate_series(1, 20) n;
  INSERT INTO icu_stay SELECT n, 1 + n % 20, 'B' || n FROM generate_series(1, 40) n;
  INSERT INTO vital_sign SELECT n, 1 + n % 40, timestamptz '2026-01-01' + n * interval '5 min', n / 7.0 FROM generate_series(1, 20000) n;`
const PASSWORD = 'only for this try'
/** Reserved for documents: nothing answers there, and without a network nothing can be sent there either. */
const ELSEWHERE = '192.0.2.1'

const [archive] = process.argv.slice(2)
if (archive === undefined) throw new Error('which archive? see the head of this file')
if (process.env.CHARTKEEP_TRY_INSIDE === undefined) outside(resolve(archive))
else await inside(archive)

/** The same again, where there is no network. */
function outside(path: string): void {
  const script = ['--disable-warning=ExperimentalWarning', fileURLToPath(import.meta.url), path]
  const up = 'ip link set lo up && exec "$0" "$@"'
  const env = { ...process.env, CHARTKEEP_TRY_INSIDE: 'yes' }
  const { status, error } = spawnSync('unshare', ['--net', 'sh', '-c', up, process.execPath, ...script], {
    stdio: 'inherit',
    env,
  })
  if (error) throw error
  process.exitCode = status ?? 1
}

async function inside(path: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'chartkeep-try-'))
  await using server = await startPostgres({ requirePasswords: true })
  try {
    said('network', `none: ${await reached(ELSEWHERE)}`)
    execFileSync('tar', ['-xzf', path, '-C', folder])
    const bundle = join(folder, readdirSync(folder)[0]!)
    const prefix = join(folder, 'opt')
    const site: Site = { folder, prefix, server }
    said('install', install(bundle, prefix))
    await mainJob(site)
    await service(site)
    upgrade(site, bundle)
    tampered(site, bundle)
    said('tried', 'everything held')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Site {
  readonly folder: string
  readonly prefix: string
  readonly server: Awaited<ReturnType<typeof startPostgres>>
}

async function mainJob(site: Site): Promise<void> {
  const adminUrl = await site.server.createDatabase('icu')
  const url = `postgres://chartkeep@127.0.0.1:${site.server.port}/icu`
  await sql(adminUrl, WARD)
  await sql(adminUrl, run(site, ['setup-sql', url]).replaceAll(/^\\.*$/gm, ''))
  await sql(adminUrl, `ALTER ROLE chartkeep PASSWORD '${PASSWORD}'`)
  const repository = `file://${join(site.folder, 'repository')}`
  writeFileSync(join(site.folder, 'chartkeep.yaml'), run(site, ['discover', url, '--repo', repository]))
  run(site, ['init'])
  said('backup', lastLine(run(site, ['backup'])))
  said('check', lastLine(run(site, ['check'])))
  said('scrub', lastLine(run(site, ['scrub'])))
  const target = await site.server.createDatabase('rebuilt')
  const { username, password } = new URL(adminUrl)
  const into = `postgres://${username}@127.0.0.1:${site.server.port}/rebuilt`
  run(site, ['restore', 'database', '--into', into], { PGPASSWORD: decodeURIComponent(password) })
  const sum = 'SELECT md5(string_agg(v::text, chr(10) ORDER BY id)) AS sum FROM vital_sign v'
  if ((await sql(adminUrl, sum)) !== (await sql(target, sum))) throw new Error('the rebuilt rows are others')
  said('rebuilt', "20,000 rows, by PostgreSQL's own digest the same")
}

/** Where this version has one. */
async function service(site: Site): Promise<void> {
  if (!/^ {2}serve/m.test(run(site, ['--help']))) return said('service', 'this version has no `serve`')
  const token = JSON.parse(run(site, ['token', 'create', '--role', 'viewer', '--person', 'watch', '--json'])).token
  const port = 18_080
  const child = spawn(program(site), ['serve', '--listen', `127.0.0.1:${port}`], {
    cwd: site.folder,
    env: environment(site),
    stdio: 'ignore',
  })
  try {
    const headers = { Authorization: `Bearer ${token}` }
    const status = await untilAnswered(`http://127.0.0.1:${port}/v1/sources`, headers)
    said('service', `answers ${status} to a token that was made for it`)
  } finally {
    child.kill('SIGTERM')
  }
}

/** A second version beside the first, on the same repository; and back. */
function upgrade(site: Site, bundle: string): void {
  const second = `${bundle}-second`
  cpSync(bundle, second, { recursive: true })
  writeFileSync(join(second, 'VERSION'), '99.0.0\n')
  rmSync(join(second, 'SHA256SUMS'))
  writeSums(second)
  said('upgrade', `${install(second, site.prefix)}; ${lastLine(run(site, ['check']))}`)
  const releases = readdirSync(join(site.prefix, 'releases'))
  if (releases.length !== 2) throw new Error(`two releases ought to be there: ${releases.join(', ')}`)
  const back = execFileSync(join(site.prefix, 'current', 'install.sh'), [
    '--prefix',
    site.prefix,
    '--roll-back',
  ]).toString()
  if (readFileSync(join(site.prefix, 'current', 'VERSION'), 'utf8').startsWith('99'))
    throw new Error('still the second')
  said('roll-back', `${back.trim()}; ${lastLine(run(site, ['check']))}; ${lastLine(run(site, ['backup']))}`)
}

function tampered(site: Site, bundle: string): void {
  const victim = join(bundle, 'app', 'src', 'cli', 'main.js')
  const before = readlinkSync(join(site.prefix, 'current'))
  writeFileSync(victim, `${readFileSync(victim, 'utf8')} `)
  const { status } = spawnSync(join(bundle, 'install.sh'), ['--prefix', site.prefix], { stdio: 'ignore' })
  if (status === 0 || readlinkSync(join(site.prefix, 'current')) !== before)
    throw new Error('a changed bundle was installed')
  said('tampered', 'refused, and nothing was changed')
}

function install(bundle: string, prefix: string): string {
  mkdirSync(prefix, { recursive: true })
  return lastLine(
    execFileSync(join(bundle, 'install.sh'), ['--prefix', prefix]).toString().split('\n').slice(0, 1).join(''),
  )
}

function program({ prefix }: Site): string {
  return join(prefix, 'current', 'bin', 'chartkeep')
}

/** No Node on the path, and nothing of this process's surroundings. */
function environment({ folder }: Site): Record<string, string> {
  return {
    PATH: '/usr/bin:/bin',
    HOME: folder,
    PGPASSWORD: PASSWORD,
    CHARTKEEP_PASSPHRASE: 'correct horse battery staple',
  }
}

function run(site: Site, args: readonly string[], more: Readonly<Record<string, string>> = {}): string {
  const env = { ...environment(site), ...more }
  const { status, stdout, stderr } = spawnSync(program(site), args, { cwd: site.folder, env, encoding: 'utf8' })
  if (status === 0) return stdout
  throw new Error(`chartkeep ${args.join(' ')} ended with ${status}\n${stderr}`)
}

async function sql(url: string, text: string): Promise<string> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    const result = await client.query(text)
    return String((Array.isArray(result) ? result.at(-1) : result).rows[0]?.sum ?? '')
  } finally {
    await client.end()
  }
}

async function untilAnswered(url: string, headers: Record<string, string>): Promise<number> {
  for (let tries = 0; tries < 150; tries += 1) {
    const answer = await fetch(url, { headers }).catch(() => null)
    if (answer) return answer.status
    await new Promise((done) => setTimeout(done, 200))
  }
  throw new Error('the service does not answer')
}

function reached(host: string): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(80, host)
    socket.setTimeout(3_000, () => fail(new Error('a packet went out: this is not without a network')))
    socket.on('connect', () => fail(new Error('there is a network')))
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? 'no way there'))
  })
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? ''
}

function said(what: string, result: string): void {
  process.stdout.write(`${what.padEnd(10)} ${result}\n`)
}
