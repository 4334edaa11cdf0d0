/** Capture as a whole: kills at every step, outages, leases, and the database that comes first. Over a fake database. */
import { describe, expect, it } from 'vitest'
import { type CaptureRequest, capture } from '../../../src/backup/capture/capture.ts'
import type { CaptureEvent } from '../../../src/backup/capture/events.ts'
import { slotName } from '../../../src/backup/capture/slot-name.ts'
import { Failure } from '../../../src/errors.ts'
import { listLogs } from '../../../src/repository/change-log/log-start.ts'
import type { Store } from '../../../src/repository/store/contract.ts'
import { CaptureRig, FAST, until } from '../../support/capture-rig.ts'
import { makeSimRepository } from '../../support/sim-repository.ts'

interface Running {
  readonly events: CaptureEvent[]
  readonly ended: Promise<void>
  stop(): Promise<void>
  saw(kind: CaptureEvent['kind']): Promise<void>
}

function startCapture(rig: CaptureRig, options: { readonly store?: Store } = {}): Running {
  const events: CaptureEvent[] = []
  const stop = new AbortController()
  const { store } = options
  const request: CaptureRequest = {
    ...rig.request({ ...(store && { store }), onEvent: (event) => events.push(event) }),
    holder: 'a test',
    signal: stop.signal,
  }
  const ended = capture(request)
  ended.catch(() => {})
  return {
    events,
    ended,
    stop: async () => {
      stop.abort(new Failure('cancelled', 'stopped by the test'))
      await ended
    },
    saw: async (kind) => await until(() => events.some((event) => event.kind === kind)),
  }
}

/** The store of a process that is killed at its n-th put of a segment: nothing gets through after it. */
function dyingStore(store: Store, at: number, applied: boolean, onDeath: () => void): Store {
  let puts = 0
  let isDead = false
  const dead = () => new Failure('store-unreachable', 'the process is dead')
  const die = async (put: () => Promise<void>) => {
    if (applied) await put()
    isDead = true
    onDeath()
    throw dead()
  }
  return new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        if (isDead) throw dead()
        if (name !== 'put' || !String(args[0]).startsWith('segments/')) return value.apply(target, args)
        puts += 1
        return puts === at ? die(() => value.apply(target, args)) : value.apply(target, args)
      }
    },
  })
}

describe('capture that is killed', () => {
  it.each([
    { applied: false, when: 'before a segment is stored' },
    { applied: true, when: 'when it is stored and not yet confirmed' },
  ])('$when loses nothing, and keeps nothing twice (F12)', async ({ applied }) => {
    for (let at = 1; at <= 6; at += 1) {
      const rig = await CaptureRig.make()
      rig.settings = { ...FAST, sealMs: 1 }
      const death = Promise.withResolvers<void>()
      const first = rig.start({ store: dyingStore(rig.simulated.store, at, applied, death.resolve) })
      await until(() => first.events.some(({ kind }) => kind === 'connected'))
      const lines: string[] = []
      for (let n = 0; n < 12; n += 1) {
        lines.push(`D${n}`)
        rig.database.insert('public.drug', `D${n}`)
        if (n % 2 === 1) await Promise.race([rig.settled(rig.database.lsn), death.promise])
      }
      await death.promise
      await first.kill()

      const second = rig.start()
      await rig.settled(rig.database.insert('public.drug', 'last'))
      await second.stop()

      expect(await rig.loggedLines(), `killed at put ${at}`).toEqual([...lines, 'last'])
      expect((await listLogs(rig.repository(), 'icu')).logs).toHaveLength(1)
    }
  })

  it('after a confirmation that the server did not keep goes on all the same', async () => {
    const rig = await CaptureRig.make()
    const first = rig.start()
    await until(() => first.events.some(({ kind }) => kind === 'connected'))
    const early = rig.database.slots.get(rig.slot)!.confirmed
    for (let n = 0; n < 5; n += 1) await rig.settled(rig.database.insert('public.drug', `D${n}`))
    await first.kill()
    rig.database.slots.get(rig.slot)!.confirmed = early

    const second = rig.start()
    await rig.settled(rig.database.insert('public.drug', 'D5'))
    await second.stop()

    expect(await rig.loggedLines()).toEqual(['D0', 'D1', 'D2', 'D3', 'D4', 'D5'])
  })
})

