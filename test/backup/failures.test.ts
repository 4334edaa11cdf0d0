/**
 * What may be wrong before or during a backup: each has its own code, a hint that helps, and leaves every snapshot and
 * every object as it was. And two backups at once, which are no failure.
 */
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { type SnapshotReport, takeSnapshot } from '../../src/backup/snapshot.ts'
import { Failure } from '../../src/errors.ts'
import { BuildPool } from '../../src/intake/build-pool.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { openRepository } from '../../src/repository/repository-lifecycle.ts'
import { openStore } from '../../src/repository/store/open.ts'
import { openSource } from '../../src/source/open.ts'
import { failureOf, runSql } from '../source/postgres/support.ts'
import { readEverySnapshot } from '../support/read-back.ts'
import {
  makeRepository,
  never,
  objectKeys,
  TEST_PASSPHRASE,
  TEST_SECRET,
  type TestRepository,
} from '../support/repository.ts'
import { wardLayout, wardSql } from '../support/ward.ts'

const run = promisify(execFile)

let server: PostgresServer
let made: TestRepository
let url: string
let clock = Date.UTC(2026, 0, 3)

beforeAll(async () => {
  server = await startPostgres({})
  made = await makeRepository({ alsoOpenedBy: TEST_PASSPHRASE })
  url = await server.createDatabase('ward')
  await runSql(url, ...wardSql({ vitals: 4000 }), `CREATE ROLE stranger LOGIN`, `CREATE ROLE half LOGIN`)
  await runSql(url, 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO half', 'REVOKE SELECT ON diagnosis FROM half')
  await using source = await openSource({ url })
  await made.snapshot(source, wardLayout, Date.UTC(2026, 0, 2))
})

afterAll(async () => {
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function backUp(
  parts: { from?: string; repository?: Repository; pool?: BuildPool; packBytesTarget?: number } = {},
): Promise<SnapshotReport> {
  clock += 1000
  const startedMs = clock
  await using source = await openSource({ url: parts.from ?? url })
  return await takeSnapshot({
    sourceName: 'icu',
    source,
    layout: wardLayout,
    repository: parts.repository ?? made.repository,
    pool: parts.pool ?? made.pool,
    signal: never(),
    nowMs: () => startedMs,
    sleep: async () => {},
    onProgress: () => {},
    packBytesTarget: parts.packBytesTarget ?? 16 * 1024,
  })
}

function as(role: string): string {
  return url.replace('postgres@', `${role}@`)
}

describe('a backup that cannot be taken', () => {
  test.each([
    ['of a server that is not there', () => url.replace(`:${server.port}/`, ':1/'), 'source-unreachable'],
    ['of a database that is not there', () => server.url('no_such_ward'), 'source-not-found'],
    ['by a role that is not there', () => as('nobody_here'), 'source-login-refused'],
    ['by a role without any right', () => as('stranger'), 'missing-rights'],
    ['by a role that lacks one table', () => as('half'), 'missing-rights'],
  ])('%s says so, and changes nothing', async (_, from, code) => {
    const before = await objectKeys(made.directory)

    const failure = await failureOf(() => backUp({ from: from() }))

    expect([failure.code, failure.hints.length > 0]).toEqual([code, true])
    expect(await objectKeys(made.directory)).toEqual(before)
  })

  test('by a role that lacks one table names that table', async () => {
    const failure = await failureOf(() => backUp({ from: as('half') }))

    expect(`${failure.message} ${failure.hints.join(' ')}`).toContain('diagnosis')
  })

  test('because the passphrase is another one says so', async () => {
    const wrong = { kind: 'passphrase', passphrase: 'wrong horse' } as const
    const opening = async () => await openRepository(await openStore(made.settings), made.settings, wrong)

    const failure = await failureOf(opening)

    expect(failure.code).toBe('wrong-key')
    expect(failure.hints.join(' ')).toContain('CHARTKEEP_PASSPHRASE')
  })

  test('because the repository is of a later format says which, and what to do', async () => {
    await using copy = await copyOfRepository()
    const path = join(copy.directory, 'config')
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replace('"format":1', '"format":2'))

    const failure = await failureOf(async () => await copy.open())

    expect([failure.code, failure.message]).toEqual(['repository-format', expect.stringContaining('format 2')])
    expect(failure.hints.join(' ')).toContain('version of chartkeep')
  })

  test('because the temporary directory is full or gone says so, and harms no snapshot', async () => {
    const spill = await mkdtemp(join(tmpdir(), 'chartkeep-spill-'))
    await using pool = new BuildPool(1)
    const before = await readEverySnapshot(made.repository)
    const saved = process.env.TMPDIR
    process.env.TMPDIR = join(spill, 'gone')
    try {
      await runSql(
        url,
        `INSERT INTO device_log SELECT 101 + n % 24, repeat('x', 3000) || n FROM generate_series(1, 16000) n`,
      )

      const failure = await failureOf(() => backUp({ pool }))

      expect(failure.code).toBe('local-disk-full')
      expect(failure.hints.join(' ')).toContain('TMPDIR')
    } finally {
      if (saved === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = saved
      await runSql(url, `DELETE FROM device_log WHERE length(message) > 1000`)
      await rm(spill, { recursive: true })
    }
    expect(await readEverySnapshot(made.repository)).toEqual(before)
  })
})

interface CopiedRepository extends AsyncDisposable {
  readonly directory: string
  open(): Promise<Repository>
}

async function copyOfRepository(into?: string): Promise<CopiedRepository> {
  const directory = into ?? (await mkdtemp(join(tmpdir(), 'chartkeep-copy-')))
  await cp(made.directory, directory, { recursive: true })
  const settings = { url: `file://${directory}` }
  return {
    directory,
    open: async () => await openRepository(await openStore(settings), settings, TEST_SECRET),
    [Symbol.asyncDispose]: async () => {
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** A file system of our own to fill up: needs root and Linux; elsewhere the fault sweep has to do. */
async function smallFileSystem(): Promise<{
  path: string
  resize(kib: number): Promise<void>
  end(): Promise<void>
} | null> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return null
  const path = await mkdtemp(join(tmpdir(), 'chartkeep-small-'))
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', path]).then(
    () => true,
    () => false,
  )
  if (!mounted) return null
  return {
    path,
    resize: async (kib) => {
      await run('mount', ['-o', `remount,size=${kib}k`, path])
    },
    end: async () => {
      await run('umount', ['-l', path])
      await rm(path, { recursive: true })
    },
  }
}

/** Tried and given back at once: a file system must not outlive a run that does not come to its test. */
const canMount = await smallFileSystem().then(async (tried) => {
  await tried?.end()
  return tried !== null
})
if (!canMount) process.stdout.write('no small file system could be mounted: the full disk is left to the fault sweep\n')

describe.runIf(canMount)('a store on a disk that fills up', () => {
  test('at any point fails as full, keeps every snapshot, and goes on when there is space', async () => {
    const full = (await smallFileSystem())!
    try {
      const directory = join(full.path, 'repository')
      await mkdir(directory)
      const copy = await copyOfRepository(directory)
      await using repository = await copy.open()
      const before = await readEverySnapshot(repository)
      await runSql(url, `UPDATE vital_sign SET value = value + 3`)
      const usedKib = Number((await run('du', ['-sk', full.path])).stdout.split('\t')[0])

      const codes: string[] = []
      let report: SnapshotReport | null = null
      for (let kib = usedKib; !report; kib += 24) {
        await full.resize(kib)
        report = await backUp({ repository, packBytesTarget: 1024 }).catch((error) => {
          if (!(error instanceof Failure)) throw error
          codes.push(error.code)
          return null
        })
        const found = await readEverySnapshot(repository)
        for (const [id, lines] of before) expect(found.get(id)).toEqual(lines)
      }

      expect(codes.length).toBeGreaterThan(1)
      expect(new Set(codes)).toEqual(new Set(['store-full']))
      expect(report.leavesAdopted).toBeGreaterThan(0)
      expect(await readdir(join(directory, '+tmp'))).toEqual([])
    } finally {
      await full.end()
    }
  }, 180_000)
})

describe('two backups of one source at once', () => {
  test('are both whole, and the ledger has each once', async () => {
    await runSql(url, `UPDATE vital_sign SET value = value + 5`)
    await using first = await made.open()
    await using second = await made.open()
    await using pool = new BuildPool(1)

    const reports = await Promise.all([backUp({ repository: first }), backUp({ repository: second, pool })])
    const after = await backUp()

    const found = await readEverySnapshot(made.repository)
    const [a, b] = reports.map((report) => found.get(report.snapshot))
    expect(a).toEqual(b)
    expect(a).toEqual(found.get(after.snapshot))
    expect(after.leavesStored).toBe(0)
    const logged = (await made.repository.ledger.read()).entries.map(({ entry }) => entry.snapshot)
    expect(logged.toSorted()).toEqual([...found.keys()].toSorted())
  })
})
