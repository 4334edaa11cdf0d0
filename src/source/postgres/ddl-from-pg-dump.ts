/**
 * The statements of `pg_dump -s` at the read's snapshot, sorted into the phases of a rebuilding.
 *
 * pg_dump writes its objects in an order that respects what depends on what. Within each phase we keep that order; keys
 * and indexes have a phase of their own, so that they can be built in parallel after the rows. Owners and tablespaces
 * are properties of an entry, not statements: owners become steps of their own, because a role may be missing where the
 * database is rebuilt; tablespaces belong to the server, and are listed as not carried.
 */
import { spawn } from 'node:child_process'
import { access, constants, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { Failure } from '../../errors.ts'
import type { DdlStep, NotCaptured, SchemaDdl } from '../contract.ts'
import type { DdlRequest } from './ddl.ts'
import { type ArchiveEntry, readArchiveEntries } from './pg-dump-archive.ts'
import { quoteName, quoteQualified, quoteText } from './quote.ts'
import { isRightsStep } from './steps.ts'
import { parseUrl } from './url.ts'

export interface PgDump {
  readonly path: string
  /** As it says itself: `15.18`. */
  readonly version: string
  readonly major: number
}

const DEBIAN_BINARIES = '/usr/lib/postgresql'

/** Statements that only make sense inside the archive, or repeat what sessions pin. */
const SKIPPED_KINDS = new Set([
  'ENCODING',
  'STDSTRINGS',
  'SEARCHPATH',
  'DATABASE',
  'DATABASE PROPERTIES',
  'DUMP TIMESTAMP',
])
/** Contents of large objects are not captured, so there is nothing to own, describe or protect. */
const LARGE_OBJECT_KINDS = new Set(['BLOB', 'BLOBS', 'BLOB METADATA'])

/** The oldest pg_dump that is not older than the server: it knows all of it, and changes its statements least. */
export async function findPgDump(serverVersionNumber: number): Promise<PgDump | undefined> {
  const serverMajor = Math.floor(serverVersionNumber / 10_000)
  const found: PgDump[] = []
  for (const path of await candidates(serverMajor)) {
    const version = await versionOf(path)
    // None that fits better will come, and each one that is asked is a process.
    if (version?.major === serverMajor) return { path, ...version }
    if (version !== undefined && version.major > serverMajor) found.push({ path, ...version })
  }
  return found.sort((a, b) => a.major - b.major)[0]
}

/** The server's own version first, where one is installed as Debian does. */
async function candidates(serverMajor: number): Promise<string[]> {
  const given = process.env.PG_DUMP
  if (given !== undefined && given !== '') return [given]
  const directories = (process.env.PATH ?? '').split(delimiter).filter((directory) => directory !== '')
  const installed = await readdir(DEBIAN_BINARIES).catch(() => [])
  const own = String(serverMajor)
  const debian = [...installed.filter((name) => name === own), ...installed.filter((name) => name !== own)]
  return [
    ...debian.map((version) => join(DEBIAN_BINARIES, version, 'bin', 'pg_dump')),
    ...directories.map((directory) => join(directory, 'pg_dump')),
  ]
}

async function versionOf(path: string): Promise<{ version: string; major: number } | undefined> {
  try {
    await access(path, constants.X_OK)
    const { stdout } = await run(path, ['--version'], { PATH: process.env.PATH })
    const version = /\(PostgreSQL\) (\d+)(\.\d+)?/.exec(stdout.toString('utf8'))
    return version ? { version: `${version[1]}${version[2] ?? ''}`, major: Number(version[1]) } : undefined
  } catch {
    // Something of that name that does not run is as good as nothing.
    return undefined
  }
}

export async function dumpSchema(pgDump: PgDump, request: DdlRequest): Promise<SchemaDdl> {
  const archive = await runPgDump(pgDump, request)
  const entries = readArchiveEntries(archive)
  return { origin: `pg_dump ${pgDump.version}`, ...stepsOf(entries) }
}

async function runPgDump(pgDump: PgDump, { connection, snapshot, lockTimeoutMs }: DdlRequest): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'chartkeep-'))
  try {
    const authority = join(directory, 'authority.pem')
    if (connection.caPem !== undefined) await writeFile(authority, connection.caPem)
    const address = parseUrl(connection.url)
    const environment: NodeJS.ProcessEnv = {
      PATH: process.env.PATH,
      LC_ALL: 'C',
      PGHOST: address.host,
      PGPORT: String(address.port),
      PGSSLMODE: address.sslMode,
      PGAPPNAME: address.applicationName,
      PGOPTIONS: '-c quote_all_identifiers=off -c client_min_messages=error',
      PGCONNECT_TIMEOUT: '15',
      // An empty file name keeps libpq from looking into the home directory of whoever runs us.
      PGPASSFILE: join(directory, 'none'),
      ...(address.user === undefined ? {} : { PGUSER: address.user }),
      ...(address.database === undefined ? {} : { PGDATABASE: address.database }),
      ...(connection.password === undefined ? {} : { PGPASSWORD: connection.password }),
      ...(connection.caPem === undefined ? {} : { PGSSLROOTCERT: authority }),
    }
    const { stdout, status } = await run(pgDump.path, dumpArguments(snapshot, lockTimeoutMs), environment)
    if (status === 0) return stdout
    throw new Failure('source-failed', `pg_dump ${pgDump.version} ended with status ${status}`, {
      hints: ['Run `pg_dump -s` on the source by hand to see its words: they may quote rows, and are not kept here.'],
    })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function dumpArguments(snapshot: string, lockTimeoutMs: number): string[] {
  return [
    '--schema-only',
    '--format=custom',
    '--compress=0',
    '--encoding=UTF8',
    '--no-password',
    '--no-subscriptions',
    `--snapshot=${snapshot}`,
    `--lock-wait-timeout=${Math.ceil(lockTimeoutMs)}`,
  ]
}

interface RunResult {
  readonly stdout: Buffer
  readonly status: number | null
}

/** stderr is not read: what pg_dump says may quote the database. */
async function run(path: string, args: readonly string[], environment: NodeJS.ProcessEnv): Promise<RunResult> {
  const child = spawn(path, args, { env: environment, stdio: ['ignore', 'pipe', 'ignore'] })
  const { promise: status, resolve, reject } = Promise.withResolvers<number | null>()
  child.on('error', reject)
  child.on('close', resolve)
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  return { status: await status, stdout: Buffer.concat(chunks) }
}

function stepsOf(entries: readonly ArchiveEntry[]): Pick<SchemaDdl, 'steps' | 'notCarried'> {
  const steps: DdlStep[] = []
  const notCarried: NotCaptured[] = []
  for (const entry of entries) {
    if (SKIPPED_KINDS.has(entry.kind) || entry.section === 'data') continue
    if (LARGE_OBJECT_KINDS.has(entry.kind) || entry.name.startsWith('LARGE OBJECT')) continue
    if (entry.tablespace !== '') notCarried.push(tablespace(entry))
    if (hasStatement(entry.statement)) {
      steps.push({ phase: phaseOf(entry), object: objectOf(entry), sql: statementOf(entry) })
    }
    const owner = ownerStep(entry)
    if (owner) steps.push(owner)
  }
  return { steps: steps.sort((a, b) => rank(a) - rank(b)), notCarried }
}

/**
 * Rights are given last, since the role that rebuilds may lose its own by it; event triggers after everything, since
 * they would fire for it. pg_restore has the same order.
 */
function rank(step: DdlStep): number {
  if (step.object.includes('EVENT TRIGGER')) return 3
  if (isRightsStep(step)) return step.object.startsWith('OWNER') ? 1 : step.object.startsWith('POLICY') ? 0 : 2
  return 0
}

/** For objects that every database has (the schema public), pg_dump writes a comment instead of a statement. */
function hasStatement(sql: string): boolean {
  return sql.split('\n').some((line) => line.trim() !== '' && !line.startsWith('--'))
}

function phaseOf(entry: ArchiveEntry): DdlStep['phase'] {
  if (entry.kind === 'CONSTRAINT' || entry.kind === 'INDEX') return 'key-or-index'
  if (entry.kind === 'INDEX ATTACH') return 'attach'
  if (entry.kind === 'FK CONSTRAINT') return 'foreign-key'
  return entry.section === 'pre-data' ? 'before-rows' : 'after'
}

function objectOf(entry: ArchiveEntry): string {
  return `${entry.kind} ${entry.schema === '' ? '' : `${entry.schema}.`}${entry.name}`
}

function statementOf(entry: ArchiveEntry): string {
  if (entry.accessMethod === '' || entry.accessMethod === 'heap') return entry.statement
  const choose = `SELECT set_config('default_table_access_method', ${quoteText(entry.accessMethod)}, true);`
  return `${choose}\n${entry.statement}\nRESET default_table_access_method;`
}

/** Kinds that carry their owner in the owner of something else, or have none. */
const OWNED_BY_ANOTHER =
  /^(ACL|DEFAULT ACL|COMMENT|SECURITY LABEL|CONSTRAINT|CHECK CONSTRAINT|FK CONSTRAINT|INDEX|INDEX ATTACH|TABLE ATTACH|DEFAULT|TRIGGER|RULE|POLICY|ROW SECURITY|CAST|EXTENSION|SEQUENCE OWNED BY|PUBLICATION TABLE|PUBLICATION TABLES IN SCHEMA|USER MAPPING|TRANSFORM|ACCESS METHOD|SHELL TYPE|TEXT SEARCH PARSER|TEXT SEARCH TEMPLATE|STATISTICS DATA|ROW LEVEL SECURITY)$/

function ownerStep(entry: ArchiveEntry): DdlStep | undefined {
  const isDropped = entry.dropStatement !== ''
  if (entry.owner === '' || !isDropped || OWNED_BY_ANOTHER.test(entry.kind)) return undefined
  const object = ownedObject(entry)
  return {
    phase: 'after',
    object: `OWNER ${objectOf(entry)}`,
    sql: `ALTER ${object} OWNER TO ${quoteName(entry.owner)};`,
  }
}

/** What pg_dump would drop is what it would alter: its DROP names functions and operators with their arguments. */
function ownedObject(entry: ArchiveEntry): string {
  const drop = /^DROP (?<object>[\s\S]+?);\s*$/.exec(entry.dropStatement)?.groups?.object
  if (drop !== undefined) return drop
  const name = entry.schema === '' ? quoteName(entry.name) : quoteQualified(entry.schema, entry.name)
  return `${entry.kind} ${name}`
}

function tablespace(entry: ArchiveEntry): NotCaptured {
  return {
    kind: 'tablespace',
    name: `${objectOf(entry)} in ${entry.tablespace}`,
    reason: 'tablespaces are directories of one server; the rebuilt object lies in the default one',
  }
}
