/** What prune must never do, whatever the store, the clock and others are doing. */
import { describe, expect, test } from 'vitest'
import { planOfPrune } from '../../../src/backup/retention/prune.ts'
import { takeSurvey } from '../../../src/backup/retention/survey.ts'
import { LEDGER_ENTRY_PREFIX, PACK_PREFIX, PRUNE_PREFIX, packKey } from '../../../src/repository/layout.ts'
import { acquireLease, leaseName } from '../../../src/repository/lease.ts'
import { announceReading } from '../../../src/repository/readers.ts'
import { checkRepository } from '../../../src/verify/check.ts'
import { scrubRepository } from '../../../src/verify/scrub.ts'
import { scrubPack } from '../../../src/verify/scrub-pack.ts'
import { FaultyStore } from '../../support/faulty-store.ts'
import { copyOf } from '../../support/sim-repository.ts'
import { DAY_MS, HOUR_MS, RetentionSim, rulesOf } from './retention-sim.ts'

const LAST_TWO = rulesOf({ last: 2 })
const signal = new AbortController().signal

/** Six snapshots, of which four were forgotten and marked; the grace is over, and a seventh was taken. */
async function grown(): Promise<RetentionSim> {
  const sim = await RetentionSim.make()
  for (let count = 0; count < 6; count += 1) await sim.backUp()
  await sim.forget(LAST_TWO)
  expect((await sim.prune(LAST_TWO)).marks.length).toBeGreaterThan(0)
  sim.nowMs += DAY_MS
  await sim.backUp()
  return sim
}

async function errorsOf(sim: RetentionSim): Promise<string[]> {
  const { findings } = await checkRepository({ repository: sim.repository, signal, nowMs: () => sim.nowMs })
  return findings.filter(({ severity }) => severity === 'error').map(({ kind }) => kind)
}

function packs(sim: RetentionSim): string[] {
  return [...sim.store.objects.keys()].filter((key) => key.startsWith(PACK_PREFIX)).sort()
}

/** Nothing may have gone: neither now, nor once the grace is over. */
async function expectNothingGoes(sim: RetentionSim, code: string): Promise<void> {
  const before = packs(sim)
  await expect(sim.prune(LAST_TWO)).rejects.toMatchObject({ code })
  expect(packs(sim)).toEqual(before)
}

