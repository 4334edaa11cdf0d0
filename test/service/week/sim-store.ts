/**
 * A store in memory for a week of objects, and the way of one process to it: the store may be down or full, and a process
 * that was killed gets no answer any more.
 */
import { Failure } from '../../../src/errors.ts'
import type { Store, StoreCapabilities, StoreObject } from '../../../src/repository/store/contract.ts'
import { objectExists, objectMissing } from '../../../src/repository/store/store-failure.ts'

/** Objects by folder: a listing looks at few. */
export class SimStore implements Store {
  readonly url = 'sim:'
  readonly capabilities: StoreCapabilities = { conditionalPut: true, durability: 'none: gone with the process' }
  readonly #folders = new Map<string, Map<string, Uint8Array>>()
  state: 'up' | 'down' | 'full' = 'up'

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const folder = this.#folders.get(folderOf(key)) ?? new Map<string, Uint8Array>()
    this.#folders.set(folderOf(key), folder)
    if (folder.has(key)) throw objectExists(this.url, key)
    folder.set(key, Uint8Array.from(bytes))
  }

  async get(key: string): Promise<Uint8Array> {
    const bytes = this.#folders.get(folderOf(key))?.get(key)
    if (!bytes) throw objectMissing(this.url, key)
    return Uint8Array.from(bytes)
  }

  async getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    return (await this.get(key)).slice(start, end)
  }

  async stat(key: string): Promise<StoreObject | null> {
    const bytes = this.#folders.get(folderOf(key))?.get(key)
    return bytes ? { key, bytes: bytes.length } : null
  }

  async *list(prefix: string): AsyncIterable<StoreObject> {
    const found: StoreObject[] = []
    for (const [folder, objects] of this.#folders) {
      if (!folder.startsWith(prefix) && !prefix.startsWith(folder)) continue
      for (const [key, { length: bytes }] of objects) if (key.startsWith(prefix)) found.push({ key, bytes })
    }
    yield* found.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  async delete(key: string): Promise<void> {
    this.#folders.get(folderOf(key))?.delete(key)
  }

  async close(): Promise<void> {}
}

export class ProcessStore implements Store {
  readonly url = 'sim:'
  readonly capabilities: StoreCapabilities
  readonly #store: SimStore
  #isDead = false

  constructor(store: SimStore) {
    this.#store = store
    this.capabilities = store.capabilities
  }

  die(): void {
    this.#isDead = true
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    await this.#reach()
    if (this.#store.state === 'full') throw new Failure('store-full', `no room for ${key}`)
    await this.#store.put(key, bytes)
  }

  async get(key: string): Promise<Uint8Array> {
    await this.#reach()
    return await this.#store.get(key)
  }

  async getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    await this.#reach()
    return await this.#store.getRange(key, start, end)
  }

  async stat(key: string): Promise<StoreObject | null> {
    await this.#reach()
    return await this.#store.stat(key)
  }

  async *list(prefix: string): AsyncIterable<StoreObject> {
    await this.#reach()
    yield* this.#store.list(prefix)
  }

  async delete(key: string): Promise<void> {
    await this.#reach()
    await this.#store.delete(key)
  }

  async close(): Promise<void> {}

  async #reach(): Promise<void> {
    if (this.#isDead) await new Promise<never>(() => {})
    if (this.#store.state === 'down') throw new Failure('store-unreachable', 'the store does not answer')
  }
}

function folderOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/') + 1)
}
