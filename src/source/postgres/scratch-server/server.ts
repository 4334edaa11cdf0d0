/**
 * Starts real PostgreSQL servers for drills, tests and the demo: on a random port of 127.0.0.1, with a data directory
 * of their own, fast rather than durable, and gone when disposed of.
 *
 *     await using server = await startPostgres({ version: 15, nowMs })
 *     const url = await server.createDatabase('icu')
 *
 * Nothing is left behind, however this process ends (guard.ts). Connections of the superuser are trusted unless a password
 * was set; with `requirePasswords`, all other roles need theirs.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, writeFile } from 'node:fs/promises'
import { createServer, Socket } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { Failure } from '../../../errors.ts'
import { preparePostgresBinaries, runtimeDirectory, serverAccount } from './binaries.ts'
import { createCluster } from './cluster.ts'
import { removeLeftovers, removeServer, startGuard } from './guard.ts'
import { killTree } from './process-tree.ts'
import { runTool, type ServerAccount } from './run-tool.ts'

export { availablePostgresVersions } from './binaries.ts'

export interface PostgresOptions {
  /** Major version; the newest there is when not given. */
  readonly version?: number
  /** Added to, and winning over, the settings of a scratch server. */
  readonly settings?: Readonly<Record<string, string>>
  /** Of the server's own databases and those made without another: UTF8 when not given. */
  readonly encoding?: string
  /** Roles other than the superuser must give their password. */
  readonly requirePasswords?: boolean
  /** Nobody gets in without a password, the superuser not without this one: what holds patients must not be open. */
  readonly superuserPassword?: string
  readonly nowMs: () => number
}

export interface PostgresServer extends AsyncDisposable {
  readonly version: number
  readonly port: number
  /** For tests that look at files or damage them. */
  readonly dataDirectory: string
  readonly binDirectory: string
  /** As superuser. */
  url(database?: string): string
  /** @returns its URL, as superuser */
  createDatabase(name: string, options?: { readonly encoding?: string }): Promise<string>
  /** The last lines of the server's log. They may quote rows: for people who debug a test. */
  log(): string
  /** Fast shutdown: sessions are ended, then everything is written. Nothing happens when it is stopped. */
  stop(): Promise<void>
  /** After `stop` or `kill`: on the same port and data. */
  start(): Promise<void>
  /** SIGKILL to the postmaster and all its children at once, as a power cut would. */
  kill(): Promise<void>
}

const SUPERUSER = 'postgres'
/** A standby says so of read-only connections. */
const READY = /database system is ready to accept (read.only )?connections/
const START_TIMEOUT_MS = 60_000
const PORT_TRIES = 5
const LOG_LINES_KEPT = 400

const SCRATCH_SETTINGS = {
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  shared_buffers: '128MB',
  wal_level: 'logical',
  max_connections: '60',
  max_wal_senders: '10',
  max_replication_slots: '10',
  max_prepared_transactions: '10',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  // Our own look for the line that says the server is ready is in English.
  lc_messages: 'C',
  logging_collector: 'off',
  log_destination: 'stderr',
} as const

