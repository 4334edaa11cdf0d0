/**
 * An open repository: its store, its keys, its manifests. Made by `initRepository` and `openRepository`
 * (repository-lifecycle.ts).
 *
 * Write order: packs, index, manifest; read order is the reverse. Nothing here decides what a snapshot contains.
 */
import { z } from 'zod'
import { Failure } from '../errors.ts'
import { AuditLog } from './audit.ts'
import { canonicalBytes, parseCanonical } from './canonical-json.ts'
import { sha256 } from './crypto/provider.ts'
import { isDamage } from './damage.ts'
import type { Keyring } from './keyring.ts'
import { indexKey, MANIFEST_PREFIX, manifestKey, snapshotIdOf } from './layout.ts'
import type { Ledger } from './ledger/log.ts'
import { LedgerStore } from './ledger-store.ts'
import { type Manifest, parseManifest } from './manifest.ts'
import { ChunkReader } from './pack/chunk-reader.ts'
import { type PackIndex, parsePackIndex } from './pack-index.ts'
import { OBJECT_TYPES } from './sealed-object.ts'
import { SealedStore } from './sealed-store.ts'
import {
  agentKey,
  isRevokedFor,
  type KnownSigner,
  readSigners,
  refused,
  signAs,
  signatureSchema,
  verifySigned,
} from './signers.ts'
import type { Store, StoreSettings } from './store/contract.ts'

export interface ReadManifest {
  readonly manifest: Manifest
  /** Lower-case hex of the SHA-256 of the manifest's canonical JSON. */
  readonly sha256: string
  /** Who signed it. */
  readonly signer: KnownSigner
}

const MANIFEST_PURPOSE = 'chartkeep manifest v1'
const signedManifestSchema = z.strictObject({ manifest: z.unknown(), signature: signatureSchema })

export class Repository implements AsyncDisposable {
  readonly id: string
  readonly store: Store
  /** For workers, which open their own handle. */
  readonly storeSettings: StoreSettings
  readonly keyring: Keyring
  readonly sealed: SealedStore
  readonly ledger: LedgerStore
  readonly audit: AuditLog
  #signers: Promise<readonly KnownSigner[]> | null = null
  #ledgerRead: Promise<Ledger> | null = null

  constructor(options: { id: string; store: Store; storeSettings: StoreSettings; keyring: Keyring }) {
    this.id = options.id
    this.store = options.store
    this.storeSettings = options.storeSettings
    this.keyring = options.keyring
    this.sealed = new SealedStore(options.store, options.keyring)
    this.ledger = new LedgerStore(this.sealed, options.keyring)
    this.audit = new AuditLog(this.sealed)
  }

  /** Ids of all snapshots, oldest first. */
  async snapshotIds(): Promise<string[]> {
    const ids: string[] = []
    for await (const object of this.store.list(MANIFEST_PREFIX)) ids.push(snapshotIdOf(object.key))
    return ids.sort()
  }