describe('capture', () => {
  it('waits out a database that is down, and a store that is', async () => {
    const rig = await CaptureRig.make()
    let storeIsDown = false
    const store = new Proxy(rig.simulated.store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          if (storeIsDown) throw new Failure('store-unreachable', 'the store is down')
          return value.apply(target, args)
        }
      },
    })
    rig.database.isDown = true
    const running = startCapture(rig, { store })
    await running.saw('pausing')
    rig.database.isDown = false
    await running.saw('connected')
    await rig.settled(rig.database.insert('public.drug', 'D1'))
    storeIsDown = true
    rig.database.insert('public.drug', 'D2')
    await until(() => running.events.some((event) => event.kind === 'pausing' && event.code === 'store-unreachable'))
    storeIsDown = false

    await rig.settled(rig.database.lsn)
    await running.stop()

    expect(await rig.loggedLines()).toEqual(['D1', 'D2'])
    expect((await listLogs(rig.repository(), 'icu')).logs).toHaveLength(1)
    expect(running.events.at(-1)?.kind).toBe('stopped')
  })

  it('begins a new log, and says why, when the slot is dropped under it (F10)', async () => {
    const rig = await CaptureRig.make()
    const running = startCapture(rig)
    await running.saw('connected')
    await rig.settled(rig.database.insert('public.drug', 'D1'))
    rig.database.onDeliver = () => {
      rig.database.onDeliver = () => {}
      rig.database.slots.clear()
      throw new Failure('source-unreachable', 'the connection broke')
    }
    rig.database.insert('public.drug', 'D2')

    await until(() => running.events.filter(({ kind }) => kind === 'log-begun').length === 2)
    await running.stop()

    const { logs } = await listLogs(rig.repository(), 'icu')
    expect(logs).toHaveLength(2)
    expect(logs[1]!.previousLog).toMatchObject({ logId: logs[0]!.logId })
    expect(logs[1]!.previousLog!.end).toBeLessThan(logs[1]!.startLsn)
  })

  it('begins a new log when what is sent again is not what it kept (P5)', async () => {
    const rig = await CaptureRig.make()
    const first = startCapture(rig)
    await first.saw('connected')
    await rig.settled(rig.database.insert('public.drug', 'D1'))
    const copy = rig.database.clone()
    await rig.settled(rig.database.insert('public.drug', 'D2'))
    await first.stop()
    copy.insert('public.drug', 'another D2')
    copy.insert('public.drug', 'another D3')
    rig.database = copy

    const second = startCapture(rig)
    await second.saw('log-begun')
    await second.stop()

    const { logs } = await listLogs(rig.repository(), 'icu')
    expect(logs[1]!.previousLog!.reason).toContain('other changes than our log')
  })

  it('gives the slot up when the database keeps too much for it, and declares the gap (P12)', async () => {
    const rig = await CaptureRig.make()
    rig.settings = { ...FAST, slotBytesMax: 1_000_000 }
    const down = { is: false }
    const store = new Proxy(rig.simulated.store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          if (down.is) throw new Failure('store-unreachable', 'the store is down')
          return value.apply(target, args)
        }
      },
    })
    const running = startCapture(rig, { store })
    await running.saw('connected')
    await rig.settled(rig.database.insert('public.drug', 'D1'))
    down.is = true
    rig.database.insert('public.drug', 'D2')
    rig.database.advance(2_000_000n)

    await running.saw('slot-dropped')
    expect(rig.database.slots.size).toBe(0)
    await until(() => running.events.filter(({ kind }) => kind === 'pausing').length > 2)
    expect(rig.database.slots.size).toBe(0)
    down.is = false
    await until(() => running.events.filter(({ kind }) => kind === 'log-begun').length === 2)
    await running.stop()

    expect((await listLogs(rig.repository(), 'icu')).logs[1]!.previousLog!.reason).toContain('given up by us')
  })

  it('raises an alarm when the database keeps half of what it may', async () => {
    const rig = await CaptureRig.make()
    rig.database.limitBytes = 1_000_000n
    rig.settings = { ...FAST, sealMs: 60_000, progressMs: 60_000 }
    const running = startCapture(rig)
    await running.saw('connected')
    rig.database.advance(600_000n)

    await running.saw('slot-alarm')

    await running.stop()
    expect(running.events.find(({ kind }) => kind === 'slot-alarm')).toMatchObject({ limitBytes: 1_000_000 })
  })

  it('runs once for a source: the second is refused while the first renews its lease (F18)', async () => {
    const rig = await CaptureRig.make()
    rig.settings = { ...FAST, leaseMs: 400 }
    const first = startCapture(rig)
    await first.saw('connected')

    await expect(startCapture(rig).ended).rejects.toMatchObject({ code: 'lease-held' })

    await rig.settled(rig.database.insert('public.drug', 'D1'))
    await first.stop()
    const third = startCapture(rig)
    await third.saw('connected')
    await third.stop()
  })

  it('says at once what nobody but a person can mend', async () => {
    const rig = await CaptureRig.make()
    const source = rig.database.source()
    const request = {
      ...rig.request(),
      openSource: async () => ({ ...source, changes: null }),
      holder: 'a test',
      signal: new AbortController().signal,
    }

    await expect(capture(request)).rejects.toMatchObject({ code: 'cannot-capture' })
  })
})

describe('the slot of a source', () => {
  it('has a name that fits, whatever the source is called', async () => {
    const { store, over } = await makeSimRepository()
    const { id } = over(store)
    const names = ['icu', 'ICU', 'a-b', 'a_b', 'x'.repeat(40)].map((source) => slotName(id, source))

    for (const name of names) expect(name).toMatch(/^[a-z0-9_]{1,63}$/)
    expect(new Set(names).size).toBe(names.length)
    expect(slotName(id, 'icu')).not.toBe(slotName(`${id}x`, 'icu'))
  })
})
