/**
 * The contract of a store as tests: every implementation, wrapper and imitation runs them.
 *
 * A *place* is where a store keeps things. Each test has a fresh place of its own; two handles on one place are what two
 * processes would have.
 */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { Failure } from '../../../src/errors.ts'
import type { Store, StoreObject } from '../../../src/repository/store/contract.ts'
import { compareKeys } from '../../../src/repository/store/key.ts'

export interface StoreUnderTest {
  /** Opens a store at a place, which is made when it is new. */
  readonly open: (place: string) => Promise<Store>
  /** What must not stand in the store's address. */
  readonly secrets?: readonly string[]
  /** Two writers may both be told that they put one key: `capabilities.conditionalPut` must then say so. */
  readonly isWeak?: boolean
  /** For a listing of several pages; 2,100 when it is not given. */
  readonly manyKeys?: number
}

const LARGE_BYTES = 64 * 1024 * 1024
/** Two full pages of an S3 listing, and a bit. */
const MANY_KEYS = 2100
const WRITERS = 16
const refusedKeys = [
  '',
  '/',
  '/a',
  'a/',
  'a//b',
  '.',
  '..',
  'a/../b',
  '../a',
  './a',
  'a/.',
  'a b',
  'a+b',
  '~a',
  'a%2Fb',
  'a\\b',
  'a\u0000b',
  'a\n',
  'ä',
  '患者',
  'a'.repeat(201),
]
const oddKeys = ['-', '_', '...', '..a', '.a', 'a.', 'A/a', 'a/A', '0', `${'x'.repeat(99)}/${'y'.repeat(100)}`]

export function describeStore(name: string, under: StoreUnderTest): void {
  describe(`store contract: ${name}`, () => {
    const opened: Store[] = []
    const openAt = async (place: string) => {
      const store = await under.open(place)
      opened.push(store)
      return store
    }
    const fresh = async () => await openAt(randomPlace())
    afterEach(async () => {
      for (const store of opened.splice(0)) await store.close()
    })

    describeWriting({ ...under, fresh, openAt })
    describeReading(fresh)
    describeListing(fresh, under.manyKeys ?? MANY_KEYS)
    describeNames(fresh, under)
  })
}

type Fresh = () => Promise<Store>

