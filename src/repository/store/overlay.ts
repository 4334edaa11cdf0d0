/**
 * A repository's store with a scratch directory laid over it: what is put lands in the directory, what is read comes
 * from there first. So that trees made for one moment can be read by everything that reads a repository, and nothing of
 * them ever gets into it.
 *
 *     put ──────────→ scratch          chartkeep-scratch-… in the temporary directory of this machine
 *     get, stat ────→ scratch, else ─→ repository
 *
 * Chunks in the scratch directory are encrypted as in the repository. A process that dies leaves it behind, to be
 * cleared like everything else in the temporary directory.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { assert, Failure } from '../../errors.ts'
import type { Store, StoreCapabilities, StoreObject } from './contract.ts'
import { createDirectoryStore, openDirectoryStore } from './directory.ts'
import { compareKeys } from './key.ts'
import { objectExists } from './store-failure.ts'

export interface Scratch extends AsyncDisposable {
  /** Of a directory store. */
  readonly url: string
}

/** Removed on disposal. @throws local-disk-full */
export async function makeScratch(parent: string): Promise<Scratch> {
  try {
    const path = await mkdtemp(join(parent, 'chartkeep-scratch-'))
    const url = pathToFileURL(path).href
    await (await createDirectoryStore(url)).close()
    return { url, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
  } catch (error) {
    throw noSpace(error)
  }
}

/** Takes over `base`, and closes it. @throws repository-not-found when the scratch directory is gone */
export async function openOverlay(base: Store, scratchUrl: string): Promise<Store> {
  return new OverlayStore(base, await openDirectoryStore(scratchUrl))
}

export class OverlayStore implements Store {
  readonly url: string
  readonly capabilities: StoreCapabilities
  readonly #base: Store
  readonly #scratch: Store

  constructor(base: Store, scratch: Store) {
    this.url = base.url
    this.capabilities = base.capabilities
    this.#base = base
    this.#scratch = scratch
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    if (await this.#base.stat(key)) throw objectExists(this.url, key)
    await this.#scratch.put(key, bytes).catch((error) => {
      throw noSpace(error)
    })
  }

  async get(key: string): Promise<Uint8Array> {
    return await this.#scratch.get(key).catch((error) => this.#unlessHere(error, () => this.#base.get(key)))
  }

  async getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    const below = () => this.#base.getRange(key, start, end)
    return await this.#scratch.getRange(key, start, end).catch((error) => this.#unlessHere(error, below))
  }

  async stat(key: string): Promise<StoreObject | null> {
    return (await this.#scratch.stat(key)) ?? (await this.#base.stat(key))
  }

  async *list(prefix: string): AsyncIterable<StoreObject> {
    const above = await Array.fromAsync(this.#scratch.list(prefix))
    for await (const object of this.#base.list(prefix)) {
      while (above[0] && compareKeys(above[0].key, object.key) < 0) yield above.shift()!
      yield object
    }
    yield* above
  }

  /** Of what lies in the scratch directory; of the repository nothing is deleted from here. */
  async delete(key: string): Promise<void> {
    assert((await this.#base.stat(key)) === null, 'nothing of a repository is deleted through what lies over it')
    await this.#scratch.delete(key)
  }

  async close(): Promise<void> {
    await this.#scratch.close()
    await this.#base.close()
  }

  async #unlessHere<T>(error: unknown, below: () => Promise<T>): Promise<T> {
    if (error instanceof Failure && error.code === 'object-missing') return await below()
    throw error
  }
}

/** What ran full is this machine's disk, and not the repository. */
function noSpace(error: unknown): unknown {
  const isLocal = !(error instanceof Failure) || error.code === 'store-full' || error.code === 'store-refused'
  if (!isLocal) return error
  return new Failure('local-disk-full', 'cannot write into the temporary directory of this machine', {
    hints: ['Free space in the temporary directory, or name another one with TMPDIR, and run the command again.'],
    cause: error,
  })
}
