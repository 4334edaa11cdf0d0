/**
 * The servers under all other tests, from outside: what is started is asked by SQL, what is ended is looked for among
 * processes and directories. The tests that end a whole process run a small program of their own
 * (`test/scripts/start-server.ts`) in it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { availablePostgresVersions, startPostgres } from '../../scripts/support/postgres-server.ts'
import { childrenOf, isProcessRunning } from '../../src/source/postgres/scratch-server/process-tree.ts'
import { runTool } from '../../src/source/postgres/scratch-server/run-tool.ts'

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url))
const STARTER = 'test/scripts/start-server.ts'
const NOBODY_ID = 65534

interface Started {
  readonly url: string
  readonly dataDirectory: string
  readonly pid: number
}

let scratch: string
/** A temporary directory for starters that do not care what lies in it. */
let shared: string

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'chartkeep-servers-'))
  await chmod(scratch, 0o755)
  shared = await emptyDirectory('shared')
})

afterAll(async () => {
  await rm(scratch, { recursive: true, force: true })
})

describe.each(availablePostgresVersions())('PostgreSQL %i', (version) => {
  it('is the version that was asked for, in the encoding that was asked for', async () => {
    await using server = await startPostgres({ version, encoding: 'EUC_CN', settings: { work_mem: '7MB' } })
    const url = await server.createDatabase('icu "1"', { encoding: 'LATIN1' })

    const [own] = await query(server.url(), 'select current_setting($1) as encoding', ['server_encoding'])
    const [made] = await query(
      url,
      `select current_database() as name, current_setting('server_encoding') as encoding,
              current_setting('server_version_num')::int / 10000 as version, current_setting('work_mem') as work_mem`,
    )

    expect(own).toEqual({ encoding: 'EUC_CN' })
    expect(made).toEqual({ name: 'icu "1"', encoding: 'LATIN1', version, work_mem: '7MB' })
    expect(server.version).toBe(version)
  })

  it('has an identity of its own, recovers what was durable when killed, and leaves no process of before', async () => {
    await using server = await startPostgres({ version })
    await using twin = await startPostgres({ version })
    const identity = 'select system_identifier::text as id from pg_control_system()'
    const identities = [await query(server.url(), identity), await query(twin.url(), identity)]
    await query(server.url(), 'create table kept as select generate_series(1, 1000) as n')
    await query(server.url(), 'checkpoint')
    const postmaster = await postmasterOf(server.dataDirectory)
    const backends = childrenOf(postmaster)

    await server.kill()
    const alive = [postmaster, ...backends].filter(isProcessRunning)
    await server.start()

    expect(identities[0]).not.toEqual(identities[1])
    expect(backends.length).toBeGreaterThan(3)
    expect(alive).toEqual([])
    expect(await query(server.url(), 'select count(*)::int as rows from kept')).toEqual([{ rows: 1000 }])
  })
})