  /**
   * The manifest, and that an agent of this repository signed it.
   * @throws snapshot-not-found, repository-damaged, repository-format, signature-refused
   */
  async readManifest(snapshotId: string): Promise<ReadManifest> {
    const name = manifestKey(snapshotId)
    const bytes = await this.sealed.read(name, OBJECT_TYPES.manifest).catch((error) => {
      if (error instanceof Failure && error.code === 'object-missing') throw snapshotNotFound(snapshotId)
      throw error
    })
    const signed = signedManifestSchema.safeParse(parseCanonical(bytes, name))
    if (!signed.success) throw damaged(name, 'is not a signed manifest')
    const manifest = parseManifest(signed.data.manifest, name)
    if (manifest.snapshotId !== snapshotId || manifest.repositoryId !== this.id) {
      throw damaged(name, `is the manifest of ${manifest.snapshotId} of repository ${manifest.repositoryId}`)
    }
    const plain = canonicalBytes(manifest)
    const { signature } = signed.data
    const thing = { what: name, purpose: MANIFEST_PURPOSE, bytes: plain, signature, role: 'agent' } as const
    const signer = verifySigned(await this.signers(), thing)
    const digest = Buffer.from(sha256(plain)).toString('hex')
    if (signer.revocation && isRevokedFor(signer, await this.#ledgerIndex(snapshotId, digest))) {
      throw refused(name, `is signed by key ${signer.signerId}, which was revoked before the ledger held it`)
    }
    return { manifest, sha256: digest, signer }
  }

  /**
   * As `readManifest`, or why it cannot be relied on: a snapshot that is damaged or planted must not stand in the way
   * of the others. @throws store-…
   */
  async tryManifest(snapshotId: string): Promise<ReadManifest | Failure> {
    return await this.readManifest(snapshotId).catch((error) => {
      if (isDamage(error)) return error
      if (error instanceof Failure && error.code === 'snapshot-not-found') return error
      throw error
    })
  }

  /** The snapshot appears: call only when everything that it names is durable (I1). @returns its SHA-256, hex */
  async writeManifest(manifest: Manifest): Promise<string> {
    const plain = canonicalBytes(manifest)
    // What could not be read back must fail the backup, not the restore (F27).
    parseManifest(parseCanonical(plain, 'a new manifest'), 'a new manifest')
    const signature = signAs(agentKey(await this.signers()), MANIFEST_PURPOSE, plain)
    await this.sealed.write(
      manifestKey(manifest.snapshotId),
      OBJECT_TYPES.manifest,
      canonicalBytes({ manifest, signature }),
    )
    return Buffer.from(sha256(plain)).toString('hex')
  }

  /** Where the ledger holds this very manifest, or null. */
  async #ledgerIndex(snapshotId: string, sha256Hex: string): Promise<number | null> {
    // Entries that a revocation leaves valid were there before it, and never change: once read is enough.
    this.#ledgerRead ??= this.ledger.read()
    const { entries } = await this.#ledgerRead
    const index = entries.findIndex(({ entry }) => entry.snapshot === snapshotId && entry.manifest === sha256Hex)
    return index < 0 ? null : index
  }

  /** Read once; again after `forgetSigners`. */
  signers(): Promise<readonly KnownSigner[]> {
    this.#signers ??= readSigners(this.sealed)
    return this.#signers
  }

  /** After a key was made or revoked. */
  forgetSigners(): void {
    this.#signers = null
    this.#ledgerRead = null
  }

  /** @returns SHA-256 of the index's canonical JSON, hex */
  async writeIndex(index: PackIndex): Promise<string> {
    const bytes = canonicalBytes(index)
    parsePackIndex(parseCanonical(bytes, 'a new index'), 'a new index')
    await this.sealed.write(indexKey(index.snapshotId), OBJECT_TYPES.index, bytes)
    return Buffer.from(sha256(bytes)).toString('hex')
  }

  /** @throws object-missing, repository-damaged when it is not the one that the manifest names */
  async readIndex(manifest: Manifest): Promise<PackIndex> {
    const name = indexKey(manifest.snapshotId)
    const bytes = await this.sealed.read(name, OBJECT_TYPES.index)
    const found = Buffer.from(sha256(bytes)).toString('hex')
    if (found !== manifest.indexSha256) {
      throw new Failure(
        'repository-damaged',
        `${name} has digest ${found}, its manifest says ${manifest.indexSha256}`,
        {
          context: { object: name },
        },
      )
    }
    return parsePackIndex(parseCanonical(bytes, name), name)
  }

  async writeProof(name: string, proof: unknown): Promise<void> {
    await this.sealed.write(name, OBJECT_TYPES.proof, canonicalBytes(proof))
  }

  async readProof(name: string): Promise<unknown> {
    return parseCanonical(await this.sealed.read(name, OBJECT_TYPES.proof), name)
  }

  chunkReader(): ChunkReader {
    return new ChunkReader(this.store, this.keyring.secrets.dataKeys)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close()
  }
}

function snapshotNotFound(snapshotId: string): Failure {
  return new Failure('snapshot-not-found', `no snapshot ${snapshotId} in this repository`, {
    hints: ['Run `chartkeep snapshots` to see which there are.'],
  })
}

function damaged(name: string, what: string): Failure {
  return new Failure('repository-damaged', `object ${name} ${what}`, { context: { object: name } })
}
