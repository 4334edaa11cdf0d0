/**
 * How fast a SQL Server is read and rebuilt, beside the plain row loop of its driver. On a server that is given, as for tests
 * (docs/sqlserver.md, "Tests against a server"), in databases that are made and dropped:
 *
 *     TEST_SQLSERVER_URL=… TEST_SQLSERVER_PASSWORD=… node launch.mjs bench/sqlserver.ts --rows 200000 [--server-pid PID]
 *
 * The plain loop proves nothing, keeps nothing, and bends what the driver bends: it says what reading and loading cost alone.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { connect } from '../src/source/sqlserver/connect.ts'
import { type Measured, measure } from './measure.ts'
import { directoryBytes, ROOT } from './stage.ts'

const MIB = 1024 * 1024
const NODE = `${process.execPath} --disable-warning=ExperimentalWarning`
const TABLE = `CREATE TABLE dbo.vital_sign (id int NOT NULL PRIMARY KEY, stay_id int NOT NULL, taken datetime2(3) NOT NULL,
  code varchar(10) NOT NULL, reading int NULL, device uniqueidentifier NULL)`

const { values } = parseArgs({
  options: { rows: { type: 'string', default: '200000' }, 'server-pid': { type: 'string', default: '-1' } },
})
const rows = Number(values.rows)
const server = process.env.TEST_SQLSERVER_URL ?? ''
const password = process.env.TEST_SQLSERVER_PASSWORD ?? ''
const directory = await mkdtemp(join(tmpdir(), 'chartkeep-bench-'))
const databases = ['source', 'plain', 'rebuilt'].map((name) => `chartkeep_bench_${process.pid}_${name}`)
const [source, plain, rebuilt] = databases.map(urlOf) as [string, string, string]

try {
  for (const name of databases) await sql(urlOf('master'), `CREATE DATABASE ${name}`)
  await fill()
  await sql(plain, TABLE)
  await writeFile(join(directory, 'key'), randomBytes(32), { mode: 0o600 })
  const drafted = await take(chartkeep(`discover '${source}' --repo 'file://${directory}/repository'`))
  await writeFile(join(directory, 'chartkeep.yaml'), drafted.stdout)
  await take(chartkeep('init'))
  const textMiB = await textBytes()
  say(`data      ${rows} rows of a table of vital signs, ${textMiB.toFixed(1)} MiB of row text`)
  say('')
  say('| what | seconds | rows/s | MB/s of row text | processor s | server s | peak MiB | load |')
  say('|---|---:|---:|---:|---:|---:|---:|---:|')
  tell('tedious: every row read and counted', await take(script(`sqlserver-plain.ts '${source}'`)), textMiB)
  tell('chartkeep backup', await take(chartkeep('backup')), textMiB)
  const copied = await take(script(`sqlserver-plain.ts '${source}' '${plain}'`))
  tell('tedious: every row read, and loaded in bulk', copied, textMiB)
  const restored = await take(chartkeep(`restore database --at latest --into '${rebuilt}'`))
  tell('chartkeep restore database, all roots compared', restored, textMiB)
  say(`\nstored    ${((await directoryBytes(join(directory, 'repository'))) / MIB).toFixed(1)} MiB`)
} finally {
  for (const name of databases) await sql(urlOf('master'), `DROP DATABASE ${name}`).catch(() => {})
  await rm(directory, { recursive: true, force: true })
}

async function fill(): Promise<void> {
  await sql(source, TABLE)
  const digits = '(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))'
  const numbers = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${digits} ${name}(n)`).join(' CROSS JOIN ')
  await sql(
    source,
    `INSERT INTO dbo.vital_sign SELECT i, i / 500, DATEADD(second, i * 30, CONVERT(datetime2(3), '2026-01-01')),
      CASE i % 3 WHEN 0 THEN 'HR' WHEN 1 THEN 'SPO2' ELSE 'RESP' END, i * 7919 % 4001, NEWID()
     FROM (SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n + 100000 * f.n AS i FROM ${numbers}) x WHERE i < ${rows}`,
  )
}

/** As lines of the repository's row text have it, in MiB. */
async function textBytes(): Promise<number> {
  const [row] = await sql(
    source,
    `SELECT CONVERT(nvarchar(20), SUM(CONVERT(bigint, LEN(CONVERT(varchar(11), id)) + LEN(CONVERT(varchar(11), stay_id)) + 23 +
      LEN(code) + LEN(CONVERT(varchar(11), reading)) + 36 + 6))) AS bytes FROM dbo.vital_sign`,
  )
  return Number(row?.bytes) / MIB
}

function tell(what: string, { seconds, cpuSeconds, serverCpuSeconds, peakMiB, load }: Measured, textMiB: number): void {
  const rate = Math.round(rows / seconds)
  const figures = [seconds.toFixed(1), rate, ((textMiB * MIB) / 1e6 / seconds).toFixed(1), cpuSeconds?.toFixed(1)]
  say(
    `| ${[what, ...figures, serverCpuSeconds?.toFixed(1) ?? '', peakMiB?.toFixed(0) ?? '', load.toFixed(1)].join(' | ')} |`,
  )
}

function urlOf(database: string): string {
  const url = new URL(server)
  url.pathname = `/${database}`
  return url.href
}

async function sql(url: string, statement: string) {
  await using session = await connect({ url, password }, 'target')
  return await session.query(statement)
}

function chartkeep(line: string): string {
  return `cd ${directory} && ${NODE} ${join(ROOT, 'src/cli/main.ts')} ${line}`
}

function script(line: string): string {
  return `${NODE} ${join(ROOT, 'bench')}/${line}`
}

function take(command: string): Promise<Measured> {
  const env = { SQLCMDPASSWORD: password, CHARTKEEP_KEY_FILE: join(directory, 'key') }
  return measure(command, { serverPid: Number(values['server-pid']), env, keepOutput: true })
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
