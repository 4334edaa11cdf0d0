/**
 * Finds the programs of PostgreSQL, and makes them runnable by the account that will run the server.
 *
 * They come from the npm packages of `optionalDependencies` (versions chosen by us) and from Debian's directories
 * (whatever the machine has). The npm ones cannot run where they lie: npm packs no symbolic links, and the install
 * script that would make them is off; moreover PostgreSQL refuses to run as root, and the account that it then runs
 * under may not be able to look into the checkout. So they are copied, once for each package version and account, to
 * a directory of ours below the machine's temporary directory, and renamed into place whole: parallel test workers
 * may prepare the same copy, and one of them wins.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir, userInfo } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { Failure } from '../../../errors.ts'
import { runTool, type ServerAccount } from './run-tool.ts'

export interface PostgresBinaries {
  readonly version: number
  /** Names this build in directory names: two builds of one version do not share templates. */
  readonly build: string
  readonly binDirectory: string
}

interface Candidate {
  readonly version: number
  readonly build: string
  readonly directory: string
  readonly needsCopy: boolean
}

/** Where Node looks for packages from here, nearest first. */
const PACKAGE_DIRECTORIES = createRequire(import.meta.url).resolve.paths('postgres') ?? []
const DEBIAN_POSTGRES = '/usr/lib/postgresql'

/** Major versions that `startPostgres` can start here, ascending. */
export function availablePostgresVersions(): number[] {
  return [...new Set(findCandidates().map((candidate) => candidate.version))].sort((a, b) => a - b)
}

/**
 * @throws unsupported-server when this machine has no such version
 */
export async function preparePostgresBinaries(version: number | undefined): Promise<PostgresBinaries> {
  const candidates = findCandidates()
  const newest = Math.max(...candidates.map((candidate) => candidate.version))
  const wanted = version ?? newest
  const candidate = candidates.find((each) => each.version === wanted)
  if (candidate === undefined) throw noServer(version, availablePostgresVersions())
  if (!candidate.needsCopy) return { ...candidate, binDirectory: join(candidate.directory, 'bin') }

  const home = join(runtimeDirectory(), 'binaries', candidate.build)
  if (!existsSync(home)) await copyIntoPlace(candidate.directory, home)
  return { ...candidate, binDirectory: join(home, 'bin') }
}

/** Where copies, templates and running servers of this user live. Created on first use; nobody else's is trusted. */
export function runtimeDirectory(): string {
  const uid = process.getuid?.() ?? 0
  const directory = join(tmpdir(), `chartkeep-postgres-${uid}`)
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  const stat = lstatSync(directory)
  if (stat.uid !== uid || !stat.isDirectory()) {
    throw new Failure('bad-usage', `${directory} belongs to user id ${stat.uid}, expected ${uid}`, {
      hints: ['Set TMPDIR to a directory of your own and run this again.'],
    })
  }
  for (const part of ['binaries', 'templates', 'servers']) mkdirSync(join(directory, part), { recursive: true })
  return directory
}

/** PostgreSQL refuses to run as root: then `postgres` runs it, or else `nobody`. */
export function serverAccount(): ServerAccount | null {
  if (process.getuid?.() !== 0) return null
  const accounts = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const fields = accounts.find((line) => line.startsWith(`${name}:`))?.split(':')
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) }
  }
  throw new Failure('unsupported-server', `user ${userInfo().username} may not run PostgreSQL`, {
    hints: ['Run as another user, or create the user postgres.'],
  })
}

function findCandidates(): Candidate[] {
  return [...findPackaged(), ...findInstalled()]
}

/** `postgres-18-linux-x64` and its like; the package's own version is part of the build's name. */
function findPackaged(): Candidate[] {
  const suffix = `-${process.platform}-${process.arch}`
  return PACKAGE_DIRECTORIES.flatMap((directory) => listDirectory(directory).map((name) => join(directory, name)))
    .filter((path) => basename(path).startsWith('postgres-') && path.endsWith(suffix))
    .filter((path) => existsSync(join(path, 'native', 'bin', 'postgres')))
    .map((path) => ({
      version: Number(basename(path).split('-')[1]),
      build: `${process.platform}-${process.arch}-${packageVersion(path)}`,
      directory: join(path, 'native'),
      needsCopy: true,
    }))
}

function findInstalled(): Candidate[] {
  return listDirectory(DEBIAN_POSTGRES)
    .map((name) => join(DEBIAN_POSTGRES, name))
    .filter(
      (directory) => existsSync(join(directory, 'bin', 'postgres')) && existsSync(join(directory, 'bin', 'initdb')),
    )
    .map((directory) => ({
      version: Number(basename(directory)),
      build: `installed-${installedVersion(directory)}`,
      directory,
      needsCopy: false,
    }))
}

function packageVersion(path: string): string {
  const manifest: { version: string } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))
  return manifest.version
}

function installedVersion(directory: string): string {
  const printed = execFileSync(join(directory, 'bin', 'postgres'), ['--version'], { encoding: 'utf8' })
  return printed.replace(/^postgres \(PostgreSQL\) /, '').replaceAll(/[^0-9A-Za-z.]+/g, '-')
}

async function copyIntoPlace(source: string, home: string): Promise<void> {
  const scratch = mkdtempSync(`${home}.new-`)
  try {
    await runTool('cp', ['-R', `${source}/.`, scratch])
    await makeSymbolicLinks(scratch)
    for (const program of listDirectory(join(scratch, 'bin'))) await chmod(join(scratch, 'bin', program), 0o755)
    await chmod(scratch, 0o755)
    await renameUnlessThere(scratch, home)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** The links that npm could not pack, as the package lists them: each points to a file of its own directory. */
async function makeSymbolicLinks(home: string): Promise<void> {
  const links: { source: string; target: string }[] = JSON.parse(await readFile(join(home, 'pg-symlinks.json'), 'utf8'))
  for (const { source, target } of links) {
    const path = join(dirname(home), target.replace(/^native/, basename(home)))
    if (!existsSync(path)) await symlink(basename(source), path)
  }
}

/** Whoever comes second finds the same content in place, and keeps it. */
export async function renameUnlessThere(scratch: string, home: string): Promise<void> {
  try {
    await rename(scratch, home)
  } catch (error) {
    if (!existsSync(home)) throw error
  }
}

function listDirectory(path: string): string[] {
  return existsSync(path) ? readdirSync(path).sort() : []
}

function noServer(version: number | undefined, available: readonly number[]): Failure {
  const machine = `${process.platform}-${process.arch}`
  const wanted = version === undefined ? 'any PostgreSQL server' : `PostgreSQL ${version}`
  const found = available.length === 0 ? 'none' : available.join(', ')
  return new Failure('unsupported-server', `cannot start ${wanted} on ${machine}: versions found: ${found}`, {
    hints: ['Install one from Debian (apt-get install postgresql), or run npm ci on linux-x64, which brings five.'],
  })
}