describe('prune', () => {
  test('marks, waits for the grace, and only then deletes; a dry run changes nothing', async () => {
    const sim = await RetentionSim.make()
    for (let count = 0; count < 4; count += 1) await sim.backUp()
    await sim.forget(rulesOf({ last: 1 }))
    const before = [...sim.store.objects.keys()]
    const planned = await planOfPrune(sim.pruneRequest(LAST_TWO))
    expect([...sim.store.objects.keys()]).toEqual(before)
    expect(planned.marks.every(({ why }) => why === 'only forgotten snapshots needed it')).toBe(true)

    const all = packs(sim)
    const first = await sim.prune(LAST_TWO)
    expect(first.marks.length).toBeGreaterThan(0)
    sim.nowMs += DAY_MS - HOUR_MS
    expect((await sim.prune(LAST_TWO)).waits.map(({ object }) => object)).toEqual(
      first.marks.map(({ object }) => object),
    )
    expect(packs(sim)).toEqual(all)
    sim.nowMs += HOUR_MS
    const last = await sim.prune(LAST_TWO)
    expect(last.removes.map(({ object }) => object)).toEqual(
      expect.arrayContaining(first.marks.map(({ object }) => object)),
    )
    expect(packs(sim).length).toBe(all.length - first.marks.length)
    expect([...sim.store.objects.keys()].filter((key) => key.startsWith(PRUNE_PREFIX))).toEqual([])
    expect(await sim.assertAllRead()).toBe(1)
    expect(await errorsOf(sim)).toEqual([])
  })

  test('keeps the claims of leases few, and each lease counting on', async () => {
    const sim = await RetentionSim.make()
    for (let count = 0; count < 40; count += 1) await sim.backUp()
    await sim.prune(LAST_TWO)
    const claims = [...sim.store.objects.keys()].filter((key) => key.startsWith('leases/snapshot-'))
    expect(claims.length).toBeLessThanOrEqual(65)
    expect(claims.at(-1)).toMatch(/\/0000000079$/)
    await sim.backUp()
    expect([...sim.store.objects.keys()].some((key) => /^leases\/snapshot-.*\/0000000081$/.test(key))).toBe(true)
  })

  test.each([
    'lost',
    'applied',
    'refused',
  ] as const)('and forget, when every call from any one on is %s, leave all that is kept whole, and the next run carries on', async (outcome) => {
    const prepared = await grown()
    const clean = await again(prepared)
    const counting = new FaultyStore(copyOf(prepared.store))
    await forgetAndPrune(prepared, counting)
    const calls = counting.calls.length
    const step = Math.ceil(calls / 9)
    for (let call = 1 + ['lost', 'applied', 'refused'].indexOf(outcome); call <= calls; call += step) {
      const sim = await again(prepared)
      const faulty = new FaultyStore(sim.store, [{ call, outcome, onward: true }])
      await expect(forgetAndPrune(sim, faulty)).rejects.toMatchObject({ name: 'Failure' })
      await sim.assertAllRead()
      expect(await errorsOf(sim), `after call ${call}, ${JSON.stringify(counting.calls[call - 1])}`).toEqual([])
      // A claim of the one that died is waited for by the clock, two hours later.
      sim.nowMs += 2 * HOUR_MS
      await forgetAndPrune(sim, sim.store)
      await settle(sim)
      expect(await sim.assertAllRead()).toBe(2)
      expect(await errorsOf(sim)).toEqual([])
    }
    await forgetAndPrune(clean, clean.store)
    await settle(clean)
    expect(await clean.assertAllRead()).toBe(2)
  }, 60_000)

  test('after a forget that died at any of its writes has nothing to miss: what went was said before (F16)', async () => {
    const prepared = await RetentionSim.make()
    for (let count = 0; count < 4; count += 1) await prepared.backUp()
    const counting = new FaultyStore(copyOf(prepared.store))
    await prepared.forget(LAST_TWO, counting)
    const writes = counting.calls.flatMap(({ method }, index) => (/put|delete/.test(method) ? [index + 1] : []))
    expect(writes.length).toBeGreaterThan(5)
    for (const call of writes) {
      const sim = await again(prepared)
      await sim.forget(LAST_TWO, new FaultyStore(sim.store, [{ call, outcome: 'lost', onward: true }])).catch(() => {})
      expect(await errorsOf(sim), `${JSON.stringify(counting.calls[call - 1])}`).toEqual([])
      sim.nowMs += 2 * HOUR_MS
      await sim.forget(LAST_TWO)
      expect(await sim.assertAllRead()).toBe(2)
    }
  })

  test('deletes nothing that is kept, whichever of its listings ends early without a word (F17)', async () => {
    const prepared = await grown()
    const counting = new FaultyStore(copyOf(prepared.store))
    await forgetAndPrune(prepared, counting)
    const listings = counting.calls.flatMap(({ method }, index) => (method === 'list' ? [index + 1] : []))
    const codes = new Set<string>()
    for (const call of listings) {
      for (const outcome of ['partial-listing', 'broken-listing'] as const) {
        const sim = await again(prepared)
        const faulty = new FaultyStore(sim.store, [{ call, outcome }])
        await forgetAndPrune(sim, faulty).catch((error) => codes.add(error.code))
        faulty.assertAllFired()
        expect(await sim.assertAllRead()).toBeGreaterThanOrEqual(2)
        expect(await errorsOf(sim), `${outcome} at ${call}, ${counting.calls[call - 1]?.key}`).toEqual([])
      }
    }
    expect([...codes]).toContain('store-lied')
  }, 60_000)

  test('goes on though the last backup of each of two sources died behind its manifest', async () => {
    const sim = await RetentionSim.make()
    for (const sourceName of ['icu', 'er']) await sim.backUp({ sourceName })
    for (const sourceName of ['icu', 'er']) {
      const counting = new FaultyStore(copyOf(sim.store))
      await (await again(sim)).backUp({ store: counting, sourceName })
      const call =
        1 + counting.calls.findIndex(({ method, key }) => /put/.test(method) && key.startsWith(LEDGER_ENTRY_PREFIX))
      const dying = new FaultyStore(sim.store, [{ call, outcome: 'lost', onward: true }])
      await expect(sim.backUp({ store: dying, sourceName })).rejects.toMatchObject({ name: 'Failure' })
      sim.nowMs += 2 * HOUR_MS
    }
    expect((await takeSurvey(sim.repository, signal)).manifests).toHaveLength(4)
    expect((await sim.repository.ledger.read()).entries).toHaveLength(2)

    await expect(sim.prune(LAST_TWO)).resolves.toMatchObject({ removes: [] })
  })

  test('refuses when a listing leaves out a manifest that the ledger knows and nobody forgot (F17)', async () => {
    const sim = await grown()
    const [kept] = (await sim.repository.snapshotIds()).slice(-1)
    const hiding = new Hiding(sim.store, `manifests/${kept}`)
    await expect(sim.prune(LAST_TWO, hiding)).rejects.toMatchObject({ code: 'store-lied' })
    await expect(sim.forget(LAST_TWO, hiding)).rejects.toMatchObject({ code: 'store-lied' })
    expect(await sim.assertAllRead()).toBe(3)
  })

  test('refuses when a listing leaves out a pack that is needed, or a record of the audit (F17)', async () => {
    const sim = await grown()
    const audit = () => [...sim.store.objects.keys()].filter((key) => key.startsWith('audit/')).sort()
    const last = new Hiding(sim.store, audit().at(-1)!)
    await expect(sim.forget(LAST_TWO, last)).rejects.toMatchObject({ code: 'store-lied' })
    const needed = (await planOfPrune(sim.pruneRequest(LAST_TWO))).stays[0]!.object
    await expect(sim.prune(LAST_TWO, new Hiding(sim.store, needed))).rejects.toMatchObject({ code: 'store-lied' })
    expect(await sim.assertAllRead()).toBe(3)
  })

  test('refuses when something else deletes: a lifecycle rule took a manifest, an index, or a pack that is needed (F16)', async () => {
    const sim = await grown()
    const [kept] = await sim.repository.snapshotIds()
    const pack = (await planOfPrune(sim.pruneRequest(LAST_TWO))).stays[0]!.object
    for (const name of [`manifests/${kept}`, `indexes/${kept}`, pack]) {
      const bytes = sim.store.objects.get(name)!
      sim.store.objects.delete(name)
      await expectNothingGoes(sim, 'repository-damaged')
      sim.store.objects.set(name, bytes)
    }
    expect((await sim.prune(LAST_TWO)).removes.length).toBeGreaterThan(0)
  })

  test('refuses when a manifest cannot be read, which forget leaves where it is', async () => {
    const sim = await grown()
    const [, damaged] = await sim.repository.snapshotIds()
    flip(sim, `manifests/${damaged}`, 60)
    await expectNothingGoes(sim, 'repository-damaged')
    expect((await sim.forget(rulesOf({ last: 1 }))).unreadable).toEqual([damaged])
    expect(await sim.repository.snapshotIds()).toContain(damaged)
    await expectNothingGoes(sim, 'repository-damaged')
  })

  test('refuses when an inner node that is needed cannot be read: what hangs on it is not known', async () => {
    const sim = await grown()
    const [id] = (await sim.repository.snapshotIds()).slice(-1)
    const { pack, offset } = (await sim.repository.readManifest(id!)).manifest.tables[0]!.rows
    flip(sim, packKey(pack), offset + 20)
    await expectNothingGoes(sim, 'repository-damaged')
  })

  test('leaves a damaged leaf as it is: scrub is as red behind it as before it (F3)', async () => {
    const sim = await grown()
    const plan = await planOfPrune(sim.pruneRequest(LAST_TWO))
    const shared = plan.stays.find(({ deadBytes }) => deadBytes > 0)!.object
    // The first chunk of a pack of leaves: of an old snapshot, and still needed.
    flip(sim, shared, 40)
    const before = Buffer.from(sim.store.objects.get(shared)!)
    const red = await scrubbed(sim)
    await sim.prune(LAST_TWO)
    sim.nowMs += DAY_MS
    await sim.prune(LAST_TWO)
    expect(Buffer.compare(before, sim.store.objects.get(shared)!)).toBe(0)
    expect(red.length).toBeGreaterThan(0)
    expect(await scrubbed(sim)).toEqual(red)
  })

  test('refuses when the clock stands before what was recorded, far behind the last snapshot, or where the database says another time (F28)', async () => {
    const sim = await grown()
    const nowMs = sim.nowMs
    for (const jumpMs of [-3 * HOUR_MS, 30 * DAY_MS, 4 * DAY_MS]) {
      sim.nowMs = nowMs + jumpMs
      await expectNothingGoes(sim, 'clock-doubtful')
      await expect(sim.forget(LAST_TWO)).rejects.toMatchObject({ code: 'clock-doubtful' })
    }
    sim.nowMs = nowMs
    sim.databaseSkewMs = -2 * DAY_MS
    await sim.backUp()
    await expectNothingGoes(sim, 'clock-doubtful')
    sim.databaseSkewMs = 10_000
    await sim.backUp()
    expect((await sim.prune(LAST_TWO)).removes.length).toBeGreaterThan(0)
  })

  test('deletes nothing beside a restore that runs, and takes up where it was once that has ended (I7, F16)', async () => {
    const sim = await RetentionSim.make()
    for (let count = 0; count < 4; count += 1) await sim.backUp()
    const [oldest] = await sim.repository.snapshotIds()
    const reading = await announceReading(sim.repository, { holder: 'a restore', nowMs: () => sim.nowMs })
    const name = [...sim.store.objects.keys()].find((key) => key.startsWith('leases/read-'))!.split('/')[1]!
    await sim.forget(LAST_TWO)
    expect(await sim.repository.snapshotIds()).not.toContain(oldest)
    await sim.prune(LAST_TWO, renewing(sim, name))
    sim.nowMs += 2 * DAY_MS
    await sim.backUp()
    const beside = await sim.prune(LAST_TWO, renewing(sim, name))
    expect(beside.readers).toMatchObject([{ holder: 'a restore' }])
    expect(beside.removes.filter(({ kind }) => kind !== 'claim')).toEqual([])
    await reading[Symbol.asyncDispose]()
    const after = await sim.prune(LAST_TWO)
    expect(after.readers).toEqual([])
    expect(after.removes.some(({ kind }) => kind === 'pack')).toBe(true)
  })

  test('believes no clock that a reader is dead: his claim is watched for as long as it lives', async () => {
    const sim = await grown()
    await acquireLease(sim.repository, { name: 'read-1', holder: 'died', leaseMs: 60_000, nowMs: () => sim.nowMs })
    expect((await sim.prune(LAST_TWO)).removes.some(({ kind }) => kind === 'pack')).toBe(true)
    expect(sim.sleptMs).toBeGreaterThanOrEqual(60_000)
    expect([...sim.store.objects.keys()].filter((key) => key.startsWith('leases/read-1/'))).toEqual([])
  })

  test('marks nothing that a backup which runs may be writing, nor deletes beside it', async () => {
    const sim = await grown()
    const name = leaseName(sim.repository.id, 'snapshot', 'icu')
    sim.store.objects.set(packKey('ab'.repeat(16)), Buffer.from('a pack that is being written'))
    await acquireLease(sim.repository, { name, holder: 'a backup', leaseMs: 60_000, nowMs: () => sim.nowMs })
    const plan = await sim.prune(LAST_TWO, renewing(sim, name))
    expect(plan.removes.filter(({ kind }) => kind === 'pack')).toEqual([])
    expect(plan.marks).toEqual([])
    expect(plan.stays.map(({ why }) => why)).toContain('a backup is under way, which may be writing it')
  })

  test('never touches an orphan that is younger than the grace, and lets no backup take up one that is marked', async () => {
    const sim = await RetentionSim.make()
    const before = new Set(packs(sim))
    const counting = new FaultyStore(copyOf(sim.store))
    await sim.backUp({ store: counting })
    const index = counting.calls.findIndex(({ method, key }) => method === 'put' && key.startsWith('indexes/')) + 1
    sim.nowMs -= HOUR_MS
    await expect(
      sim.backUp({ store: new FaultyStore(sim.store, [{ call: index, outcome: 'full', onward: true }]) }),
    ).rejects.toThrow()
    const orphans = packs(sim).filter((name) => !before.has(name))
    expect(orphans.length).toBeGreaterThan(0)
    sim.nowMs += 2 * HOUR_MS
    const marked = await sim.prune(LAST_TWO)
    expect(marked.marks.map(({ object, why }) => [object, why])).toEqual(
      orphans.map((name) => [name, 'of a backup that was cut off']),
    )
    expect(packs(sim)).toEqual(orphans)
    await sim.backUp()
    expect(packs(sim).length).toBeGreaterThan(orphans.length)
    sim.nowMs += DAY_MS
    const { removes } = await sim.prune(LAST_TWO)
    expect(removes.filter(({ kind }) => kind === 'pack').map(({ object }) => object)).toEqual(orphans)
    expect(await sim.assertAllRead()).toBe(1)
  })

  test('lets a mark go of what is needed again: a manifest that was brought back from a copy', async () => {
    const sim = await RetentionSim.make()
    for (let count = 0; count < 4; count += 1) await sim.backUp()
    const [oldest] = await sim.repository.snapshotIds()
    const manifest = sim.store.objects.get(`manifests/${oldest}`)!
    await sim.forget(LAST_TWO)
    await sim.prune(LAST_TWO)
    sim.store.objects.set(`manifests/${oldest}`, manifest)
    sim.nowMs += DAY_MS - HOUR_MS
    expect((await sim.prune(LAST_TWO)).stays.some(({ why }) => why === `snapshot ${oldest} needs it`)).toBe(true)
    sim.store.objects.delete(`manifests/${oldest}`)
    sim.nowMs += HOUR_MS
    const needed = (await sim.prune(LAST_TWO)).marks
    expect(needed.length).toBeGreaterThan(0)
    expect(packs(sim)).toEqual(expect.arrayContaining(needed.map(({ object }) => object)))
  })
})

