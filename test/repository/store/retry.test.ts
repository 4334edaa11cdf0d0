/**
 * Trying again: what is repeated, what is not, and how a put of unknown outcome ends.
 *
 * The faulty store fails the planned call; waits are recorded and not waited. The last test is a sweep: it fails every
 * call of a short life of a repository, in every way a call can fail for a moment, and nobody must notice.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Failure } from '../../../src/errors.ts'
import { type RetryPolicy, realRetryPolicy, retryDelayMs, withRetries } from '../../../src/repository/store/retry.ts'
import { FaultyStore, type Outcome, type StoreFault } from '../../support/faulty-store.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { codeOf, keysOf } from './store-suite.ts'

const bytes = Uint8Array.from([1, 2, 3])

function failing(...faults: StoreFault[]) {
  const waits: number[] = []
  const memory = new MemoryStore()
  const faulty = new FaultyStore(memory, faults)
  const policy: RetryPolicy = {
    ...realRetryPolicy,
    attempts: 4,
    random: () => 0.5,
    sleep: async (ms) => void waits.push(ms),
  }
  return { waits, memory, faulty, store: withRetries(faulty, policy) }
}

const methodsOf = (faulty: FaultyStore) => faulty.calls.map((call) => call.method).join(' ')

describe('a put', () => {
  test('that was lost is looked for, and made again', async () => {
    const { store, faulty, memory, waits } = failing({ call: 1, outcome: 'lost' })

    await store.put('key', bytes)

    expect(methodsOf(faulty)).toBe('put stat put')
    expect(memory.objects.get('key')).toEqual(bytes)
    expect(waits.length).toBe(1)
    faulty.assertAllFired()
  })

  test('that was applied but not acknowledged is a success, and is not made twice', async () => {
    const { store, faulty, memory } = failing({ call: 1, outcome: 'applied' })

    await store.put('key', bytes)

    expect(methodsOf(faulty)).toBe('put stat get')
    expect(memory.objects.get('key')).toEqual(bytes)
    faulty.assertAllFired()
  })

  test('that was lost, while somebody else took the key, is told that it is taken', async () => {
    const { store, memory } = failing({ call: 1, outcome: 'lost' })
    memory.objects.set('key', Uint8Array.from([9, 9, 9]))

    expect(await codeOf(store.put('key', bytes))).toBe('object-exists')
    expect(memory.objects.get('key')).toEqual(Uint8Array.from([9, 9, 9]))
  })

  test('of a key that was taken before is refused at once, also for the same bytes', async () => {
    const { store, faulty, memory } = failing()
    memory.objects.set('key', bytes)

    expect(await codeOf(store.put('key', bytes))).toBe('object-exists')
    expect(methodsOf(faulty)).toBe('put')
  })

  test('that arrives late, between the look and the second put, is a success', async () => {
    const { store, faulty, memory } = failing({ call: 1, outcome: 'lost' }, { call: 3, outcome: 'slow' })

    const putting = store.put('key', bytes)
    while (faulty.calls.length < 3) await new Promise((resolve) => setImmediate(resolve))
    memory.objects.set('key', bytes)
    faulty.release()
    await putting

    expect(methodsOf(faulty)).toBe('put stat put stat get')
  })

  test('is looked for again when the look itself was lost', async () => {
    const { store, faulty, memory } = failing({ call: 1, outcome: 'applied' }, { call: 2, outcome: 'lost' })

    await store.put('key', bytes)

    expect(methodsOf(faulty)).toBe('put stat stat get')
    expect(memory.objects.size).toBe(1)
  })

  test('of which the store keeps other bytes than it confirmed is refused for good, and not called taken', async () => {
    const memory = new MemoryStore()
    memory.put = async (key) => {
      memory.objects.set(key, Uint8Array.from([7, 7, 7]))
      throw new Failure('store-lied', 'confirmed other bytes')
    }
    const store = withRetries(memory, { ...realRetryPolicy, sleep: async () => undefined })

    expect(await codeOf(store.put('key', bytes))).toBe('store-refused')
  })

  test.each(['full', 'refused'] as const)('that fails as %s is not tried again', async (outcome) => {
    const { store, faulty, waits } = failing({ call: 1, outcome })

    expect(await codeOf(store.put('key', bytes))).toBe(`store-${outcome}`)
    expect(methodsOf(faulty)).toBe('put')
    expect(waits).toEqual([])
  })
})

describe('reading and deleting', () => {
  test('go on after failures that pass, and give the last failure when they do not pass', async () => {
    const { store, memory } = failing({ call: 1, outcome: 'lost' }, { call: 3, outcome: 'lost', onward: true })
    memory.objects.set('key', bytes)

    expect(await store.get('key')).toEqual(bytes)
    for (const call of [store.get('key'), store.getRange('key', 0, 1), store.stat('key'), store.delete('key')]) {
      expect(await codeOf(call)).toBe('store-unreachable')
    }
    expect(await codeOf(keysOf(store, ''))).toBe('store-unreachable')
  })

  test('make as many attempts as the policy says, and wait between them only', async () => {
    const { store, faulty, waits } = failing({ call: 1, outcome: 'lost', onward: true })

    await codeOf(store.get('key'))

    expect(faulty.calls.length).toBe(4)
    expect(waits).toEqual([150, 300, 600])
  })

  test('do not try again what is missing: a missing object is an answer', async () => {
    const { store, faulty } = failing()

    expect(await codeOf(store.get('key'))).toBe('object-missing')
    expect(faulty.calls.length).toBe(1)
  })
})

describe('a listing', () => {
  test('that breaks goes on where it was, with every object once', async () => {
    const { store, memory } = failing({ call: 1, outcome: 'broken-listing' }, { call: 2, outcome: 'lost' })
    for (const key of ['1', '2', '3', '4', '5']) memory.objects.set(key, bytes)

    expect(await keysOf(store, '')).toEqual(['1', '2', '3', '4', '5'])
  })

  test('that breaks every time throws, and never ends early (F17)', async () => {
    const { store, memory, waits } = failing({ call: 1, outcome: 'broken-listing', onward: true })
    for (const key of ['1', '2', '3', '4', '5']) memory.objects.set(key, bytes)

    expect(await codeOf(keysOf(store, ''))).toBe('store-unreachable')
    expect(waits.length).toBe(3)
  })
})

test('waits double up to their limit, and spread over the upper half of each step', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 40 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (attempt, random) => {
        const waitMs = retryDelayMs({ ...realRetryPolicy, random: () => random }, attempt)
        const stepMs = Math.min(realRetryPolicy.maxDelayMs, realRetryPolicy.baseDelayMs * 2 ** attempt)
        expect(waitMs).toBeGreaterThanOrEqual(Math.floor(stepMs / 2))
        expect(waitMs).toBeLessThanOrEqual(stepMs)
      },
    ),
  )
})

describe('a short life of a store', () => {
  async function live(store: ReturnType<typeof failing>['store']) {
    await store.put('a', Uint8Array.from([1]))
    await store.put('b', Uint8Array.from([2]))
    const listed = await keysOf(store, '')
    const read = [...(await store.get('a')), ...(await store.getRange('b', 0, 1))]
    await store.delete('a')
    return { listed, read, left: await keysOf(store, ''), stat: await store.stat('b') }
  }

  test('goes unnoticed through any single failure that passes, at any call', async () => {
    const clean = failing()
    const expected = await live(clean.store)

    for (const outcome of ['lost', 'applied'] satisfies Outcome[]) {
      for (let call = 1; call <= clean.faulty.calls.length; call += 1) {
        const { store, faulty } = failing({ call, outcome })
        expect(await live(store)).toEqual(expected)
        faulty.assertAllFired()
      }
    }
  })

  test('that fails from any call on ends as unreachable, with nothing in part', async () => {
    const clean = failing()
    await live(clean.store)

    for (const outcome of ['lost', 'applied'] satisfies Outcome[]) {
      for (let call = 1; call <= clean.faulty.calls.length; call += 1) {
        const { store, memory } = failing({ call, outcome, onward: true })
        expect(await codeOf(live(store))).toBe('store-unreachable')
        for (const object of memory.objects.values()) expect(object.length).toBe(1)
      }
    }
  })
})
