/**
 * One writer at a time: whoever else asks, however slowly the store answers, whatever the clocks say, and also where the
 * store ignores the condition of a put (F18).
 */
import { describe, expect, test } from 'vitest'
import { Failure } from '../../src/errors.ts'
import { acquireLease, type Lease, leaseHolder, leaseName } from '../../src/repository/lease.ts'
import type { Processes, ProcessMark } from '../../src/repository/process-mark.ts'
import type { Repository } from '../../src/repository/repository.ts'
import type { StoreCapabilities } from '../../src/repository/store/contract.ts'
import { FaultyStore, type StoreFault } from '../support/faulty-store.ts'
import { memoryRepository } from '../support/forge.ts'
import type { MemoryStore } from '../support/memory-store.ts'
import { overStore } from '../support/over-store.ts'

const HOUR_MS = 60 * 60 * 1000
const LEASE_MS = 30_000

/** One true time, of which each process has its own clock. */
class Time {
  nowMs = Date.UTC(2026, 0, 1)
  readonly #sleepers: { readonly untilMs: number; readonly wake: () => void }[] = []

  clock(skewMs = 0): () => number {
    return () => this.nowMs + skewMs
  }

  sleep = async (ms: number): Promise<void> => {
    await new Promise<void>((wake) => this.#sleepers.push({ untilMs: this.nowMs + ms, wake }))
  }

  /** Lets time pass, waking whoever sleeps in the order in which they wake. */
  async pass(ms: number): Promise<void> {
    const end = this.nowMs + ms
    for (;;) {
      await settle()
      this.#sleepers.sort((a, b) => a.untilMs - b.untilMs)
      const next = this.#sleepers[0]
      if (!next || next.untilMs > end) break
      this.#sleepers.shift()
      this.nowMs = Math.max(this.nowMs, next.untilMs)
      next.wake()
    }
    this.nowMs = end
    await settle()
  }
}

/** Everything that needs no time is done. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

interface Bench {
  readonly time: Time
  readonly repository: Repository
  readonly store: MemoryStore
}

async function bench(): Promise<Bench> {
  const { repository, store } = await memoryRepository()
  return { time: new Time(), repository, store }
}

interface Asking {
  readonly skewMs?: number
  readonly waitMs?: number
  readonly processes?: Processes
}

function asking({ time, repository }: Bench, holder: string, options: Asking = {}) {
  const { skewMs = 0, waitMs = 0, processes } = options
  const request = { name: 'capture-1', holder, leaseMs: LEASE_MS, waitMs, nowMs: time.clock(skewMs), sleep: time.sleep }
  return acquireLease(repository, { ...request, processes: processes ?? { own: null, isGone: () => false } })
}

/** How it ended so far: the lease, the failure's code, or that it waits. */
function outcome(work: Promise<Lease>): { now: Lease | string } {
  const seen: { now: Lease | string } = { now: 'waiting' }
  work.then(
    (lease) => {
      seen.now = lease
    },
    (error) => {
      seen.now = error.code ?? String(error)
    },
  )
  return seen
}

describe('a lease', () => {
  test('is given at once when nobody ever held it, or it was released', async () => {
    const on = await bench()
    const first = await asking(on, 'a')
    expect(first.token).toBe(0)
    await first.renew()
    expect(first.token).toBe(1)
    await first.release()

    const second = await asking(on, 'b')
    expect(second.token).toBe(3)
    expect(() => first.assertHeld()).toThrow('released')
    expect(await leaseHolder(on.repository, 'capture-1', on.time.nowMs)).toMatchObject({ holder: 'b' })
  })

  test('of a holder that lives is refused as soon as that is seen, and no sooner', async () => {
    const on = await bench()
    const first = await asking(on, 'a')
    const second = outcome(asking(on, 'b'))
    await on.time.pass(9_000)
    expect(second.now).toBe('waiting')
    await first.renew()
    await on.time.pass(3_000)
    expect(second.now).toBe('lease-held')
  })

  test('is waited for when that was asked, and taken when it is released', async () => {
    const on = await bench()
    const first = await asking(on, 'a')
    const second = outcome(asking(on, 'b', { waitMs: 10 * 60_000 }))
    for (let round = 0; round < 8; round += 1) {
      await on.time.pass(10_000)
      await first.renew()
    }
    expect(second.now).toBe('waiting')
    await first.release()
    await on.time.pass(3_000)
    expect(second.now).toMatchObject({ token: 10 })
  })

  test.each([
    -HOUR_MS,
    0,
    HOUR_MS,
  ])('of a holder that died is taken after its life was watched, with clocks %s ms apart (F28)', async (skewMs) => {
    const on = await bench()
    const first = await asking(on, 'a')
    const second = outcome(asking(on, 'b', { skewMs }))
    await on.time.pass(LEASE_MS - 1_000)
    expect(second.now).toBe('waiting')
    expect(() => first.assertHeld()).not.toThrow()
    await on.time.pass(4_000)
    expect(second.now).toMatchObject({ token: 1 })
    expect(() => first.assertHeld()).toThrow('was not renewed')
    await expect(first.renew()).rejects.toMatchObject({ code: 'lease-lost' })
  })

  test('of a holder that died long ago is taken at once', async () => {
    const on = await bench()
    await asking(on, 'a')
    on.time.nowMs += 2 * HOUR_MS
    expect((await asking(on, 'b')).token).toBe(1)
  })

  test('of a process of this machine that is gone is taken after two seconds, and not of one that lives or is elsewhere', async () => {
    const mark = { machine: 'here', pid: 1, start: '5' }
    for (const [gone, firstMachine, takenAfterMs] of [
      [true, 'here', 2_000],
      [false, 'here', LEASE_MS],
      [true, 'elsewhere', LEASE_MS],
    ] as const) {
      const place = await bench()
      const isGone = ({ machine }: ProcessMark) => gone && machine === 'here'
      await asking(place, 'first', { processes: { own: { ...mark, machine: firstMachine }, isGone } })
      const second = outcome(asking(place, 'second', { processes: { own: { ...mark, pid: 2 }, isGone } }))

      await place.time.pass(takenAfterMs - 200)
      expect(second.now).toBe('waiting')
      await place.time.pass(4_000)
      expect(second.now).toMatchObject({ token: 1 })
    }
  })

  test('that several ask for at once is given to one', async () => {
    const on = await bench()
    const many = Array.from({ length: 8 }, (_, index) => outcome(asking(on, `p${index}`)))
    await on.time.pass(10_000)
    expect(many.filter(({ now }) => typeof now === 'object')).toHaveLength(1)
  })

  test('does not count on a clock that was set back', async () => {
    const on = await bench()
    const lease = await asking(on, 'a')
    on.time.nowMs -= HOUR_MS
    expect(() => lease.assertHeld()).toThrow('was not renewed')
  })

  test('counts from before a renewal that hung, not from its answer (F18)', async () => {
    const on = await bench()
    const faults: StoreFault[] = []
    const slow = new FaultyStore(on.store, faults)
    const first = await asking({ ...on, repository: overStore(on.repository, slow) }, 'a')
    await on.time.pass(10_000)
    faults.push({ call: slow.calls.length + 1, outcome: 'slow' })
    const renewal = first.renew().catch((error) => error.code)
    const second = outcome(asking(on, 'b'))

    await on.time.pass(LEASE_MS - 15_000)
    slow.release()
    await settle()
    // The claim arrived, and b has seen it: neither of them may believe that b has the lease.
    expect(() => first.assertHeld()).not.toThrow()
    await on.time.pass(16_000)
    expect(() => first.assertHeld()).toThrow('was not renewed')
    expect(await renewal).toBeUndefined()
    expect(second.now).toBe('lease-held')
    slow.assertAllFired()
  })

  test('that was renewed too late, by a put that hung, is lost to whoever took it (F18)', async () => {
    const on = await bench()
    const faults: StoreFault[] = []
    const slow = new FaultyStore(on.store, faults)
    const first = await asking({ ...on, repository: overStore(on.repository, slow) }, 'a')
    faults.push({ call: slow.calls.length + 1, outcome: 'slow' })
    const renewal = first.renew().catch((error) => error.code)
    const second = outcome(asking(on, 'b'))
    await on.time.pass(LEASE_MS + 4_000)
    expect(second.now).toMatchObject({ token: 1 })
    expect(() => first.assertHeld()).toThrow('was not renewed')

    slow.release()
    expect(await renewal).toBe('lease-lost')
    expect(() => (second.now as Lease).assertHeld()).not.toThrow()
  })

  test.each(['lost', 'applied'] as const)('survives a renewal whose answer was %s', async (kind) => {
    const on = await bench()
    const faults: StoreFault[] = []
    const faulty = new FaultyStore(on.store, faults)
    const lease = await asking({ ...on, repository: overStore(on.repository, faulty) }, 'a')
    faults.push({ call: faulty.calls.length + 1, outcome: kind })

    await expect(lease.renew()).rejects.toMatchObject({ code: 'store-unreachable' })
    expect(() => lease.assertHeld()).not.toThrow()
    await lease.renew()
    expect(lease.token).toBe(1)
    faulty.assertAllFired()
  })

  test('is seen to be renewed although a listing leaves the newest claim out (F17)', async () => {
    const on = await bench()
    const first = await asking(on, 'a')
    await first.renew()
    const stale = new FaultyStore(on.store, [{ call: 1, outcome: 'partial-listing', onward: true }])
    const second = outcome(asking({ ...on, repository: overStore(on.repository, stale) }, 'b'))
    await on.time.pass(5_000)
    await first.renew()
    await on.time.pass(5_000)
    expect(second.now).toBe('lease-held')
  })

  test('keeps few claims, and never the number of one twice', async () => {
    const on = await bench()
    const lease = await asking(on, 'a')
    for (let round = 0; round < 100; round += 1) {
      on.time.nowMs += 10_000
      await lease.renew()
    }
    expect([...on.store.objects.keys()].filter((key) => key.startsWith('leases/'))).toHaveLength(65)
    expect(lease.token).toBe(100)
  })

  test('is named without its source', () => {
    const name = leaseName('9f2c6a41d07b', 'capture', '监护')
    expect(name).toMatch(/^capture-[0-9a-f]{16}$/)
    expect(leaseName('9f2c6a41d07b', 'capture', 'icu')).not.toBe(name)
  })
})

/** A bucket that ignores the condition: looks first, and then overwrites; in between, others do the same. */
class HeedlessStore extends FaultyStore {
  readonly #memory: MemoryStore
  readonly #time: Time
  readonly #putMs: number