/**
 * @throws unsupported-server when this machine cannot run the version; source-failed when it does not start
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const binaries = await preparePostgresBinaries(options.version)
  const account = serverAccount()
  await removeLeftovers(options.nowMs())
  const home = await mkdtemp(join(runtimeDirectory(), 'servers', `${binaries.version}-`))
  await chmod(home, 0o755)
  const guard = await startGuard(home)
  try {
    const dataDirectory = join(home, 'data')
    await createCluster(dataDirectory, { binaries, encoding: options.encoding ?? 'UTF8', account })
    const password = options.superuserPassword ?? null
    // Before it listens anywhere.
    if (password !== null) await setPassword({ binDirectory: binaries.binDirectory, dataDirectory, account, password })
    await writeAccessRules(dataDirectory, options)
    const server = new RunningServer({
      ...binaries,
      dataDirectory,
      account,
      password,
      settings: options.settings ?? {},
      guard,
      home,
    })
    await server.startOnFreePort()
    return server
  } catch (error) {
    await removeServer(home, guard)
    throw error
  }
}

interface ServerParts {
  readonly version: number
  readonly binDirectory: string
  readonly dataDirectory: string
  readonly account: ServerAccount | null
  readonly password: string | null
  readonly settings: Readonly<Record<string, string>>
  readonly guard: ChildProcess
  readonly home: string
}

class RunningServer implements PostgresServer {
  readonly #parts: ServerParts
  #port = 0
  /** Null while the server is stopped. */
  #postmaster: ChildProcess | null = null
  #logLines: string[] = []

  constructor(parts: ServerParts) {
    this.#parts = parts
  }

  get version(): number {
    return this.#parts.version
  }

  get port(): number {
    return this.#port
  }

  get dataDirectory(): string {
    return this.#parts.dataDirectory
  }

  get binDirectory(): string {
    return this.#parts.binDirectory
  }

  url(database: string = SUPERUSER): string {
    return `postgres://${SUPERUSER}@127.0.0.1:${this.#port}/${encodeURIComponent(database)}`
  }

  async createDatabase(name: string, options: { readonly encoding?: string } = {}): Promise<string> {
    const address = { host: '127.0.0.1', port: this.#port, user: SUPERUSER, database: SUPERUSER }
    const client = new pg.Client({ ...address, password: this.#parts.password ?? '' })
    await client.connect()
    try {
      const encoding = options.encoding === undefined ? '' : ` encoding ${pg.escapeLiteral(options.encoding)}`
      await client.query(`create database ${pg.escapeIdentifier(name)} template template0${encoding}`)
    } finally {
      await client.end()
    }
    return this.url(name)
  }

  log(): string {
    return this.#logLines.join('\n')
  }

  /** Between finding a free port and listening on it somebody else may take it: then another is tried. */
  async startOnFreePort(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      this.#port = await findFreePort()
      try {
        await this.start()
        return
      } catch (error) {
        const isTaken = this.log().includes('Address already in use')
        if (!isTaken || attempt === PORT_TRIES) throw error
      }
    }
  }

  async start(): Promise<void> {
    if (this.#postmaster !== null) return
    const { binDirectory, dataDirectory, account, settings } = this.#parts
    const all = { ...SCRATCH_SETTINGS, ...settings, port: String(this.#port) }
    const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    this.#logLines = []
    const child = spawn(join(binDirectory, 'postgres'), ['-D', dataDirectory, ...flags], {
      ...account,
      cwd: dataDirectory,
      stdio: ['ignore', 'ignore', 'pipe'],
      // A Ctrl-C at the terminal is for us: the server stops when we say so.
      detached: true,
    })
    await this.#untilReady(child)
    this.#postmaster = child
    // A forgotten server must not keep this process alive: the guard stops it.
    child.unref()
    if (child.stderr instanceof Socket) child.stderr.unref()
  }

  async stop(): Promise<void> {
    const postmaster = this.#postmaster
    if (postmaster === null) return
    this.#postmaster = null
    await signalAndWait(postmaster, () => postmaster.kill('SIGINT'))
  }

  async kill(): Promise<void> {
    const postmaster = this.#postmaster
    if (postmaster === null) return
    this.#postmaster = null
    await signalAndWait(postmaster, () => killTree(postmaster.pid!))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await removeServer(this.#parts.home, this.#parts.guard)
  }

  #untilReady(child: ChildProcess): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(this.#startFailure(`did not become ready within ${START_TIMEOUT_MS} ms`))
    }, START_TIMEOUT_MS)
    let partial = ''
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (partial + chunk).split('\n')
      partial = lines.pop()!
      this.#logLines = [...this.#logLines, ...lines].slice(-LOG_LINES_KEPT)
      if (lines.some((line) => READY.test(line))) resolve()
    })
    child.once('error', (error) => reject(this.#startFailure(error.message)))
    // `close`, not `exit`: by then the whole log has been read.
    child.once('close', (status, signal) => reject(this.#startFailure(`ended with ${signal ?? `status ${status}`}`)))
    return promise.finally(() => clearTimeout(timer))
  }

  #startFailure(what: string): Failure {
    const lastLines = this.#logLines.slice(-5)
    return new Failure('source-failed', `PostgreSQL ${this.version} ${what}: ${lastLines.join('; ')}`)
  }
}

interface NewPassword {
  readonly binDirectory: string
  readonly dataDirectory: string
  readonly account: ServerAccount | null
  readonly password: string
}

async function setPassword({ binDirectory, dataDirectory, account, password }: NewPassword): Promise<void> {
  const flags = ['--single', '-D', dataDirectory, '-c', 'password_encryption=scram-sha-256', SUPERUSER]
  const statement = `alter role ${SUPERUSER} password ${pg.escapeLiteral(password)}\n`
  await runTool(join(binDirectory, 'postgres'), flags, account, statement)
}

type AccessRules = Pick<PostgresOptions, 'requirePasswords' | 'superuserPassword'>

async function writeAccessRules(
  dataDirectory: string,
  { requirePasswords = false, superuserPassword }: AccessRules,
): Promise<void> {
  const superuser = superuserPassword === undefined ? 'trust' : 'scram-sha-256'
  const others = requirePasswords ? 'scram-sha-256' : superuser
  const rules = ['all', 'replication'].flatMap((database) => [
    `host ${database} ${SUPERUSER} 127.0.0.1/32 ${superuser}`,
    `host ${database} all 127.0.0.1/32 ${others}`,
  ])
  await writeFile(join(dataDirectory, 'pg_hba.conf'), `${rules.join('\n')}\n`)
}

async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (address === null || typeof address === 'string') throw new Failure('source-failed', 'no free port was offered')
  return address.port
}

async function signalAndWait(child: ChildProcess, send: () => unknown): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.ref()
  const ended = once(child, 'exit')
  await send()
  await ended
}
