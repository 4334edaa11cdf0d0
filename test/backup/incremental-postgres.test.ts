/**
 * Incremental snapshots of a real database that many write to, while their streams are cut: each has the roots of a full
 * read at the very same position (P3), and was made the way it says (F30).
 */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it, vi } from 'vitest'
import { type SnapshotReport, takeSnapshot } from '../../src/backup/snapshot.ts'
import { proveRead } from '../../src/intake/prove-roots.ts'
import type { ConsistentRead, Source } from '../../src/source/contract.ts'
import { openSource } from '../../src/source/open.ts'
import { connectClient, describeOnServers, oldestAndNewest, runSql } from '../source/postgres/support.ts'
import { captureDatabase } from '../support/capture-by-hand.ts'
import { makeRepository, never, type TestRepository } from '../support/repository.ts'
import { wardLayout, wardSql } from '../support/ward.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

const WRITERS = 4
const SNAPSHOTS = 3
const TABLES = ['patient', 'icu_stay', 'vital_sign', 'diagnosis', 'note_2025', 'note_2026', 'drug']

describeOnServers('an incremental snapshot', oldestAndNewest, (server) => {
  it('equals a full read of the same position, whoever writes and whatever breaks', async () => {
    const url = await server().createDatabase('icu')
    await runSql(url, ...wardSql({ vitals: 2_000 }))
    await using made = await makeRepository()
    await using captured = await captureDatabase({ made, url, layout: wardLayout, tables: TABLES })
    await captured.snapshot()
    const over = new AbortController()
    const writers = Array.from({ length: WRITERS }, (_, number) => keepWriting(url, number, over.signal))

    const reports: SnapshotReport[] = []
    for (let round = 1; round <= SNAPSHOTS; round += 1) {
      await pause(300)
      if (round === 2) await cutStream(url)
      reports.push(await snapshotAndProve(made, url, round))
    }
    over.abort()
    await Promise.all(writers)

    for (const report of reports) {
      expect(report).toMatchObject({ mode: 'incremental', tablesFolded: 7, tablesRead: 1 })
      expect(report.modeReason).toContain('public.device_log (no primary key')
      expect(report.changes).toBeGreaterThan(0)
    }
    expect(captured.events.filter(({ kind }) => kind === 'log-begun')).toHaveLength(1)
  })
})

/** Takes a snapshot by a read of everything, of which it reads what it wants; then proves every root by that read. */
async function snapshotAndProve(made: TestRepository, url: string, round: number): Promise<SnapshotReport> {
  const repository = await made.open()
  await using source = await openSource({ url })
  const held: ConsistentRead[] = []
  const report = await takeSnapshot({
    sourceName: 'icu',
    source: holdingReads(source, held),
    layout: wardLayout,
    repository,
    pool: made.pool,
    signal: never(),
    nowMs: () => Date.now() + round * 3_600_000,
    sleep: async (ms) => await pause(ms),
    onProgress: () => {},
  })
  const { manifest } = await repository.readManifest(report.snapshot)
  await using read = held.at(-1)!
  const proven = await proveRead({ read, manifest, repository, pool: made.pool, signal: never() })
  expect(proven.filter(({ equal }) => !equal)).toEqual([])
  expect(proven).toHaveLength(8)
  for (const earlier of held.slice(0, -1)) await earlier[Symbol.asyncDispose]()
  return report
}

function holdingReads(source: Source, held: ConsistentRead[]): Source {
  return {
    ...source,
    openRead: async (options) => {
      const tables = (await source.introspect()).tables.map(({ name }) => name)
      const read = await source.openRead({ ...options, tables })
      held.push(read)
      return { ...read, [Symbol.asyncDispose]: async () => {} }
    },
  }
}

async function cutStream(url: string): Promise<void> {
  await runSql(url, 'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active')
}

/** Each with rows of its own, so that nobody waits: inserts, updates, deletes, moves, key changes, savepoints, two-phase. */
async function keepWriting(url: string, number: number, over: AbortSignal): Promise<void> {
  await using client = await connectClient(url)
  for (let turn = 0; !over.aborted; turn += 1) {
    const id = 100_000 * (number + 1) + turn
    const stay = 101 + ((number + turn) % 24)
    await client.query('BEGIN')
    await client.query(`INSERT INTO vital_sign VALUES (${id}, ${stay}, now(), 'HR', ${turn})`)
    await client.query('SAVEPOINT s')
    await client.query(`UPDATE vital_sign SET value = -1 WHERE id % 5 = ${number} AND id <= 2000`)
    if (turn % 3 === 0) await client.query('ROLLBACK TO s')
    await client.query(`UPDATE vital_sign SET stay_id = 101 + (stay_id + 1) % 24 WHERE id = ${id - 1}`)
    await client.query(`DELETE FROM vital_sign WHERE id = ${id - 7}`)
    await client.query(`UPDATE drug SET code = code || 'x' WHERE code = 'D${number + 1}${'x'.repeat(turn % 40)}'`)
    await client.query(`INSERT INTO device_log VALUES (${stay}, 'turn ${turn}')`)
    await client.query(`INSERT INTO note VALUES (${id}, ${stay}, ${2025 + (turn % 2)}, 'note of ${number}')`)
    if (turn % 5 === 0) {
      await client.query(`PREPARE TRANSACTION 'p${number}'`)
      await client.query(`COMMIT PREPARED 'p${number}'`)
    } else {
      await client.query(turn % 7 === 0 ? 'ROLLBACK' : 'COMMIT')
    }
    await pause(5)
  }
}
