/**
 * Resume (F7): a run that died leaves packs; the next run stores only what they do not have, and trusts nothing of
 * them but leaves that it would have written itself.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { Failure } from '../../src/errors.ts'
import { INDEX_PREFIX, MANIFEST_PREFIX, PACK_PREFIX } from '../../src/repository/layout.ts'
import { fakeWard } from '../support/fake-ward.ts'
import { FaultyStore, type StoreFault } from '../support/faulty-store.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { linesOfTables, readEverySnapshot } from '../support/read-back.ts'
import { makeSimRepository, type SimRepository, simBackup } from '../support/sim-repository.ts'

const DAY_MS = 86_400_000
/** A leaf a pack. */
const PACK_BYTES = 1024
const VITALS = 24_000
const tables = fakeWard({ vitals: VITALS, edition: 1 })

interface Made<Kind extends MemoryStore = MemoryStore> {
  readonly memory: Kind
  readonly made: SimRepository
}

const empty = new MemoryStore()
const made = await makeSimRepository(empty)
let calls: FaultyStore['calls'] = []

/** All with the same keys, so that leaves are cut alike. */
function emptyRepository<Kind extends MemoryStore>(memory: Kind): Made<Kind> {
  for (const [key, bytes] of empty.objects) memory.objects.set(key, bytes)
  return { memory, made }
}

/** Places for so many packs and no more. */
class SmallStore extends MemoryStore {
  packsFree = 0

  override async put(key: string, bytes: Uint8Array): Promise<void> {
    const isPack = key.startsWith(PACK_PREFIX)
    if (isPack && this.packsFree === 0) throw new Failure('store-full', 'planned: the store is full')
    if (isPack) this.packsFree -= 1
    await super.put(key, bytes)
  }
}

beforeAll(async () => {
  const { memory } = emptyRepository(new MemoryStore())
  const counting = new FaultyStore(memory)
  await simBackup({ repository: made.over(counting), tables, atMs: DAY_MS, packBytesTarget: PACK_BYTES })
  calls = counting.calls
})

function backup({ memory, made }: Made, of = tables, atMs = DAY_MS) {
  return simBackup({ repository: made.over(memory), tables: of, atMs, packBytesTarget: PACK_BYTES })
}

/** A run over a store that stops answering at a call, as a process that is killed there. */
async function interruptedBackup({ memory, made }: Made, fault: StoreFault, of = tables): Promise<void> {
  const faulty = new FaultyStore(memory, [{ ...fault, onward: true }])
  const run = simBackup({ repository: made.over(faulty), tables: of, atMs: DAY_MS, packBytesTarget: PACK_BYTES })
  await expect(run).rejects.toBeInstanceOf(Failure)
  faulty.assertAllFired()
}

/** Of the put of a pack at `share` of all of them, in [0, 1). */
function callAt(share: number): number {
  const puts = calls.flatMap((call, index) =>
    call.method === 'put' && call.key.startsWith(PACK_PREFIX) ? [index] : [],
  )
  return puts[Math.floor(puts.length * share)]! + 1
}

function bytesUnder(memory: MemoryStore, prefix: string): number {
  return [...memory.objects].reduce((sum, [key, bytes]) => sum + (key.startsWith(prefix) ? bytes.length : 0), 0)
}

