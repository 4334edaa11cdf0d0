/**
 * What every question needs: a server with the reference database, a repository on it, the tables' names, and where to
 * write. Made once for a run; the questions are asked in an order in which each finds what it needs.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { stringify } from 'yaml'
import { referenceConfiguration } from '../scripts/reference/configuration.ts'
import { createReferenceDatabase } from '../scripts/reference/create.ts'
import { availablePostgresVersions, type PostgresServer, startPostgres } from '../scripts/support/postgres-server.ts'
import { type Measured, measure } from './measure.ts'

export const ROOT = fileURLToPath(new URL('../', import.meta.url))
export const PASSPHRASE = 'a passphrase of the benchmark'

/** One line of the results. */
export interface Finding {
  readonly question: string
  readonly what: string
  readonly measured: Measured
  /** Bytes it left behind, where it left any. */
  readonly bytes: number | null
}

export type ClientTool = 'psql' | 'pg_dump' | 'pg_restore'

export interface Stage extends AsyncDisposable {
  readonly server: PostgresServer
  readonly url: string
  readonly rows: number
  readonly directory: string
  /** SQL names. */
  readonly tables: readonly string[]
  readonly repository: string
  /** Where the server's socket is, for tools that know no other way. */
  readonly socketDirectory: string
  /** Runs a command line of chartkeep, and measures it. */
  chartkeep(line: string): Promise<Measured>
  run(command: string, keepOutput?: boolean): Promise<Measured>
  sql(statement: string): Promise<void>
  /** A command of PostgreSQL's own: the server's, where it has one. Debian's is a script that costs 0.1 s a call. */
  client(tool: ClientTool): string
}

export interface StageOptions {
  readonly size: 'XS' | 'S' | 'M' | undefined
  readonly rows: number | undefined
  readonly say: (text: string) => void
}

export async function makeStage({ size, rows, say }: StageOptions): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'chartkeep-bench-'))
  say('starting PostgreSQL')
  const socketDirectory = tmpdir()
  const settings = { max_wal_size: '4GB', unix_socket_directories: socketDirectory }
  const server = await startPostgres({ version: comparableVersion(), settings })
  const url = await server.createDatabase('icu')
  say('making the reference database')
  const created = await createReferenceDatabase({ url, size, rows, profile: undefined, seed: 1, onProgress: () => {} })
  await query(url, 'VACUUM ANALYZE')
  const repository = join(directory, 'repository')
  const configuration = join(directory, 'chartkeep.yaml')
  const sources = { icu: { url, writer: { url }, ...referenceConfiguration() } }
  await writeFile(configuration, stringify({ repository: { url: `file://${repository}` }, sources }))
  const serverPid = Number((await readFile(join(server.dataDirectory, 'postmaster.pid'), 'utf8')).split('\n')[0])

  const run = (command: string, keepOutput = false) => measure(command, { serverPid, keepOutput })
  return {
    server,
    url,
    rows: created.rows,
    directory,
    tables: await tableNames(url),
    repository,
    socketDirectory,
    run,
    chartkeep: (line) =>
      measure(`exec ${process.execPath} ${ROOT}src/cli/main.ts ${line} --config ${configuration} --json`, {
        serverPid,
        keepOutput: true,
        env: { CHARTKEEP_PASSPHRASE: PASSPHRASE },
      }),
    sql: (statement) => query(url, statement),
    client: (tool) => {
      const own = join(server.binDirectory, tool)
      return existsSync(own) ? own : tool
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** The server that this machine's psql and pg_dump are made for, so that they can be compared with. */
function comparableVersion(): number {
  const available = availablePostgresVersions()
  const client = isInstalled('psql') ? Number(/(\d+)/.exec(execFileSync('psql', ['--version']).toString())?.[1]) : 0
  return available.includes(client) ? client : Math.max(...available)
}

export function isInstalled(tool: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

async function tableNames(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const result = await client.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
  )
  await client.end()
  return result.rows.map((row) => row.name)
}

async function query(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(statement)
  await client.end()
}

/** Bytes of all files below a directory. */
export async function directoryBytes(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}
