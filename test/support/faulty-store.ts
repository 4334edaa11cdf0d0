/**
 * A store that fails when told to: wraps any store, counts its calls, and gives planned calls an outcome that a real
 * store can have. A fault sweep counts the calls of a clean run, then fails call 1, 2, 3 … with each outcome.
 *
 *     lost              the call does nothing, and throws
 *     applied           the call is carried out, and throws all the same: applied but unacknowledged
 *     slow              the call waits for `release`, then goes on
 *     full, refused     the call does nothing, and throws store-full or store-refused
 *     vanishes          put returns, and nothing is kept
 *     partial-listing   a listing ends after half of its objects, without an error
 *     broken-listing    a listing throws after half of its objects
 *     stale-listing     a listing that does not show the newest object
 *     wrong-range       getRange returns as many bytes, from one byte further on
 *     truncated         get and getRange return half of the bytes
 *
 * Calls are numbered from 1, over all methods, in the order in which they begin. The first four outcomes fit every
 * method; the others fire at their own method only, at the planned call or, with `onward`, at every one after it.
 */
import { Failure } from '../../src/errors.ts'
import type { Store, StoreCapabilities, StoreObject } from '../../src/repository/store/contract.ts'

export type Outcome =
  | 'lost'
  | 'applied'
  | 'slow'
  | 'full'
  | 'refused'
  | 'vanishes'
  | 'partial-listing'
  | 'broken-listing'
  | 'stale-listing'
  | 'wrong-range'
  | 'truncated'

export type StoreMethod = 'put' | 'get' | 'getRange' | 'stat' | 'list' | 'delete'

export interface StoreFault {
  readonly call: number
  readonly outcome: Outcome
  /** From this call on, and not at this call only. */
  readonly onward?: boolean
}

export interface StoreCall {
  readonly method: StoreMethod
  /** The key, or the prefix of a listing. */
  readonly key: string
}

interface BegunCall extends StoreCall {
  readonly outcome: Outcome | null
}

const methodsOfOutcome: Readonly<Record<Outcome, readonly StoreMethod[] | 'all'>> = {
  lost: 'all',
  applied: 'all',
  slow: 'all',
  full: ['put'],
  refused: 'all',
  vanishes: ['put'],
  'partial-listing': ['list'],
  'broken-listing': ['list'],
  'stale-listing': ['list'],
  'wrong-range': ['getRange'],
  truncated: ['get', 'getRange'],
}

export class FaultyStore implements Store {
  /** Every call that has begun. */
  readonly calls: StoreCall[] = []
  readonly #inner: Store
  readonly #faults: readonly StoreFault[]
  readonly #fired = new Set<StoreFault>()
  readonly #released = Promise.withResolvers<void>()
  #newestKey: string | null = null

  constructor(inner: Store, faults: readonly StoreFault[] = []) {
    this.#inner = inner
    this.#faults = faults
  }

  get url(): string {
    return this.#inner.url
  }

  get capabilities(): StoreCapabilities {
    return this.#inner.capabilities
  }

  /** Lets every slow call go on. */
  release(): void {
    this.#released.resolve()
  }

  /** A plan that did not come to pass proves nothing. */
  assertAllFired(): void {
    const idle = this.#faults.filter((fault) => !this.#fired.has(fault))
    if (idle.length === 0) return
    const list = idle.map((fault) => `${fault.outcome} at call ${fault.call}`).join(', ')
    throw new Error(`never fired, in ${this.calls.length} calls: ${list}`)
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const call = this.#begin('put', key)
    if (call.outcome === 'vanishes') return
    await this.#around(call, async () => await this.#inner.put(key, bytes))
    this.#newestKey = key
  }

  async get(key: string): Promise<Uint8Array> {
    const call = this.#begin('get', key)
    const bytes = await this.#around(call, async () => await this.#inner.get(key))
    return call.outcome === 'truncated' ? half(bytes) : bytes
  }

  async getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    const call = this.#begin('getRange', key)
    const bytes = await this.#around(call, async () => await this.#inner.getRange(key, start, end))
    if (call.outcome === 'wrong-range') return await this.#shifted(key, start, end)
    return call.outcome === 'truncated' ? half(bytes) : bytes
  }

  async stat(key: string): Promise<StoreObject | null> {
    const call = this.#begin('stat', key)
    return await this.#around(call, async () => await this.#inner.stat(key))
  }

  async *list(prefix: string): AsyncIterable<StoreObject> {
    const call = this.#begin('list', prefix)
    const all = await this.#around(call, async () => await Array.fromAsync(this.#inner.list(prefix)))
    const shown = call.outcome === 'stale-listing' ? all.filter((object) => object.key !== this.#newestKey) : all
    const isCut = call.outcome === 'partial-listing' || call.outcome === 'broken-listing'
    yield* isCut ? shown.slice(0, Math.floor(shown.length / 2)) : shown
    if (call.outcome === 'broken-listing') throw unreachable('list', prefix)
  }

  async delete(key: string): Promise<void> {
    const call = this.#begin('delete', key)
    await this.#around(call, async () => await this.#inner.delete(key))
  }

  async close(): Promise<void> {
    await this.#inner.close()
  }

  #begin(method: StoreMethod, key: string): BegunCall {
    this.calls.push({ method, key })
    const number = this.calls.length
    const fault = this.#faults.find((planned) => {
      const methods = methodsOfOutcome[planned.outcome]
      const isNow = planned.onward ? number >= planned.call : number === planned.call
      return isNow && (methods === 'all' || methods.includes(method))
    })
    if (fault) this.#fired.add(fault)
    return { method, key, outcome: fault?.outcome ?? null }
  }

  async #around<T>({ method, key, outcome }: BegunCall, work: () => Promise<T>): Promise<T> {
    if (outcome === 'lost') throw unreachable(method, key)
    if (outcome === 'full') throw new Failure('store-full', `planned: no space for ${key}`)
    if (outcome === 'refused') throw new Failure('store-refused', `planned: ${method} of ${key} refused`)
    if (outcome === 'slow') await this.#released.promise
    const result = await work()
    if (outcome === 'applied') throw unreachable(method, key)
    return result
  }

  async #shifted(key: string, start: number, end: number): Promise<Uint8Array> {
    const whole = await this.#inner.get(key)
    return Uint8Array.from({ length: end - start }, (_, index) => whole[(start + 1 + index) % whole.length] ?? 0)
  }
}

function half(bytes: Uint8Array): Uint8Array {
  return bytes.slice(0, Math.floor(bytes.length / 2))
}

function unreachable(method: StoreMethod, key: string): Failure {
  return new Failure('store-unreachable', `planned: no answer to ${method} of ${key}`)
}