describe('a server', () => {
  it('is gone with its directory after disposal, and disposal does not need it to be running', async () => {
    const server = await startPostgres()
    const postmaster = await postmasterOf(server.dataDirectory)
    await server.kill()

    await server[Symbol.asyncDispose]()

    expect(isProcessRunning(postmaster)).toBe(false)
    expect(existsSync(dirname(server.dataDirectory))).toBe(false)
  })

  it('keeps port and rows over stop and start', async () => {
    await using server = await startPostgres()
    const { port } = server
    await query(server.url(), 'create table kept as select 1 as n')

    await server.stop()
    await expect(query(server.url(), 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await server.start()

    expect(server.port).toBe(port)
    expect(await query(server.url(), 'select n from kept')).toEqual([{ n: 1 }])
  })

  it('asks roles for their passwords when told to, and never the superuser', async () => {
    await using server = await startPostgres({ requirePasswords: true })
    await query(server.url(), `create role reader login password 'right'`)
    const asReader = (password: string) => server.url().replace('//postgres@', `//reader:${password}@`)

    const [right] = await query(asReader('right'), 'select current_user as name')

    expect(right).toEqual({ name: 'reader' })
    await expect(query(asReader('wrong'), 'select 1')).rejects.toMatchObject({ code: '28P01' })
  })

  it('that was given a password lets nobody in without it', async () => {
    await using server = await startPostgres({ superuserPassword: 'only mine' })
    await server.createDatabase('icu')
    const asSuperuser = (password: string) => server.url('icu').replace('//postgres@', `//postgres:${password}@`)

    expect(await query(asSuperuser('only%20mine'), 'select 1 as n')).toEqual([{ n: 1 }])
    await expect(query(asSuperuser('other'), 'select 1')).rejects.toMatchObject({ code: '28P01' })
  })

  it('that cannot be had is refused with the versions that can', async () => {
    await expect(startPostgres({ version: 9 })).rejects.toMatchObject({
      code: 'unsupported-server',
      message: expect.stringContaining(`versions found: ${availablePostgresVersions().join(', ')}`),
    })
  })

  it('that does not accept its settings is refused with the reason', async () => {
    await expect(startPostgres({ settings: { no_such_setting: '1' } })).rejects.toMatchObject({
      code: 'source-failed',
      message: expect.stringContaining('no_such_setting'),
    })
  })
})

describe('a process that starts servers', () => {
  it('takes them with it when it is killed', async () => {
    const starter = runStarter(CHECKOUT, shared)
    const server = await starter.started

    starter.child.kill('SIGKILL')
    await vi.waitFor(() => expect(existsSync(server.dataDirectory)).toBe(false), { timeout: 15_000, interval: 50 })

    expect(isProcessRunning(server.pid)).toBe(false)
  })

  it('leaves nothing of a server that did not start', async () => {
    const temporary = await emptyDirectory('refused')
    const starter = runStarter(CHECKOUT, temporary, { SETTING: 'no_such_setting' })

    await expect(starter.started).rejects.toThrow('no_such_setting')

    const [home] = await readdir(temporary)
    expect(await readdir(join(temporary, home!, 'servers'))).toEqual([])
  })

  it('ends by itself although it forgot to stop them', async () => {
    const starter = runStarter(CHECKOUT, shared, { FORGET: '1' })
    const server = await starter.started

    expect(await starter.ended).toBe(0)
    await vi.waitFor(() => expect(existsSync(server.dataDirectory)).toBe(false), { timeout: 15_000, interval: 50 })
  })

  it('may be one of several that prepare the same version at the same time', async () => {
    const temporary = await emptyDirectory('together')
    const starters = [1, 2, 3].map(() => runStarter(CHECKOUT, temporary))

    const servers = await Promise.all(starters.map((starter) => starter.started))
    for (const starter of starters) starter.child.kill()

    expect(new Set(servers.map((server) => server.url)).size).toBe(3)
    const [home] = await readdir(temporary)
    const [binaries, templates] = ['binaries', 'templates'].map((part) => join(temporary, home!, part))
    // Each is there once, and no half-made copy beside it.
    expect((await readdir(binaries!)).length).toBeLessThanOrEqual(1)
    expect(await readdir(templates!)).toHaveLength(1)
  })

  it('leaves alone what another is just making', async () => {
    const temporary = await emptyDirectory('making')
    const first = runStarter(CHECKOUT, temporary)
    const making = join(dirname(dirname((await first.started).dataDirectory)), '18-making')
    await mkdir(making)
    await writeFile(join(making, 'keepers'), '')

    const second = runStarter(CHECKOUT, temporary)
    await second.started
    for (const starter of [first, second]) starter.child.kill()

    expect(existsSync(making)).toBe(true)
  })

  it('removes at once what neither its starter nor its guard lived to remove, and ends the server in it', async () => {
    const temporary = await emptyDirectory('abandoned')
    const first = runStarter(CHECKOUT, temporary)
    const { dataDirectory, pid } = await first.started
    const home = dirname(dataDirectory)
    const [, guard] = (await readFile(join(home, 'keepers'), 'utf8')).split(' ').map(Number)
    process.kill(guard!, 'SIGKILL')
    first.child.kill('SIGKILL')
    await first.ended
    expect(isProcessRunning(pid)).toBe(true)

    const second = runStarter(CHECKOUT, temporary)
    await second.started
    second.child.kill()

    expect(isProcessRunning(pid)).toBe(false)
    expect(existsSync(home)).toBe(false)
  })

  it('removes what was left behind more than a day ago, and nothing younger', async () => {
    const temporary = await emptyDirectory('leftovers')
    const servers = join(temporary, `chartkeep-postgres-${process.getuid?.()}`, 'servers')
    const [old, young] = [join(servers, '18-old'), join(servers, '18-young')]
    await mkdir(join(old, 'data'), { recursive: true })
    await mkdir(young)
    const dayBeforeYesterdayS = Date.now() / 1000 - 2 * 86_400
    await utimes(old, dayBeforeYesterdayS, dayBeforeYesterdayS)

    const starter = runStarter(CHECKOUT, temporary)
    await starter.started
    starter.child.kill()

    expect(existsSync(old)).toBe(false)
    expect(existsSync(young)).toBe(true)
  })

  it('may be unprivileged, in a checkout that is not its own', async () => {
    const checkout = await copyCheckout(join(scratch, 'checkout'))
    const temporary = await emptyDirectory('unprivileged')
    await chmod(temporary, 0o777)
    const starter = runStarter(checkout, temporary, { BECOME: process.getuid?.() === 0 ? String(NOBODY_ID) : '' })

    const server = await starter.started
    const owner = await stat(server.dataDirectory)
    starter.child.kill()

    expect(owner.uid).toBe(process.getuid?.() === 0 ? NOBODY_ID : process.getuid?.())
  })
})

async function query(url: string, statement: string, values: readonly unknown[] = []): Promise<pg.QueryResultRow[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(statement, [...values])).rows
  } finally {
    await client.end()
  }
}