async function forgetAndPrune(sim: RetentionSim, store: RetentionSim['store'] | FaultyStore): Promise<void> {
  await sim.forget(LAST_TWO, store)
  await sim.prune(LAST_TWO, store)
}

/** Until nothing is left to be done. */
async function settle(sim: RetentionSim): Promise<void> {
  sim.nowMs += 25 * HOUR_MS
  await sim.prune(LAST_TWO)
  const { marks, waits } = await planOfPrune(sim.pruneRequest(LAST_TWO))
  expect([...marks, ...waits]).toEqual([])
}

async function again(sim: RetentionSim): Promise<RetentionSim> {
  return await RetentionSim.of(sim, copyOf(sim.store))
}

async function scrubbed(sim: RetentionSim): Promise<string[]> {
  const { findings, proof } = await scrubRepository({
    repository: sim.repository,
    signal,
    nowMs: () => sim.nowMs,
    random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
    lanes: 1,
    scrubPack: (from, task) => scrubPack(from.store, task),
  })
  if (proof) await sim.store.delete(proof)
  return findings.filter(({ severity }) => severity === 'error').map(({ kind, object }) => `${kind} ${object}`)
}

function flip(sim: RetentionSim, name: string, at: number): void {
  const bytes = Uint8Array.from(sim.store.objects.get(name)!)
  bytes[at]! ^= 1
  sim.store.objects.set(name, bytes)
}

