/**
 * Small repositories made by the real code: a directory store in a folder of its own, and snapshots of a real database.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { takeSnapshot } from '../../src/backup/snapshot.ts'
import { BuildPool } from '../../src/intake/build-pool.ts'
import type { PatientLayout } from '../../src/intake/table-plan.ts'
import type { UnlockSecret } from '../../src/repository/crypto/key-wrapper.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { initRepository, openRepository } from '../../src/repository/repository-lifecycle.ts'
import type { Store, StoreSettings } from '../../src/repository/store/contract.ts'
import { createStore } from '../../src/repository/store/open.ts'
import type { Source } from '../../src/source/contract.ts'

/** A key file: a passphrase would be stretched for half a second at every opening. */
export const TEST_SECRET = {
  kind: 'key-file',
  bytes: Buffer.from('the key file of every test, 32 B'.repeat(2)),
} as const
/** For tests of what a passphrase opens (`makeRepository({ alsoOpenedBy })`). */
export const TEST_PASSPHRASE = { kind: 'passphrase', passphrase: 'correct horse battery staple' } as const

export const never = (): AbortSignal => new AbortController().signal

export interface TestRepository extends AsyncDisposable {
  readonly directory: string
  readonly settings: StoreSettings
  readonly repository: Repository
  readonly pool: BuildPool
  /** Opened anew, from what is stored now; over `store` where one is given. */
  open(store?: Store): Promise<Repository>
  /** @returns the snapshot's id. `atMs` must grow from snapshot to snapshot. */
  snapshot(source: Source, layout: PatientLayout, atMs: number): Promise<string>
}

export interface TestRepositoryOptions {
  readonly alsoOpenedBy?: UnlockSecret
}

/** One for all repositories of a test file, gone with its process: a thread takes longer to start than most snapshots. */
let sharedPool: BuildPool | null = null

export async function makeRepository({ alsoOpenedBy }: TestRepositoryOptions = {}): Promise<TestRepository> {
  const directory = await mkdtemp(join(tmpdir(), 'chartkeep-verify-'))
  const settings = { url: `file://${directory}` }
  const world = { nowMs: () => Date.UTC(2026, 0, 1), random: randomBytes }
  const secrets = alsoOpenedBy === undefined ? [TEST_SECRET] : [TEST_SECRET, alsoOpenedBy]
  const { repository } = await initRepository(await createStore(settings), settings, secrets, world)
  sharedPool ??= new BuildPool(1)
  const pool = sharedPool
  return {
    directory,
    settings,
    repository,
    pool,
    open: async (store) => await openRepository(store ?? (await createStore(settings)), settings, TEST_SECRET),
    snapshot: async (source, layout, atMs) => {
      const report = await takeSnapshot({
        sourceName: 'icu',
        source,
        layout,
        repository,
        pool,
        signal: never(),
        nowMs: () => atMs,
        sleep: async () => {},
        onProgress: () => {},
      })
      return report.snapshot
    },
    [Symbol.asyncDispose]: async () => {
      await repository[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Keys of all objects below a directory store. */
export async function objectKeys(directory: string, prefix = ''): Promise<string[]> {
  const entries = await readdir(join(directory, prefix), { withFileTypes: true, recursive: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return paths.map((path) => path.slice(directory.length + 1)).sort()
}

/** Runs `work` while the object holds other bytes (null: while it is gone), then puts everything back. */
export async function whileDamaged<T>(
  directory: string,
  key: string,
  damage: (bytes: Buffer) => Buffer | null,
  work: () => Promise<T>,
): Promise<T> {
  const path = join(directory, key)
  const whole = await readFile(path)
  const damaged = damage(Buffer.from(whole))
  if (damaged) await writeFile(path, damaged)
  else await rm(path)
  try {
    return await work()
  } finally {
    await writeFile(path, whole)
  }
}

/** The objects come back. */
export async function whileGone<Result>(
  directory: string,
  keys: readonly string[],
  look: () => Promise<Result>,
): Promise<Result> {
  const [key, ...others] = keys
  if (key === undefined) return await look()
  return await whileDamaged(
    directory,
    key,
    () => null,
    () => whileGone(directory, others, look),
  )
}
