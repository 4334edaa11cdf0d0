/**
 * Trying again, in the one place where it is done: around a whole store.
 *
 * Only transient failures (the error table says which) are tried again. Reading, listing and deleting may be repeated as
 * they are. A put may not: when the answer was lost, the object may be there already, and the second try would be told
 * that the key is taken, by ourselves. So after an unclear put we look: the same bytes under the key mean that it was
 * applied, which is success; other bytes mean that somebody else was first.
 *
 * It follows that two writers who put the same bytes under one key may both be told that they did. Whoever needs one
 * winner (a lease) puts a nonce into the bytes.
 */
import { Failure } from '../../errors.ts'
import type { Store, StoreCapabilities, StoreObject } from './contract.ts'
import { objectExists } from './store-failure.ts'

export interface RetryPolicy {
  readonly attempts: number
  readonly baseDelayMs: number
  readonly maxDelayMs: number
  /** In [0, 1). */
  readonly random: () => number
  readonly sleep: (ms: number) => Promise<void>
}

/** Some twenty seconds in all: enough for a restart of a gateway; a longer outage is for the caller to decide on. */
export const realRetryPolicy: RetryPolicy = {
  attempts: 7,
  baseDelayMs: 200,
  maxDelayMs: 8_000,
  random: Math.random,
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
}

export function withRetries(store: Store, policy: RetryPolicy): Store {
  return new RetryingStore(store, policy)
}

/** Between half and all of a delay that doubles: agents that failed together do not come back together. */
export function retryDelayMs(policy: RetryPolicy, attempt: number): number {
  const ceilingMs = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** attempt)
  return Math.round(ceilingMs * (0.5 + policy.random() / 2))
}

class RetryingStore implements Store {
  readonly #store: Store
  readonly #policy: RetryPolicy

  constructor(store: Store, policy: RetryPolicy) {
    this.#store = store
    this.#policy = policy
  }

  get url(): string {
    return this.#store.url
  }

  get capabilities(): StoreCapabilities {
    return this.#store.capabilities
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    let unclear: Failure | null = null
    await this.#retrying(async () => {
      if (unclear && (await this.#wasApplied(key, bytes, unclear))) return
      try {
        await this.#store.put(key, bytes)
      } catch (error) {
        const isOurs = unclear && isFailure(error, 'object-exists') && (await this.#wasApplied(key, bytes, unclear))
        if (isOurs) return
        if (error instanceof Failure && error.isTransient) unclear = error
        throw error
      }
    })
  }

  async get(key: string): Promise<Uint8Array> {
    return await this.#retrying(async () => await this.#store.get(key))
  }

  async getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    return await this.#retrying(async () => await this.#store.getRange(key, start, end))
  }

  async stat(key: string): Promise<StoreObject | null> {
    return await this.#retrying(async () => await this.#store.stat(key))
  }

  /** Begins again after a failure, and passes over what it has handed out. Attempts count from the last new object. */
  async *list(prefix: string): AsyncIterable<StoreObject> {
    let last = ''
    for (let attempt = 0; ; attempt += 1) {
      try {
        for await (const object of this.#store.list(prefix)) {
          if (object.key <= last) continue
          last = object.key
          attempt = 0
          yield object
        }
        return
      } catch (error) {
        await this.#waitOrThrow(error, attempt)
      }
    }
  }

  async delete(key: string): Promise<void> {
    await this.#retrying(async () => await this.#store.delete(key))
  }

  async close(): Promise<void> {
    await this.#store.close()
  }

  async #retrying<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await work()
      } catch (error) {
        await this.#waitOrThrow(error, attempt)
      }
    }
  }

  async #waitOrThrow(error: unknown, attempt: number): Promise<void> {
    const mayHelp = error instanceof Failure && error.isTransient && attempt + 1 < this.#policy.attempts
    if (!mayHelp) throw error
    await this.#policy.sleep(retryDelayMs(this.#policy, attempt))
  }

  /** `unclear`: the put of which we do not know the outcome. */
  async #wasApplied(key: string, bytes: Uint8Array, unclear: Failure): Promise<boolean> {
    const found = await this.#store.stat(key)
    if (found === null) return false
    const isSame = found.bytes === bytes.length && Buffer.compare(await this.#store.get(key), bytes) === 0
    if (isSame) return true
    // A store that confirmed other bytes than it was sent holds our own damaged object, and nobody else's.
    throw unclear.code === 'store-lied' ? damagedOnArrival(unclear, key) : objectExists(this.url, key, unclear)
  }
}

function isFailure(error: unknown, code: string): boolean {
  return error instanceof Failure && error.code === code
}

/** Not transient: the key is spent, and the same put can never succeed. */
function damagedOnArrival(cause: Failure, key: string): Failure {
  return new Failure('store-refused', `the store holds other bytes under ${key} than it was sent`, {
    hints: ['Run `chartkeep store probe`, and look at the memory and the disks of the store.'],
    context: { key },
    cause,
  })
}
