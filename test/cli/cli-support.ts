/**
 * The command line as somebody uses it: processes of src/cli/main.ts, over a real server with a small ward in it and
 * a role that `setup-sql` made.
 */
import { execFile, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { runSql } from '../source/postgres/support.ts'
import { objectKeys } from '../support/repository.ts'
import { wardSql } from '../support/ward.ts'
import type { HostedCommand } from './command-host.ts'

export const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const HOST = fileURLToPath(new URL('./command-host.ts', import.meta.url))
const COMMAND_TIMEOUT_MS = 120_000
const VITALS = 600

/** Of the role chartkeep. */
export const PASSWORD = 'a password of the role'
const KEY_FILE = 'repository.key'
export const ROLE = 'chartkeep'

/** Undefined takes a variable away. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Instead of the key file by which sites are opened: a passphrase is stretched for half a second by every command. */
export const BY_PASSPHRASE: Environment = {
  CHARTKEEP_KEY_FILE: undefined,
  CHARTKEEP_PASSPHRASE: 'correct horse battery staple',
}

export interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** In a folder of its own with a configuration, with its secrets in the environment. */
export interface Site extends AsyncDisposable {
  readonly server: PostgresServer
  readonly folder: string
  /** As superuser. */
  readonly adminUrl: string
  /** As the role, without a password. */
  readonly url: string
  readonly repository: string
  /** Of every command: what opens database and repository. */
  readonly environment: Environment
  /** Everything that any command has printed, by command. */
  readonly printed: Map<string, string>
  run(args: readonly string[], environment?: Environment): Promise<Ended>
  /** Objects of the repository, but for the record of who did what and who held a lease, which grow by failures too. */
  objects(): Promise<string[]>
  writeFile(name: string, content: string): Promise<string>
}

/** `further`: statements on the database, after the ward's tables are made. */
export async function makeSite(...further: readonly string[]): Promise<Site> {
  return await makeSiteWith({}, ...further)
}

export async function makeSiteWith(secrets: Environment, ...further: readonly string[]): Promise<Site> {
  const server = await startPostgres({ requirePasswords: true })
  const folder = await mkdtemp(join(tmpdir(), 'chartkeep-cli-'))
  const adminUrl = await server.createDatabase('icu')
  await runSql(adminUrl, ...wardSql({ vitals: VITALS }), ...further)
  const url = `postgres://${ROLE}@127.0.0.1:${server.port}/icu`
  const printed = new Map<string, string>()
  const repository = join(folder, 'repository')
  const keyFile = join(folder, KEY_FILE)
  await writeFile(keyFile, randomBytes(32))
  const environment = { PGPASSWORD: PASSWORD, CHARTKEEP_KEY_FILE: keyFile, ...secrets }
  const run = async (args: readonly string[], further: Environment = {}) => {
    const ended = await runCommand(args, folder, { ...environment, ...further })
    printed.set(`${printed.size}: ${args.join(' ')}`, ended.stdout + ended.stderr)
    return ended
  }
  const { stdout: script } = await run(['setup-sql', url])
  await runSql(adminUrl, withoutPsqlCommands(script), `ALTER ROLE ${ROLE} PASSWORD '${PASSWORD}'`)
  return {
    server,
    folder,
    adminUrl,
    url,
    repository,
    environment,
    printed,
    run,
    objects: async () => (await objectKeys(repository)).filter((key) => !/^(audit|leases)\//.test(key)),
    writeFile: async (name, content) => {
      await writeFile(join(folder, name), content)
      return join(folder, name)
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** `chartkeep.yaml` from `discover`, as it is, and an empty repository. */
export async function setUpRepository(site: Site): Promise<void> {
  const { stdout } = await site.run(['discover', site.url, '--repo', `file://${site.repository}`])
  await site.writeFile('chartkeep.yaml', stdout)
  await site.run(['init'])
}

export function runCommand(
  args: readonly string[],
  folder: string,
  environment: Environment = {},
  timeoutMs = COMMAND_TIMEOUT_MS,
): Promise<Ended> {
  const env = variables(environment)
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', MAIN, ...args],
      { cwd: folder, env, timeout: timeoutMs },
      (error, stdout, stderr) => {
        const status = typeof error?.code === 'number' ? error.code : 1
        resolve({ status: error === null ? 0 : status, stdout, stderr })
      },
    )
  })
}

/**
 * The same site, whose commands run in one process, one at a time; one that begins while another runs has a process of
 * its own, and so has one with variables that not only `world` reads.
 */
export function hosted(site: Site): Site {
  const host = fork(HOST, [], {
    cwd: site.folder,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    env: variables(site.environment),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  let isBusy = false
  const runHosted = async (command: HostedCommand): Promise<Ended> => {
    const stopped = new AbortController()
    const { signal } = stopped
    isBusy = true
    try {
      host.send(command)
      const died = once(host, 'exit', { signal }).then(() =>
        Promise.reject(new Error(`${command.args.join(' ')}: the host ended`)),
      )
      const [ended] = await Promise.race([once(host, 'message', { signal }), died])
      return ended
    } finally {
      isBusy = false
      stopped.abort()
    }
  }
  return {
    ...site,
    run: async (args, environment = {}) => {
      const isOwn = Object.keys(environment).every((name) => name.startsWith('CHARTKEEP_'))
      if (isBusy || !isOwn) return await site.run(args, environment)
      const ended = await runHosted({ args, environment })
      site.printed.set(`${site.printed.size}: ${args.join(' ')}`, ended.stdout + ended.stderr)
      return ended
    },
    [Symbol.asyncDispose]: async () => {
      host.kill()
      await site[Symbol.asyncDispose]()
    },
  }
}

function variables(environment: Environment): NodeJS.ProcessEnv {
  return { ...process.env, ...environment }
}

/** The last line of what a command with `--json` printed. */
export function lastObject(text: string): Record<string, unknown> {
  return JSON.parse(text.trimEnd().split('\n').at(-1) ?? '')
}

function withoutPsqlCommands(script: string): string {
  return script.replaceAll(/^\\.*$/gm, '')
}
