/** Small sealed objects of one repository: reads, writes and lists them by name. */
import { randomBytes } from 'node:crypto'
import { assert } from '../errors.ts'
import type { Keyring } from './keyring.ts'
import { openObject, sealObject } from './sealed-object.ts'
import type { Store } from './store/contract.ts'

const READS_AT_ONCE = 16

export class SealedStore {
  readonly store: Store
  readonly #keyring: Keyring

  constructor(store: Store, keyring: Keyring) {
    this.store = store
    this.#keyring = keyring
  }

  /** Durable on return. @throws object-exists, store-… */
  async write(name: string, type: number, plain: Uint8Array): Promise<void> {
    const key = this.#keyring.currentDataKey
    const sealed = sealObject(plain, { type, name, key, salt: randomBytes(16) })
    // A cipher or compressor that went wrong must fail the backup, not the restore (F27).
    const opened = openObject(sealed, { type, name }, this.#keyring.dataKey)
    assert(Buffer.compare(opened, plain) === 0, `object ${name} opens to what was sealed`)
    await this.store.put(name, sealed)
  }

  /** @throws object-missing, repository-damaged, repository-format, store-… */
  async read(name: string, type: number): Promise<Uint8Array> {
    return this.open(name, type, await this.store.get(name))
  }

  /** In order, the next ones on their way meanwhile. @throws as `read`, in the turn of the object that it is about */
  async *readAll(names: readonly string[], type: number): AsyncGenerator<Uint8Array> {
    const waiting: Promise<Uint8Array>[] = []
    for (let next = 0; next < names.length || waiting.length > 0; ) {
      while (next < names.length && waiting.length < READS_AT_ONCE) {
        const read = this.read(names[next++]!, type)
        // One that nobody comes to ask for any more is nobody's failure.
        read.catch(() => {})
        waiting.push(read)
      }
      yield await waiting.shift()!
    }
  }

  /** What `read` gives, of bytes that were fetched before. @throws repository-damaged, repository-format */
  open(name: string, type: number, bytes: Uint8Array): Uint8Array {
    return openObject(bytes, { type, name }, this.#keyring.dataKey)
  }

  /** In order. */
  async names(prefix: string): Promise<string[]> {
    const names: string[] = []
    for await (const object of this.store.list(prefix)) names.push(object.key)
    return names
  }
}