function describeWriting(under: StoreUnderTest & { fresh: Fresh; openAt: (place: string) => Promise<Store> }): void {
  const { fresh, openAt } = under

  test.each([0, 1, 255, 4096, 65_537, 1_048_577])('an object of %i bytes comes back as it was put', async (size) => {
    const store = await fresh()
    const bytes = randomBytes(size)

    await store.put('a/object', bytes)

    expect(equal(await store.get('a/object'), bytes)).toBe(true)
    expect(await store.stat('a/object')).toEqual({ key: 'a/object', bytes: size })
  })

  test('an object of 64 MiB comes back as it was put', { timeout: 60_000 }, async () => {
    const store = await fresh()
    const bytes = randomBytes(LARGE_BYTES)

    await store.put('large', bytes)

    expect(equal(await store.get('large'), bytes)).toBe(true)
    expect(equal(await store.getRange('large', LARGE_BYTES - 5, LARGE_BYTES), bytes.subarray(-5))).toBe(true)
  })

  test('a view of a larger buffer is put as the view, and what its owner does to it later changes nothing', async () => {
    const store = await fresh()
    const owner = Uint8Array.from([9, 1, 2, 3, 9])

    await store.put('view', owner.subarray(1, 4))
    owner.fill(7)

    expect([...(await store.get('view'))]).toEqual([1, 2, 3])
  })

  test('what a reader does to the bytes it got changes nothing for the next', async () => {
    const store = await fresh()
    await store.put('shared', Uint8Array.from([1, 2, 3]))

    const got = await store.get('shared')
    got.fill(0)

    expect([...(await store.get('shared'))]).toEqual([1, 2, 3])
  })

  test('a key that is taken is refused, for other bytes and for the same, and keeps its bytes', async () => {
    const store = await fresh()
    await store.put('taken', Uint8Array.from([1]))

    expect(await codeOf(store.put('taken', Uint8Array.from([2])))).toBe('object-exists')
    expect(await codeOf(store.put('taken', Uint8Array.from([1])))).toBe('object-exists')
    expect(await codeOf(store.put('taken', new Uint8Array(0)))).toBe('object-exists')
    expect([...(await store.get('taken'))]).toEqual([1])
  })

  test('an empty object takes its key', async () => {
    const store = await fresh()
    await store.put('empty', new Uint8Array(0))

    expect(await codeOf(store.put('empty', Uint8Array.from([1])))).toBe('object-exists')
    expect(await keysOf(store, '')).toEqual(['empty'])
  })

  test('sixteen racing writers of one key have one winner, and his bytes are kept, unless the store says it is weak', async () => {
    const place = randomPlace()
    const handles = [await openAt(place), await openAt(place)]
    const bodies = Array.from({ length: WRITERS }, (_, index) => Uint8Array.from({ length: 4096 }, () => index))

    const codes = await Promise.all(bodies.map((body, index) => codeOf(handles[index % 2]!.put('race', body))))

    const winners = codes.flatMap((code, index) => (code === 'none' ? [index] : []))
    const kept = await handles[0]!.get('race')
    expect(handles[0]!.capabilities.conditionalPut).toBe(!under.isWeak)
    expect(codes.every((code) => code === 'none' || code === 'object-exists')).toBe(true)
    expect(winners.length >= 1 && (under.isWeak || winners.length === 1)).toBe(true)
    expect(winners.some((winner) => equal(kept, bodies[winner]!))).toBe(true)
  })

  test('writers of different keys in one new folder do not hinder each other', async () => {
    const place = randomPlace()
    const handles = [await openAt(place), await openAt(place)]
    const keys = Array.from({ length: WRITERS }, (_, index) => `new/folder/of/${index}`)

    await Promise.all(keys.map((key, index) => handles[index % 2]!.put(key, Buffer.from(key))))

    expect(await keysOf(handles[0]!, 'new/')).toEqual(keys.toSorted(compareKeys))
  })

  test('what one handle has put, another sees at once: by get, stat and list', async () => {
    const place = randomPlace()
    const [writer, reader] = [await openAt(place), await openAt(place)]
    expect(await keysOf(reader, '')).toEqual([])

    await writer.put('seen', Uint8Array.from([1, 2]))

    expect([...(await reader.get('seen'))]).toEqual([1, 2])
    expect(await reader.stat('seen')).toEqual({ key: 'seen', bytes: 2 })
    expect(await keysOf(reader, '')).toEqual(['seen'])
  })

  test('a deleted object is gone, its key is free, and its neighbours stay', async () => {
    const store = await fresh()
    await store.put('f/a', Uint8Array.from([1]))
    await store.put('f/b', Uint8Array.from([2]))

    await store.delete('f/a')

    expect(await store.stat('f/a')).toBe(null)
    expect(await codeOf(store.get('f/a'))).toBe('object-missing')
    expect(await keysOf(store, '')).toEqual(['f/b'])
    await store.put('f/a', Uint8Array.from([3]))
    expect([...(await store.get('f/a'))]).toEqual([3])
  })

  test('deleting what is not there, once or twice, is no error', async () => {
    const store = await fresh()
    await store.put('once', Uint8Array.from([1]))

    await store.delete('once')
    await store.delete('once')
    await store.delete('never/was')

    expect(await keysOf(store, '')).toEqual([])
  })
}