/** A store whose listings leave out one object. */
class Hiding extends FaultyStore {
  readonly #name: string

  constructor(inner: RetentionSim['store'], name: string) {
    super(inner)
    this.#name = name
  }

  override async *list(prefix: string) {
    for await (const object of super.list(prefix)) if (object.key !== this.#name) yield object
  }
}

/** A store on which the holder of a lease renews it each time that somebody looks for his next claim. */
function renewing(sim: RetentionSim, name: string): FaultyStore {
  return new (class extends FaultyStore {
    override async *list(prefix: string) {
      if (prefix === `leases/${name}/`) await renew(sim, name)
      yield* super.list(prefix)
    }
  })(sim.store)
}

async function renew(sim: RetentionSim, name: string): Promise<void> {
  const claims = [...sim.store.objects.keys()].filter((key) => key.startsWith(`leases/${name}/`)).sort()
  const { token, ...claim } = JSON.parse(Buffer.from(await sim.repository.sealed.read(claims.at(-1)!, 12)).toString())
  const next = { ...claim, token: token + 1 }
  const sorted = Object.fromEntries(Object.entries(next).sort(([a], [b]) => (a < b ? -1 : 1)))
  await sim.repository.sealed.write(
    `leases/${name}/${String(token + 1).padStart(10, '0')}`,
    12,
    Buffer.from(JSON.stringify(sorted)),
  )
}
