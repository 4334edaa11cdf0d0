/**
 * A store in a directory: the embedded default, on a local disk or a mounted share.
 *
 *     ROOT/+tmp/       files being written; no key can be in there
 *     ROOT/<key>       objects
 *
 * Putting an object: write a file in `+tmp`, fsync it, give it its name by link(2), fsync the directories. link refuses
 * a name that is taken, also between racing writers (`directory-naming.ts`), and the name appears only once the bytes are
 * durable: a reader never sees an object in part. A crash leaves at most a file in `+tmp`, swept when it is a day old.
 *
 * `+tmp` is also the mark of a store. When it is not there (a share that is not mounted leaves an empty directory),
 * "no such object" and "no objects" would be lies, so every such answer looks for the mark first (F17).
 */
import { randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open, readdir, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Failure } from '../../errors.ts'
import type { Store, StoreCapabilities, StoreObject } from './contract.ts'
import { failureOfFile, systemCode } from './directory-failure.ts'
import {
  isNotThere,
  makeDurableDirectories,
  makeDurableRoot,
  readExactly,
  syncDirectory,
  writeDurableFile,
} from './directory-file.ts'
import { canLinkIn, type GiveName, nameByClaim, nameByLink } from './directory-naming.ts'
import { assertKey, assertPrefix, assertRange, compareKeys, isKey } from './key.ts'
import { objectExists, objectMissing, objectTooShort } from './store-failure.ts'

export const TEMPORARY = '+tmp'
/** Nobody writes one object for a day: an older file belongs to a writer that died. */
const LEFTOVER_AGE_MS = 24 * 60 * 60 * 1000
/** Files whose sizes are asked for at once; more only queue up in libuv's four threads. */
const STAT_BATCH = 32

export interface DirectoryStoreOptions {
  readonly nowMs?: () => number
  /** Found by trying when it is not given. */
  readonly canLink?: boolean
}

/**
 * Makes the directory (and its parents) and opens it. Made again where it is already there: whether a repository is in
 * it is for the caller to see.
 * @throws store-refused, store-full
 */
export async function createDirectoryStore(url: string, options: DirectoryStoreOptions = {}): Promise<Store> {
  const root = directoryOfUrl(url)
  try {
    await makeDurableRoot(join(root, TEMPORARY))
  } catch (error) {
    throw failureOfFile(error, { action: 'make the directory of', object: url })
  }
  return await openDirectoryStore(url, options)
}

/** @throws repository-not-found when the directory is not there, or is not a store */
export async function openDirectoryStore(url: string, options: DirectoryStoreOptions = {}): Promise<Store> {
  const root = directoryOfUrl(url)
  await assertIsStore(root, url)
  const temporary = join(root, TEMPORARY)
  await sweepLeftovers(temporary, (options.nowMs ?? Date.now)())
  const canLink = options.canLink ?? (await canLinkIn(temporary))
  return new DirectoryStore({ root, url, canLink })
}

/** @throws bad-configuration */
export function directoryOfUrl(url: string): string {
  try {
    return resolve(fileURLToPath(url))
  } catch (cause) {
    throw new Failure('bad-configuration', `${url} does not name a directory of this machine`, {
      hints: ['Write three slashes and an absolute path: file:///srv/chartkeep'],
      cause,
    })
  }
}

class DirectoryStore implements Store {
  readonly url: string
  readonly capabilities: StoreCapabilities
  readonly #root: string
  readonly #nameFile: GiveName
  /** Directories whose own entries are known to be on disk: each needs that once in the life of a handle. */
  readonly #durable = new Set<string>()

  constructor({ root, url, canLink }: { root: string; url: string; canLink: boolean }) {
    this.#root = root
    this.url = url
    this.#nameFile = canLink ? nameByLink() : nameByClaim(join(root, TEMPORARY))
    this.capabilities = {
      conditionalPut: canLink,
      durability: `fsync of file and directory, named by ${canLink ? 'link' : 'claim and rename (no hard links)'}`,
    }
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    assertKey(key)
    const target = join(this.#root, key)
    const temporary = join(this.#root, TEMPORARY, `${process.pid}-${randomBytes(12).toString('hex')}`)
    try {
      await writeDurableFile(temporary, bytes)
      await makeDurableDirectories(dirname(target), { root: this.#root, known: this.#durable })
      await this.#giveName(temporary, target, key)
    } catch (error) {
      this.#durable.clear()
      if (error instanceof Failure) throw error
      if (isNotThere(error)) await assertIsStore(this.#root, this.url)
      throw failureOfFile(error, { action: 'write', object: key })
    } finally {
      await rm(temporary, { force: true }).catch(() => undefined)
    }
  }

  async get(key: string): Promise<Uint8Array> {
    return await this.#reading(key, async (file) => {
      const { size } = await file.stat()
      return await readExactly(file, key, { start: 0, end: size })
    })
  }

  async getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    assertRange(start, end)
    return await this.#reading(key, async (file) => {
      const { size } = await file.stat()
      if (end > size) throw objectTooShort(key, { end, bytes: size })
      return await readExactly(file, key, { start, end })
    })
  }

