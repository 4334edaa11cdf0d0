/** Holds: what they keep, and who may end them. */
import { beforeEach, describe, expect, test } from 'vitest'
import { forget } from '../../../src/backup/retention/forget.ts'
import { placeHold, readHolds, releaseHolds } from '../../../src/backup/retention/hold.ts'
import { FORGET_ACTION } from '../../../src/repository/audit.ts'
import { checkRepository } from '../../../src/verify/check.ts'
import { FaultyStore } from '../../support/faulty-store.ts'
import { HOUR_MS, RetentionSim, rulesOf } from './retention-sim.ts'

const LAST = rulesOf({ last: 1 })
let sim: RetentionSim
let oldest: string

beforeEach(async () => {
  sim = await RetentionSim.make()
  for (let count = 0; count < 3; count += 1) await sim.backUp()
  oldest = (await sim.repository.snapshotIds())[0]!
})

async function hold(until: string | null = null): Promise<string> {
  return (await placeHold(sim.world(), { snapshotId: oldest, reason: 'inquiry 17', until })).holdId
}

async function left(): Promise<string[]> {
  await sim.forget(LAST)
  return await sim.repository.snapshotIds()
}

describe('a hold', () => {
  test('keeps its snapshot from being forgotten until it is released', async () => {
    const holdId = await hold()
    expect(await left()).toContain(oldest)
    expect((await releaseHolds(sim.world(), holdId, 'closed')).map(({ snapshotId }) => snapshotId)).toEqual([oldest])
    expect(await left()).not.toContain(oldest)
  })

  test('ends when it says so', async () => {
    await hold(new Date(sim.nowMs + HOUR_MS).toISOString())
    expect(await left()).toContain(oldest)
    sim.nowMs += HOUR_MS
    expect(await left()).not.toContain(oldest)
  })

  test('of which the object was taken away holds on, by the audit, and can be released', async () => {
    const holdId = await hold()
    sim.store.objects.delete(`holds/${holdId}`)
    expect(await left()).toContain(oldest)
    const held = await readHolds(sim.repository, await sim.repository.audit.read())
    expect(held).toMatchObject([{ holdId, snapshotId: oldest, reason: 'inquiry 17', until: null, vanished: true }])
    await releaseHolds(sim.world(), oldest, 'closed')
    expect(await left()).not.toContain(oldest)
  })

  test('that is damaged, or not listed, lets nothing be forgotten (F17)', async () => {
    const holdId = await hold()
    const partial = new (class extends FaultyStore {
      override async *list(prefix: string) {
        for await (const object of super.list(prefix)) if (!object.key.startsWith('holds/')) yield object
      }
    })(sim.store)
    await sim.forget(LAST, partial)
    expect(await sim.repository.snapshotIds()).toContain(oldest)
    const bytes = sim.store.objects.get(`holds/${holdId}`)!
    bytes[40]! ^= 1
    await expect(sim.forget(LAST)).rejects.toMatchObject({ code: 'repository-damaged' })
    const { signal } = sim.world()
    const { findings } = await checkRepository({ repository: sim.repository, signal, nowMs: () => sim.nowMs })
    expect(findings).toMatchObject([{ kind: 'retention-damaged', object: `holds/${holdId}` }])
  })

  test('cannot be placed on a snapshot that is being forgotten, nor on none', async () => {
    const time = new Date(sim.nowMs).toISOString()
    const record = { time, actor: 'sim', action: FORGET_ACTION, subject: oldest, outcome: 'done', detail: '' } as const
    await sim.repository.audit.append(record)
    await expect(hold()).rejects.toMatchObject({ code: 'snapshot-not-found' })
    oldest = '20200101T000000Z-00000000'
    await expect(hold()).rejects.toMatchObject({ code: 'snapshot-not-found' })
    expect(await left()).toHaveLength(1)
  })

  test('is of one source, and forget of another leaves it be', async () => {
    const plan = await forget({ ...sim.world(), sourceName: 'another', rules: LAST })
    expect(plan.snapshots).toEqual([])
    expect(await sim.repository.snapshotIds()).toHaveLength(3)
  })
})
