/**
 * A store in memory, for tests above the store. It keeps the contract to the letter (the suite runs on it), and lets a
 * test reach behind it: `objects` is what it holds, to be damaged, dropped or swapped on purpose.
 */
import type { Store, StoreCapabilities, StoreObject } from '../../src/repository/store/contract.ts'
import { assertKey, assertPrefix, assertRange, compareKeys } from '../../src/repository/store/key.ts'
import { objectExists, objectMissing, objectTooShort } from '../../src/repository/store/store-failure.ts'

export class MemoryStore implements Store {
  readonly url = 'memory:'
  readonly capabilities: StoreCapabilities = { conditionalPut: true, durability: 'none: gone with the process' }
  readonly objects = new Map<string, Uint8Array>()

  async put(key: string, bytes: Uint8Array): Promise<void> {
    assertKey(key)
    if (this.objects.has(key)) throw objectExists(this.url, key)
    this.objects.set(key, Uint8Array.from(bytes))
  }

  async get(key: string): Promise<Uint8Array> {
    return Uint8Array.from(this.#object(key))
  }

  async getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    assertRange(start, end)
    const bytes = this.#object(key)
    if (end > bytes.length) throw objectTooShort(key, { end, bytes: bytes.length })
    return bytes.slice(start, end)
  }

  async stat(key: string): Promise<StoreObject | null> {
    assertKey(key)
    const bytes = this.objects.get(key)
    return bytes ? { key, bytes: bytes.length } : null
  }

  async *list(prefix: string): AsyncIterable<StoreObject> {
    assertPrefix(prefix)
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort(compareKeys)
    for (const key of keys) {
      const bytes = this.objects.get(key)
      if (bytes) yield { key, bytes: bytes.length }
    }
  }

  async delete(key: string): Promise<void> {
    assertKey(key)
    this.objects.delete(key)
  }

  async close(): Promise<void> {}

  #object(key: string): Uint8Array {
    assertKey(key)
    const bytes = this.objects.get(key)
    if (!bytes) throw objectMissing(this.url, key)
    return bytes
  }
}
