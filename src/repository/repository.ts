/**
 * An open repository: its store, its keys, its manifests. Made by `initRepository` and `openRepository`
 * (repository-lifecycle.ts).
 *
 * Write order: packs, index, manifest; read order is the reverse. Nothing here decides what a snapshot contains.
 */
import { randomBytes } from 'node:crypto'
import { Failure } from '../errors.ts'
import { canonicalBytes, parseCanonical } from './canonical-json.ts'
import { sha256 } from './crypto/provider.ts'
import type { Keyring } from './keyring.ts'
import { indexKey, MANIFEST_PREFIX, manifestKey, snapshotIdOf } from './layout.ts'
import { type Manifest, parseManifest } from './manifest.ts'
import { ChunkReader } from './pack/chunk-reader.ts'
import { type PackIndex, parsePackIndex } from './pack-index.ts'
import { OBJECT_TYPES, openObject, sealObject } from './sealed-object.ts'
import type { Store, StoreSettings } from './store/contract.ts'

export interface ReadManifest {
  readonly manifest: Manifest
  /** Lower-case hex of the SHA-256 of the manifest's canonical JSON. */
  readonly sha256: string
}

export class Repository implements AsyncDisposable {
  readonly id: string
  readonly store: Store
  /** For workers, which open their own handle. */
  readonly storeSettings: StoreSettings
  readonly keyring: Keyring

  constructor(options: { id: string; store: Store; storeSettings: StoreSettings; keyring: Keyring }) {
    this.id = options.id
    this.store = options.store
    this.storeSettings = options.storeSettings
    this.keyring = options.keyring
  }

  /** Ids of all snapshots, oldest first. */
  async snapshotIds(): Promise<string[]> {
    const ids: string[] = []
    for await (const object of this.store.list(MANIFEST_PREFIX)) ids.push(snapshotIdOf(object.key))
    return ids.sort()
  }

  /** @throws snapshot-not-found, repository-damaged, repository-format */
  async readManifest(snapshotId: string): Promise<ReadManifest> {
    const name = manifestKey(snapshotId)
    const bytes = await this.#open(name, OBJECT_TYPES.manifest).catch((error) => {
      if (error instanceof Failure && error.code === 'object-missing') throw snapshotNotFound(snapshotId)
      throw error
    })
    const manifest = parseManifest(parseCanonical(bytes, name), name)
    if (manifest.snapshotId !== snapshotId || manifest.repositoryId !== this.id) {
      throw new Failure('repository-damaged', `${name} is the manifest of ${manifest.snapshotId}`, {
        context: { object: name },
      })
    }
    return { manifest, sha256: Buffer.from(sha256(bytes)).toString('hex') }
  }

  /** The snapshot appears: call only when everything that it names is durable (I1). */
  async writeManifest(manifest: Manifest): Promise<void> {
    await this.#seal(manifestKey(manifest.snapshotId), OBJECT_TYPES.manifest, canonicalBytes(manifest))
  }

  /** @returns SHA-256 of the index's canonical JSON, hex */
  async writeIndex(index: PackIndex): Promise<string> {
    const bytes = canonicalBytes(index)
    await this.#seal(indexKey(index.snapshotId), OBJECT_TYPES.index, bytes)
    return Buffer.from(sha256(bytes)).toString('hex')
  }

  /** @throws object-missing, repository-damaged when it is not the one that the manifest names */
  async readIndex(manifest: Manifest): Promise<PackIndex> {
    const name = indexKey(manifest.snapshotId)
    const bytes = await this.#open(name, OBJECT_TYPES.index)
    const found = Buffer.from(sha256(bytes)).toString('hex')
    if (found !== manifest.indexSha256) {
      throw new Failure('repository-damaged', `${name} has digest ${found}, its manifest says ${manifest.indexSha256}`, {
        context: { object: name },
      })
    }
    return parsePackIndex(parseCanonical(bytes, name), name)
  }

  async writeProof(name: string, proof: unknown): Promise<void> {
    await this.#seal(name, OBJECT_TYPES.proof, canonicalBytes(proof))
  }

  async readProof(name: string): Promise<unknown> {
    return parseCanonical(await this.#open(name, OBJECT_TYPES.proof), name)
  }

  chunkReader(): ChunkReader {
    return new ChunkReader(this.store, this.keyring.secrets.dataKeys)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close()
  }

  async #seal(name: string, type: number, plain: Uint8Array): Promise<void> {
    const key = this.keyring.currentDataKey
    await this.store.put(name, sealObject(plain, { type, name, key, salt: randomBytes(16) }))
  }

  async #open(name: string, type: number): Promise<Uint8Array> {
    return openObject(await this.store.get(name), { type, name }, this.keyring.dataKey)
  }
}

function snapshotNotFound(snapshotId: string): Failure {
  return new Failure('snapshot-not-found', `no snapshot ${snapshotId} in this repository`, {
    hints: ['Run `chartkeep snapshots` to see which there are.'],
  })
}