describe('a backup that was interrupted', () => {
  test('at 90 % stores no more than the last part when it is run again', async () => {
    const whole = emptyRepository(new MemoryStore())
    const clean = await backup(whole)
    const cut = emptyRepository(new MemoryStore())
    await interruptedBackup(cut, { call: callAt(0.9), outcome: 'lost' })
    const keptBytes = bytesUnder(cut.memory, PACK_PREFIX)

    const resumed = await backup(cut)

    expect(keptBytes).toBeGreaterThan(0.8 * clean.bytesStored)
    expect(resumed.bytesStored).toBeLessThan(0.25 * clean.bytesStored)
    expect(bytesUnder(cut.memory, PACK_PREFIX)).toBe(keptBytes + resumed.bytesStored)
    expect(resumed.leavesAdopted).toBeGreaterThan(0.75 * clean.leavesStored)
    expect(resumed.leavesAdopted + resumed.leavesStored).toBe(clean.leavesStored)
    expect([...(await readEverySnapshot(cut.made.over(cut.memory))).values()]).toEqual([linesOfTables(tables)])
  })

  test('between index and manifest stores no leaf again', async () => {
    const manifestPut = calls.findIndex(({ method, key }) => method === 'put' && key.startsWith(MANIFEST_PREFIX)) + 1
    const cut = emptyRepository(new MemoryStore())
    await interruptedBackup(cut, { call: manifestPut, outcome: 'lost' })
    expect(bytesUnder(cut.memory, INDEX_PREFIX)).toBeGreaterThan(0)

    const resumed = await backup(cut)

    expect(resumed.leavesStored).toBe(0)
    expect(resumed.leavesAdopted).toBeGreaterThan(0)
  })

  test('lends its leaves to one run only: the next finds them in the index of that run', async () => {
    const cut = emptyRepository(new MemoryStore())
    await interruptedBackup(cut, { call: callAt(0.9), outcome: 'lost' })
    await backup(cut)

    const third = await backup(cut, tables, 2 * DAY_MS)

    expect(third).toMatchObject({ leavesAdopted: 0, packsAdopted: 0, leavesStored: 0 })
  })

  test('has every pack that is used in the index of the run that uses it, with its size and digest', async () => {
    const cut = emptyRepository(new MemoryStore())
    await interruptedBackup(cut, { call: callAt(0.9), outcome: 'lost' })
    const resumed = await backup(cut)
    const repository = cut.made.over(cut.memory)

    const index = await repository.readIndex((await repository.readManifest(resumed.snapshot)).manifest)

    const listed = index.packs.reduce((sum, pack) => sum + pack.bytes, 0)
    expect(resumed.packsAdopted).toBeGreaterThan(0)
    expect(listed).toBeGreaterThan(resumed.bytesStored)
    for (const { packId, bytes, sha256 } of index.packs) {
      const stored = cut.memory.objects.get(`${PACK_PREFIX}${packId.slice(0, 2)}/${packId}`)!
      expect([stored.length, await digestOf(stored)]).toEqual([bytes, sha256])
    }
  })

  test('is read as the rows are now, not as they were when it was interrupted (F7)', async () => {
    const cut = emptyRepository(new MemoryStore())
    await interruptedBackup(cut, { call: callAt(0.9), outcome: 'lost' })
    const changed = fakeWard({ vitals: VITALS, edition: 2 })

    const resumed = await backup(cut, changed)

    expect(resumed.leavesAdopted).toBeGreaterThan(0)
    expect([...(await readEverySnapshot(cut.made.over(cut.memory))).values()]).toEqual([linesOfTables(changed)])
  })

  test('with one of its packs damaged in any byte is resumed without that pack', async () => {
    const cut = emptyRepository(new MemoryStore())
    await interruptedBackup(cut, { call: callAt(0.9), outcome: 'lost' })
    const packs = [...cut.memory.objects.keys()].filter((key) => key.startsWith(PACK_PREFIX))
    for (const [index, key] of packs.entries()) {
      const bytes = Uint8Array.from(cut.memory.objects.get(key)!)
      const at = Math.floor((bytes.length * index) / packs.length)
      bytes[at] = bytes[at]! ^ (1 << (index % 8))
      cut.memory.objects.set(key, bytes)
    }

    const resumed = await backup(cut)

    expect(resumed).toMatchObject({ leavesAdopted: 0, packsAdopted: 0 })
    expect([...(await readEverySnapshot(cut.made.over(cut.memory))).values()]).toEqual([linesOfTables(tables)])
  })

  test('again and again because the store is full goes on from where it was each time', async () => {
    const small = emptyRepository(new SmallStore())
    for (let round = 1; round <= 3; round += 1) {
      small.memory.packsFree = 2
      await expect(backup(small)).rejects.toMatchObject({ code: 'store-full' })
      const packs = [...small.memory.objects.keys()].filter((key) => key.startsWith(PACK_PREFIX))
      expect(packs).toHaveLength(2 * round)
    }
    small.memory.packsFree = 1000

    const last = await backup(small)

    expect(last.packsAdopted).toBeGreaterThanOrEqual(5)
    expect([...(await readEverySnapshot(made.over(small.memory))).values()]).toEqual([linesOfTables(tables)])
  })
})

async function digestOf(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes))).toString('hex')
}
