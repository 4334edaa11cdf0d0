/**
 * A repository that lost something must not hand the loss on: the source still has the rows, and the next snapshot
 * stores again what the last one can no longer give. For every pack in turn.
 */
import { expect, test } from 'vitest'
import { PACK_PREFIX } from '../../src/repository/layout.ts'
import { fakeWard } from '../support/fake-ward.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { linesOfTables, readSnapshot } from '../support/read-back.ts'
import { copyOf, makeSimRepository, simBackup } from '../support/sim-repository.ts'

const DAY_MS = 86_400_000
const PACK_BYTES = 2 * 1024
const tables = fakeWard({ vitals: 12_000, edition: 1 })

const memory = new MemoryStore()
const made = await makeSimRepository(memory)
await simBackup({ repository: made.over(memory), tables, atMs: DAY_MS, packBytesTarget: PACK_BYTES })
const packs = [...memory.objects.keys()].filter((key) => key.startsWith(PACK_PREFIX))

async function backupAgain(store: MemoryStore) {
  const repository = made.over(store)
  const report = await simBackup({ repository, tables, atMs: 2 * DAY_MS, packBytesTarget: PACK_BYTES })
  return { report, lines: await readSnapshot(repository, report.snapshot) }
}

test('a snapshot after the loss of any one pack is whole, and says that it stored the loss again', async () => {
  expect(packs.length).toBeGreaterThan(3)
  for (const lost of packs) {
    const store = copyOf(memory)
    store.objects.delete(lost)

    const { report, lines } = await backupAgain(store)

    expect(lines).toEqual(linesOfTables(tables))
    expect(report.tablesHealed.length).toBeGreaterThan(0)
    expect(report.bytesStored).toBeGreaterThan(0)
  }
})

test('a snapshot after the cutting short of any one pack is whole', async () => {
  for (const cut of packs) {
    const store = copyOf(memory)
    store.objects.set(cut, store.objects.get(cut)!.slice(0, -1))

    const { lines } = await backupAgain(store)

    expect(lines).toEqual(linesOfTables(tables))
  }
})

/** Lists no pack, and has them all. */
class ForgetfulStore extends MemoryStore {
  override async *list(prefix: string) {
    for await (const object of super.list(prefix)) if (!object.key.startsWith(PACK_PREFIX)) yield object
  }
}

test('packs that a listing leaves out and the store has are not called lost (F17)', async () => {
  const store = new ForgetfulStore()
  for (const [key, bytes] of memory.objects) store.objects.set(key, bytes)

  const { report, lines } = await backupAgain(store)

  expect(report.tablesHealed).toEqual([])
  expect(report.bytesStored).toBe(0)
  expect(lines).toEqual(linesOfTables(tables))
})

test('a snapshot after no loss stores nothing and heals nothing', async () => {
  const { report, lines } = await backupAgain(copyOf(memory))

  expect(report.tablesHealed).toEqual([])
  expect(report.bytesStored).toBe(0)
  expect(lines).toEqual(linesOfTables(tables))
})
