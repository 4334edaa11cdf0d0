/** A repository in memory with one set of keys, opened over any store as often as wanted: no key derivation each time. */
import { createHash } from 'node:crypto'
import { type SnapshotReport, takeSnapshot } from '../../src/backup/snapshot.ts'
import { Repository } from '../../src/repository/repository.ts'
import { initRepository } from '../../src/repository/repository-lifecycle.ts'
import type { Store } from '../../src/repository/store/contract.ts'
import { FakeSource, type FakeTables, InProcessPool } from './fake-source.ts'
import { fakeLayout } from './fake-ward.ts'
import { MemoryStore } from './memory-store.ts'

export const SIM_SECRET = { kind: 'key-file', bytes: Buffer.alloc(32, 7) } as const
const SETTINGS = { url: 'memory:' }

export interface SimRepository {
  readonly store: Store
  /** The same repository over a wrapper of its store, or over a copy. */
  over(store: Store): Repository
}

/** The same keys in every run of a test, so that leaves are cut in the same places. */
function fixedRandom(): (bytes: number) => Uint8Array {
  let calls = 0
  return (bytes) => {
    calls += 1
    return createHash('shake256', { outputLength: bytes }).update(`sim ${calls}`).digest()
  }
}

/** @param store empty; in memory when not given */
export async function makeSimRepository(store: Store = new MemoryStore()): Promise<SimRepository> {
  const world = { nowMs: () => Date.UTC(2026, 0, 1), random: fixedRandom() }
  const { repository } = await initRepository(store, SETTINGS, [SIM_SECRET], world)
  const { id, keyring } = repository
  return { store, over: (other) => new Repository({ id, keyring, store: other, storeSettings: SETTINGS }) }
}

export function copyOf(store: MemoryStore): MemoryStore {
  const copy = new MemoryStore()
  for (const [key, bytes] of store.objects) copy.objects.set(key, bytes)
  return copy
}

export interface SimBackup {
  readonly repository: Repository
  readonly tables: FakeTables
  readonly atMs: number
  readonly packBytesTarget?: number
  readonly signal?: AbortSignal
}

export async function simBackup({ repository, tables, atMs, signal, ...rest }: SimBackup): Promise<SnapshotReport> {
  return await takeSnapshot({
    sourceName: 'icu',
    source: new FakeSource(tables),
    layout: fakeLayout,
    repository,
    pool: new InProcessPool(tables, repository.store),
    signal: signal ?? new AbortController().signal,
    nowMs: () => atMs,
    sleep: async () => {},
    onProgress: () => {},
    ...rest,
  })
}
