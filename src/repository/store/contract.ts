/**
 * Where objects are kept: a directory, or a bucket of an S3 store. Twelve lines of promises on which everything above
 * stands; `test/repository/store/store-suite.ts` holds every implementation to them.
 *
 * Keys are `/`-separated segments of [A-Za-z0-9._-], at most 200 characters, never with a segment `.` or `..`.
 * Objects are immutable: there is no overwrite. Bytes read are not checked here: whoever asked for them knows what
 * they must be (digest or authentication tag) and checks.
 */

export interface StoreObject {
  readonly key: string
  readonly bytes: number
}

/** What a store is known to do; found by probing, never by name. */
export interface StoreCapabilities {
  /** `put` of an existing key is refused by the store itself, even when two writers race. */
  readonly conditionalPut: boolean
  /** What `put` returning means, in words for the manifest, for example `fsync of file and directory`. */
  readonly durability: string
}

export interface Store {
  /** For people: no credentials in it. */
  readonly url: string
  readonly capabilities: StoreCapabilities

  /**
   * On return the object is durable, whole, and visible to `get` and `list`, and the store has confirmed its checksum.
   * If it throws, the object may or may not be there, but is never there in part.
   * @throws object-exists when the key is taken (by other bytes or the same; nothing is overwritten)
   * @throws store-full, store-refused, store-unreachable
   */
  put(key: string, bytes: Uint8Array): Promise<void>

  /** @throws object-missing, store-unreachable, store-refused */
  get(key: string): Promise<Uint8Array>

  /**
   * Exactly the bytes `[start, end)`.
   * @throws object-missing; repository-damaged when the object ends before `end`
   */
  getRange(key: string, start: number, end: number): Promise<Uint8Array>

  /** Null when it is not there. An error is an error, never null (F17). */
  stat(key: string): Promise<StoreObject | null>

  /**
   * Every object whose key starts with `prefix`, in order of keys. A listing that could not be completed throws; it
   * never ends early (F17).
   */
  list(prefix: string): AsyncIterable<StoreObject>

  /** Gone on return. No error when it was not there. Only prune and leases call it. */
  delete(key: string): Promise<void>

  close(): Promise<void>
}

/** What to open, serialisable: workers open their own handle. Credentials are in it: never log it. */
export interface StoreSettings {
  readonly url: string
  readonly accessKey?: string
  readonly secretKey?: string
  readonly region?: string
  readonly caPem?: string
  /** A directory of this machine that is read first, and alone written to (overlay.ts). */
  readonly scratchUrl?: string
}