function describeReading(fresh: Fresh): void {
  test('every range of a small object is exactly that range', async () => {
    const store = await fresh()
    const bytes = Uint8Array.from([10, 11, 12, 13, 14, 15, 16])
    await store.put('seven', bytes)

    for (let start = 0; start <= bytes.length; start += 1) {
      for (let end = start; end <= bytes.length; end += 1) {
        expect([...(await store.getRange('seven', start, end))]).toEqual([...bytes.slice(start, end)])
      }
    }
  })

  test('ranges across the borders of blocks and buffers are exact', async () => {
    const store = await fresh()
    const bytes = randomBytes(300_000)
    await store.put('long', bytes)

    for (const [start, end] of [
      [0, 300_000],
      [65_535, 65_537],
      [4095, 4097],
      [131_071, 262_145],
      [299_999, 300_000],
    ]) {
      expect(equal(await store.getRange('long', start!, end!), bytes.subarray(start, end))).toBe(true)
    }
  })

  test.each([
    [0, 8],
    [6, 8],
    [7, 8],
    [8, 9],
    [100, 200],
    [8, 8],
  ])('the range [%i, %i) of an object of seven bytes is damage, not a short answer', async (start, end) => {
    const store = await fresh()
    await store.put('seven', new Uint8Array(7))

    expect(await codeOf(store.getRange('seven', start, end))).toBe('repository-damaged')
  })

  test('a range that runs backwards, or is no range, is a defect', async () => {
    const store = await fresh()
    await store.put('seven', new Uint8Array(7))

    for (const [start, end] of [
      [3, 2],
      [-1, 2],
      [0.5, 2],
      [0, Number.NaN],
    ]) {
      expect(await codeOf(store.getRange('seven', start!, end!))).toBe('defect')
    }
  })

  test('an object that is not there is missing to get and to getRange, and null to stat', async () => {
    const store = await fresh()
    await store.put('folder/there', Uint8Array.from([1]))

    for (const key of ['not-there', 'folder', 'folder/not-there', 'folder/there/below']) {
      expect(await codeOf(store.get(key))).toBe('object-missing')
      expect(await codeOf(store.getRange(key, 0, 1))).toBe('object-missing')
      expect(await codeOf(store.getRange(key, 0, 0))).toBe('object-missing')
      expect(await store.stat(key)).toBe(null)
    }
  })

  test('bytes read own their memory, so that they can be given to another thread (F41)', async () => {
    const store = await fresh()
    await store.put('own', Uint8Array.from([1, 2, 3]))

    for (const bytes of [await store.get('own'), await store.getRange('own', 1, 3)]) {
      expect(bytes.byteOffset).toBe(0)
      expect(bytes.buffer.byteLength).toBe(bytes.byteLength)
      structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] })
    }
  })
}

