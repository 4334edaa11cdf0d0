/** What `status` says of a source, over a fake database: with and without capture, after a gap, and while nothing answers. */
import { describe, expect, it } from 'vitest'
import { takeSnapshot } from '../../src/backup/snapshot.ts'
import { lateness, type ProtectionStatus, protectionStatus } from '../../src/backup/status.ts'
import type { PatientLayout } from '../../src/intake/table-plan.ts'
import { formatLsn } from '../../src/repository/lsn.ts'
import { CaptureRig, FAST, until } from '../support/capture-rig.ts'
import { InProcessPool } from '../support/fake-source.ts'
import type { MemoryStore } from '../support/memory-store.ts'

const layout: PatientLayout = {
  patient: { table: 'public.patient', key: 'patient_id', label: [] },
  anchors: new Map(),
  categories: new Map(),
  links: [],
  exclude: new Set(),
}

async function makeRig(): Promise<CaptureRig> {
  const rig = await CaptureRig.make()
  rig.settings = { ...FAST, sealMs: 5, progressMs: 10 }
  return rig
}

async function statusOf(rig: CaptureRig): Promise<ProtectionStatus> {
  return await protectionStatus({
    repository: rig.repository(),
    sourceName: 'icu',
    layout,
    openSource: async () => rig.database.source(),
    nowMs: rig.request().nowMs,
  })
}

async function backUp(rig: CaptureRig): Promise<string> {
  const repository = rig.repository()
  const { snapshot } = await takeSnapshot({
    sourceName: 'icu',
    source: rig.database.source(),
    layout,
    repository,
    pool: new InProcessPool(rig.database.tables, repository.store),
    signal: new AbortController().signal,
    nowMs: rig.request().nowMs,
    sleep: async (ms) => await new Promise((resolve) => setTimeout(resolve, Math.min(ms, 5))),
    onProgress: () => {},
  })
  return snapshot
}

describe('the status of a source', () => {
  it('of which nothing is kept is not good', async () => {
    const status = await statusOf(await makeRig())

    expect(status).toMatchObject({ snapshot: null, log: null, protectedUntil: null, gaps: [], notAsked: [] })
    expect(lateness(status, 1e9)).toBe('there is no snapshot')
  })

  it('that is captured reaches to the last change, and names what is coarse and what would mend it', async () => {
    const rig = await makeRig()
    const session = rig.start()
    await until(() => session.events.some(({ kind }) => kind === 'connected'))
    const snapshot = await backUp(rig)
    await rig.settled(rig.database.insert('public.drug', 'D1'))
    await rig.settled(rig.database.requestSeal())
    await rig.settled(rig.database.requestSeal())

    const status = await statusOf(rig)
    await session.stop()

    expect(status).toMatchObject({ snapshot: { snapshot, carriesOn: true }, slot: { active: true }, closed: [] })
    expect(status.coarse).toEqual([
      { table: 'public.log', reason: 'no primary key', remedySql: 'ALTER TABLE public.log …' },
    ])
    // The later of the two, each by the fake database's own clock.
    expect(status.log!.keptUntil).not.toBeNull()
    expect(Date.parse(status.protectedUntil!)).toBeGreaterThanOrEqual(Date.parse(status.log!.keptUntil!))
    expect(status.protectedAgeSeconds).toBeLessThan(60)
    expect(lateness(status, 600)).toBeNull()
    expect(lateness(status, 0)).toContain('nothing later than')
  })

  it('says what is closed until the next backup, and which gaps there are', async () => {
    const rig = await makeRig()
    const first = rig.start()
    await until(() => first.events.some(({ kind }) => kind === 'connected'))
    await rig.settled(rig.database.insert('public.drug', 'D1'))
    await first.stop()
    const end = await (await rig.newestLog()).end()
    rig.database.slots.delete(rig.slot)
    rig.database.insert('public.drug', 'never captured')
    const second = rig.start()
    await until(() => second.events.some(({ kind }) => kind === 'connected'))
    await backUp(rig)
    rig.database.redefine('public.drug')
    rig.database.requestSeal()
    await second.ended

    const status = await statusOf(rig)

    expect(status.closed).toMatchObject([{ table: 'public.drug' }])
    expect(status.gaps).toHaveLength(1)
    expect(status.gaps[0]!.reason).toContain('is gone')
    expect(status.gaps[0]!.from).toBe(`0/${end.toString(16).toUpperCase()}`)
  })

  it('names newest segments that vanished from the store, and misses none that is only not confirmed yet (F2)', async () => {
    const rig = await makeRig()
    const session = rig.start()
    await until(() => session.events.some(({ kind }) => kind === 'connected'))
    await backUp(rig)
    const first = await rig.settled(rig.database.insert('public.drug', 'D1')).then(newestSegment)
    await rig.settled(rig.database.insert('public.drug', 'D2'))
    const going = await statusOf(rig)
    await session.stop()
    const stopped = await statusOf(rig)
    const { objects } = rig.simulated.store as MemoryStore
    for (const key of segmentKeys()) if (key > first) objects.delete(key)

    const status = await statusOf(rig)

    expect([going.lostTail, stopped.lostTail]).toEqual([null, null])
    const log = await rig.newestLog()
    const to = formatLsn(rig.database.slots.get(rig.slot)!.confirmed)
    expect(status.lostTail).toEqual({ log: log.start.logId, slot: rig.slot, from: formatLsn(await log.end()), to })
    expect(lateness(status, 1e9)).toContain('gone from the store')

    function segmentKeys(): string[] {
      return [...(rig.simulated.store as MemoryStore).objects.keys()]
        .filter((key) => key.startsWith('segments/'))
        .sort()
    }
    function newestSegment(): string {
      return segmentKeys().at(-1)!
    }
  })

  it('works while the database is down, and says what it could not ask', async () => {
    const rig = await makeRig()
    await backUp(rig)
    rig.database.isDown = true

    const status = await statusOf(rig)

    expect(status.snapshot).not.toBeNull()
    expect(status.notAsked).toEqual(['the database: the fake database is down'])
    expect(status.coarse.map(({ table }) => table)).toEqual(['public.drug', 'public.log', 'public.patient'])
  })
})