async function postmasterOf(dataDirectory: string): Promise<number> {
  return Number((await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8')).split('\n')[0])
}

async function emptyDirectory(name: string): Promise<string> {
  const path = join(scratch, name)
  await mkdir(path, { mode: 0o755 })
  return path
}

interface Starter {
  readonly child: ChildProcess
  readonly started: Promise<Started>
  readonly ended: Promise<number | null>
}

function runStarter(checkout: string, temporary: string, environment: Record<string, string> = {}): Starter {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(checkout, STARTER)], {
    env: { ...process.env, TMPDIR: temporary, ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const errors: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text))
  const started = Promise.withResolvers<Started>()
  const ended = Promise.withResolvers<number | null>()
  createInterface({ input: child.stdout }).once('line', (line) => started.resolve(JSON.parse(line)))
  child.once('close', (status) => {
    started.reject(new Error(`the starter ended first: ${errors.join('')}`))
    ended.resolve(status)
  })
  return { child, started: started.promise, ended: ended.promise }
}

/** What starting a server needs and no more, readable by everybody wherever the checkout itself lies. */
async function copyCheckout(path: string): Promise<string> {
  const packages = (await readdir(join(CHECKOUT, 'node_modules'))).filter(
    (name) => /^(pg.*|split2|xtend|postgres-[a-z].*)$/.test(name) || name.startsWith('postgres-18-'),
  )
  const parts = [
    'scripts/support',
    'src/source/postgres/scratch-server',
    'src/errors.ts',
    STARTER,
    'package.json',
    ...packages.map((name) => `node_modules/${name}`),
  ]
  for (const part of parts) {
    await mkdir(dirname(join(path, part)), { recursive: true })
    await runTool('cp', ['-R', join(CHECKOUT, part), join(path, part)])
  }
  return path
}