function describeListing(fresh: Fresh, manyKeys: number): void {
  test('a listing is in order of bytes, whatever the folders', async () => {
    const store = await fresh()
    const keys = ['a', 'B/a', 'ab/c', 'ab-c', 'ab.c', 'ab0', 'abc/d/e', 'abc/d.e', 'z/z/z/z', '_', '0/0']
    for (const key of keys) await store.put(key, Buffer.from(key))

    const listed = await Array.fromAsync(store.list(''))

    expect(listed).toEqual(keys.toSorted(compareKeys).map((key) => ({ key, bytes: key.length })))
  })

  test('a prefix may end within a segment, at a slash, or be a whole key', async () => {
    const store = await fresh()
    for (const key of ['p/ab/1', 'p/ab/2', 'p/abc', 'p/b', 'pp', 'q/ab']) await store.put(key, new Uint8Array(1))

    expect(await keysOf(store, 'p/ab')).toEqual(['p/ab/1', 'p/ab/2', 'p/abc'])
    expect(await keysOf(store, 'p/ab/')).toEqual(['p/ab/1', 'p/ab/2'])
    expect(await keysOf(store, 'p/ab/2')).toEqual(['p/ab/2'])
    expect(await keysOf(store, 'p/')).toEqual(['p/ab/1', 'p/ab/2', 'p/abc', 'p/b'])
    expect(await keysOf(store, 'p')).toEqual(['p/ab/1', 'p/ab/2', 'p/abc', 'p/b', 'pp'])
    expect(await keysOf(store, 'p/ab/1/2')).toEqual([])
    expect(await keysOf(store, 'nothing/here/')).toEqual([])
  })

  test('a listing equals filter and sort, for any keys and prefix', { timeout: 60_000 }, async () => {
    const segment = fc.stringMatching(/^[ab.\-/]{1,3}$/).map((text) => `x${text.replaceAll('/', 'y')}`)
    const folders = fc.constantFrom('', 'f/', 'f-/', 'f/g/', 'f.g/')
    const key = fc.tuple(folders, segment).map(([folder, name]) => folder + name)
    const prefixes = fc.constantFrom('', 'f', 'f/', 'f/g', 'f/g/', 'f-', 'x', 'f/x', 'f.g/xa')

    const property = fc.asyncProperty(fc.uniqueArray(key, { maxLength: 12 }), prefixes, async (keys, prefix) => {
      const store = await fresh()
      await Promise.all(keys.map((name) => store.put(name, new Uint8Array(1))))
      const expected = keys.filter((name) => name.startsWith(prefix)).toSorted(compareKeys)
      expect(await keysOf(store, prefix)).toEqual(expected)
    })

    await fc.assert(property, { numRuns: 25 })
  })

  test('a listing of thousands has each object once', { timeout: 60_000 }, async () => {
    const store = await fresh()
    const keys = Array.from({ length: manyKeys }, (_, index) => `many/${String(index).padStart(5, '0')}`)
    for (let start = 0; start < keys.length; start += 50) {
      await Promise.all(keys.slice(start, start + 50).map((key) => store.put(key, Buffer.from('12'))))
    }

    const listed = await Array.fromAsync(store.list('many/'))

    expect(listed.map((object) => object.key)).toEqual(keys)
    expect(listed.every((object) => object.bytes === 2)).toBe(true)
  })

  test('a listing may be left early, and begun again', async () => {
    const store = await fresh()
    for (const key of ['1', '2', '3']) await store.put(key, new Uint8Array(1))

    const seen: StoreObject[] = []
    for await (const object of store.list('')) {
      seen.push(object)
      break
    }

    expect(seen).toEqual([{ key: '1', bytes: 1 }])
    expect(await keysOf(store, '')).toEqual(['1', '2', '3'])
  })
}

function describeNames(fresh: Fresh, under: StoreUnderTest): void {
  test.each(refusedKeys)('the key %j is a defect in every call, and reaches nothing', async (key) => {
    const store = await fresh()

    const calls = [
      store.put(key, new Uint8Array(1)),
      store.get(key),
      store.getRange(key, 0, 1),
      store.stat(key),
      store.delete(key),
    ]

    for (const call of calls) expect(await codeOf(call)).toBe('defect')
    expect(await keysOf(store, '')).toEqual([])
  })

  test.each(['/', '/a', 'a//', '../', 'a/../', 'ä', '*'])('the prefix %j is a defect', async (prefix) => {
    const store = await fresh()

    expect(await codeOf(Array.fromAsync(store.list(prefix)))).toBe('defect')
  })

  test.each(oddKeys)('the odd key %j is a key like any other', async (key) => {
    const store = await fresh()

    await store.put(key, Buffer.from(key))

    expect(Buffer.from(await store.get(key)).toString()).toBe(key)
    expect(await store.stat(key)).toEqual({ key, bytes: key.length })
    expect(await keysOf(store, '')).toEqual([key])
    await store.delete(key)
    expect(await keysOf(store, '')).toEqual([])
  })

  test('address and failures say where, and hold no secret', async () => {
    const store = await fresh()
    const failure = await store.get('not-there').catch((error: unknown) => error)

    expect(store.url).not.toBe('')
    expect(failure).toBeInstanceOf(Failure)
    const said = [store.url, JSON.stringify(failure), String(failure), store.capabilities.durability].join()
    for (const secret of under.secrets ?? []) expect(said).not.toContain(secret)
  })
}

export function randomPlace(): string {
  return `place-${randomBytes(8).toString('hex')}`
}

/** The code of the failure, `none` when there is none. Anything but a Failure is passed on. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'none'
  } catch (error) {
    if (error instanceof Failure) return error.code
    throw error
  }
}

export async function keysOf(store: Store, prefix: string): Promise<string[]> {
  return (await Array.fromAsync(store.list(prefix))).map((object) => object.key)
}

/** vitest compares large arrays element by element, which takes seconds. */
export function equal(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}