  constructor(memory: MemoryStore, time: Time, putMs: number) {
    super(memory)
    this.#memory = memory
    this.#time = time
    this.#putMs = putMs
  }

  override get capabilities(): StoreCapabilities {
    return { conditionalPut: false, durability: 'none' }
  }

  override async put(key: string, bytes: Uint8Array): Promise<void> {
    if (this.#memory.objects.has(key)) throw new Failure('object-exists', `object ${key} is there`)
    await this.#time.sleep(this.#putMs)
    this.#memory.objects.set(key, Uint8Array.from(bytes))
  }
}

describe('a lease in a store that ignores the condition of a put (F18)', () => {
  test.each([0, 100, 700])('is given to one of many that ask at once, %s ms apart in the store', async (putMs) => {
    const on = await bench()
    const many = Array.from({ length: 6 }, (_, index) => {
      const store = new HeedlessStore(on.store, on.time, index * putMs * 0.2)
      return outcome(asking({ ...on, repository: overStore(on.repository, store) }, `p${index}`))
    })
    await on.time.pass(12_000)
    expect(many.filter(({ now }) => typeof now === 'object')).toHaveLength(1)
  })

  test('that was overwritten by a put that hung is lost at the next renewal, at both', async () => {
    const on = await bench()
    const hung = new HeedlessStore(on.store, on.time, 20_000)
    const quick = new HeedlessStore(on.store, on.time, 10)
    const late = outcome(asking({ ...on, repository: overStore(on.repository, hung) }, 'late'))
    const early = outcome(asking({ ...on, repository: overStore(on.repository, quick) }, 'early'))
    await on.time.pass(5_000)
    expect(early.now).toMatchObject({ token: 0 })
    await on.time.pass(18_000)
    // Both put claim 0; the later one stands there.
    const renewal = (early.now as Lease).renew().catch((error) => error.code)
    await on.time.pass(1_000)
    expect(await renewal).toBe('lease-lost')
    expect(late.now).toMatchObject({ token: 0 })
  })
})