  async stat(key: string): Promise<StoreObject | null> {
    assertKey(key)
    const found = await this.#statFile(key)
    if (found === null) await assertIsStore(this.#root, this.url)
    return found
  }

  async *list(prefix: string): AsyncIterable<StoreObject> {
    assertPrefix(prefix)
    await assertIsStore(this.#root, this.url)
    const directory = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    yield* this.#walk(directory, prefix)
    // The share may have gone away under the walk, which then saw nothing more and took it for the end.
    await assertIsStore(this.#root, this.url)
  }

  async delete(key: string): Promise<void> {
    assertKey(key)
    const target = join(this.#root, key)
    try {
      await unlink(target)
      await syncDirectory(dirname(target))
    } catch (error) {
      if (!isNotThere(error)) throw failureOfFile(error, { action: 'delete', object: key })
      await assertIsStore(this.#root, this.url)
    }
  }

  async close(): Promise<void> {
    this.#durable.clear()
  }

  /**
   * Whoever hears that the object exists may rely on it, as if he had put it: so the directory is synced then, too, for
   * the winner of a race may not yet have done so.
   */
  async #giveName(temporary: string, target: string, key: string): Promise<void> {
    try {
      await this.#nameFile(temporary, target)
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error
      await syncDirectory(dirname(target))
      if (await this.#statFile(key)) throw objectExists(this.url, key)
      throw error
    }
    await syncDirectory(dirname(target))
  }

  async #reading<T>(key: string, read: (file: FileHandle) => Promise<T>): Promise<T> {
    assertKey(key)
    let file: FileHandle | null = null
    try {
      file = await open(join(this.#root, key), constants.O_RDONLY)
      if (!(await file.stat()).isFile()) throw objectMissing(this.url, key)
      return await read(file)
    } catch (error) {
      if (error instanceof Failure) throw error
      if (!isNotThere(error)) throw failureOfFile(error, { action: 'read', object: key })
      await assertIsStore(this.#root, this.url)
      throw objectMissing(this.url, key)
    } finally {
      await file?.close()
    }
  }

  async #statFile(key: string): Promise<StoreObject | null> {
    try {
      const found = await stat(join(this.#root, key))
      return found.isFile() ? { key, bytes: found.size } : null
    } catch (error) {
      if (isNotThere(error)) return null
      throw failureOfFile(error, { action: 'look for', object: key })
    }
  }

  /** Depth first. A directory sorts as its name with the slash, so that keys come in order: `a-b`, `a.b`, `a/b`. */
  async *#walk(directory: string, prefix: string): AsyncIterable<StoreObject> {
    const names = await this.#namesIn(directory)
    const wanted = names
      .map((name) => directory + name)
      .filter((path) => path.startsWith(prefix))
      .sort(compareKeys)
    for (let start = 0; start < wanted.length; start += STAT_BATCH) {
      const batch = wanted.slice(start, start + STAT_BATCH)
      const found = await Promise.all(batch.map((path) => (path.endsWith('/') ? null : this.#statFile(path))))
      for (const [index, path] of batch.entries()) {
        const object = found[index]
        if (path.endsWith('/')) yield* this.#walk(path, prefix)
        else if (object) yield object
      }
    }
  }

  /** Names that may begin a key; those of directories end in a slash. One that has gone since is an empty one. */
  async #namesIn(directory: string): Promise<string[]> {
    try {
      const entries = await readdir(join(this.#root, directory), { withFileTypes: true })
      const possible = entries.filter((entry) => isKey(directory + entry.name))
      return possible.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    } catch (error) {
      if (isNotThere(error)) return []
      throw failureOfFile(error, { action: 'list', object: directory === '' ? this.url : directory })
    }
  }
}

/** @throws repository-not-found */
export async function assertIsStore(root: string, url: string): Promise<void> {
  let mark: Stats | null = null
  try {
    mark = await lstat(join(root, TEMPORARY))
  } catch (error) {
    if (!isNotThere(error)) throw failureOfFile(error, { action: 'open', object: url })
  }
  if (mark?.isDirectory()) return
  throw new Failure('repository-not-found', `no repository directory at ${url}: it has no ${TEMPORARY} in it`, {
    hints: ['If it lies on a share or a removable disk, mount that first.', '`chartkeep init` makes a new repository.'],
  })
}

/** Best effort: another process may sweep at the same time, and a reader may have no right to. */
async function sweepLeftovers(directory: string, nowMs: number): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    const path = join(directory, name)
    const found = await lstat(path).catch(() => null)
    if (found && nowMs - found.mtimeMs > LEFTOVER_AGE_MS)
      await rm(path, { force: true, recursive: true }).catch(() => undefined)
  }
}
