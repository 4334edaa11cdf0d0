/** The tool that breaks things must break what it says, when it says, and own up when it did not. */
import { describe, expect, test } from 'vitest'
import { codeOf, keysOf } from '../repository/store/store-suite.ts'
import { FaultyStore, type StoreFault } from './faulty-store.ts'
import { MemoryStore } from './memory-store.ts'

async function filled(...faults: StoreFault[]) {
  const memory = new MemoryStore()
  for (const key of ['1', '2', '3', '4']) memory.objects.set(key, Uint8Array.from([1, 2, 3, 4]))
  return { memory, store: new FaultyStore(memory, faults) }
}

describe('a faulty store', () => {
  test('counts calls over all methods, and fails at the planned one only', async () => {
    const { store } = await filled({ call: 3, outcome: 'lost' })

    const codes = [await codeOf(store.get('1')), await codeOf(store.stat('1')), await codeOf(store.get('2'))]
    codes.push(await codeOf(store.get('2')))

    expect(codes).toEqual(['none', 'none', 'store-unreachable', 'none'])
    expect(store.calls[2]).toEqual({ method: 'get', key: '2' })
    store.assertAllFired()
  })

  test('fails from the planned call on, when told to', async () => {
    const { store } = await filled({ call: 2, outcome: 'lost', onward: true })

    const codes = [await codeOf(store.get('1')), await codeOf(store.get('1')), await codeOf(keysOf(store, ''))]

    expect(codes).toEqual(['none', 'store-unreachable', 'store-unreachable'])
  })

  test.each([
    ['lost', 'store-unreachable', false],
    ['applied', 'store-unreachable', true],
    ['full', 'store-full', false],
    ['refused', 'store-refused', false],
    ['vanishes', 'none', false],
  ] as const)('a put that is %s ends as %s, and kept is %s', async (outcome, code, isKept) => {
    const { store, memory } = await filled({ call: 1, outcome })

    expect(await codeOf(store.put('new', Uint8Array.from([1])))).toBe(code)
    expect(memory.objects.has('new')).toBe(isKept)
  })

  test('a slow call waits to be released', async () => {
    const { store, memory } = await filled({ call: 1, outcome: 'slow' })

    const putting = store.put('new', Uint8Array.from([1]))
    await store.get('1')
    const keptBefore = memory.objects.has('new')
    store.release()
    await putting

    expect([keptBefore, memory.objects.has('new')]).toEqual([false, true])
  })

  test('concurrent calls fail under their own names', async () => {
    const { store } = await filled({ call: 1, outcome: 'slow' }, { call: 2, outcome: 'lost' })

    const slow = store.get('1')
    const lost = store.get('2').catch((error: unknown) => String(error))
    store.release()

    expect(await slow).toEqual(Uint8Array.from([1, 2, 3, 4]))
    expect(await lost).toContain('get of 2')
  })

  test('reading can be shortened or shifted', async () => {
    const { store } = await filled(
      { call: 1, outcome: 'truncated' },
      { call: 2, outcome: 'truncated' },
      { call: 3, outcome: 'wrong-range' },
    )

    expect([...(await store.get('1'))]).toEqual([1, 2])
    expect([...(await store.getRange('1', 0, 4))]).toEqual([1, 2])
    expect([...(await store.getRange('1', 0, 4))]).toEqual([2, 3, 4, 1])
    store.assertAllFired()
  })

  test('listings can end early, break, or miss the newest object', async () => {
    const { store } = await filled(
      { call: 2, outcome: 'stale-listing' },
      { call: 3, outcome: 'partial-listing' },
      { call: 4, outcome: 'broken-listing' },
    )
    await store.put('5', Uint8Array.from([1]))

    expect(await keysOf(store, '')).toEqual(['1', '2', '3', '4'])
    expect(await keysOf(store, '')).toEqual(['1', '2'])
    expect(await codeOf(keysOf(store, ''))).toBe('store-unreachable')
    expect(await keysOf(store, '')).toEqual(['1', '2', '3', '4', '5'])
    store.assertAllFired()
  })

  test('owns up when a planned fault did not fire', async () => {
    const { store } = await filled({ call: 1, outcome: 'wrong-range' })
    await store.get('1')

    expect(() => store.assertAllFired()).toThrow('wrong-range at call 1')
  })
})
