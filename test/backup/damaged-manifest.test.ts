/** One snapshot that is damaged or planted must not keep the hospital without a backup, nor choose for the operator. */
import { expect, test } from 'vitest'
import { Failure } from '../../src/errors.ts'
import { MANIFEST_PREFIX, manifestKey } from '../../src/repository/layout.ts'
import { resolveTarget } from '../../src/repository/state/target.ts'
import { fakeWard } from '../support/fake-ward.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { linesOfTables, readSnapshot } from '../support/read-back.ts'
import { copyOf, makeSimRepository, simBackup } from '../support/sim-repository.ts'

const DAY_MS = 86_400_000
const tables = fakeWard({ vitals: 2_000, edition: 1 })

const memory = new MemoryStore()
const made = await makeSimRepository(memory)
const first = await simBackup({ repository: made.over(memory), tables, atMs: DAY_MS })
const second = await simBackup({ repository: made.over(memory), tables, atMs: 2 * DAY_MS })

/** With the newest manifest damaged, and one planted that sorts behind all others. */
function damaged(): MemoryStore {
  const store = copyOf(memory)
  const bytes = Uint8Array.from(store.objects.get(manifestKey(second.snapshot))!)
  bytes[bytes.length - 1]! ^= 1
  store.objects.set(manifestKey(second.snapshot), bytes)
  store.objects.set(`${MANIFEST_PREFIX}29990101T000000Z-00000000`, Buffer.from('planted'))
  return store
}

function wanted(at: string) {
  return { repository: made.over(damaged()), sourceName: 'icu', at }
}

test('a backup beside a damaged and a planted manifest is whole, and shares with the last good snapshot', async () => {
  const store = damaged()

  const report = await simBackup({ repository: made.over(store), tables, atMs: 3 * DAY_MS })

  expect(report.mode).toBe('full-read')
  expect(report.leavesReused).toBeGreaterThan(0)
  expect(await readSnapshot(made.over(store), report.snapshot)).toEqual(linesOfTables(tables))
})

test('latest is refused where the newest manifest cannot be read, and the next whole one is named', async () => {
  const refused = await resolveTarget(wanted('latest')).catch((error) => error)

  expect(refused).toBeInstanceOf(Failure)
  expect(refused.code).toBe('repository-damaged')
  expect(refused.hints[0]).toContain(`--at ${first.snapshot}`)
})

test('a whole snapshot is given by its name beside a damaged one', async () => {
  const { base } = await resolveTarget(wanted(first.snapshot))

  expect(base.snapshotId).toBe(first.snapshot)
})
