/**
 * Resume: what an interrupted run had stored is used by the next one.
 *
 *     packs/ of the store − packs that an index lists − what prune has marked = orphans ─→ read whole ─→ leaves by digest
 *
 * There is no state file to go stale (F7). The new run reads the database as it is now; a leaf that comes out with a
 * digest that lies in an orphan is not stored again, and every other piece of an orphan is ignored. The digest is
 * salted and stands for every byte of the leaf's rows, so a leaf of other rows cannot be taken for it, whenever and by
 * whomever it was written; and each orphan was read and every chunk of it opened before a leaf of it is used.
 *
 * Inner nodes are not adopted: a node names places, and the pack of a leaf below it may never have been stored (I1).
 * They are a hundredth of the leaves. Prune deletes no orphan while a backup runs, and a backup adopts none that is marked:
 * the deletion of which may have begun before it (I7).
 */
import { parseCanonical } from '../repository/canonical-json.ts'
import { sha256 } from '../repository/crypto/provider.ts'
import { isDamage } from '../repository/damage.ts'
import { INDEX_PREFIX, indexKey, KEPT_INDEX_PREFIX, PACK_PREFIX, packIdOf, packKey } from '../repository/layout.ts'
import { CHUNK_TYPES } from '../repository/pack/chunk.ts'
import { openPack } from '../repository/pack/chunk-reader.ts'
import type { PackRecord } from '../repository/pack/pack-writer.ts'
import { parsePackIndex } from '../repository/pack-index.ts'
import type { Repository } from '../repository/repository.ts'
import { OBJECT_TYPES } from '../repository/sealed-object.ts'
import type { ChunkPlace } from '../repository/tree/node-codec.ts'
import { LeafPlaces } from './leaf-places.ts'
import { markedSince, readMarks } from './retention/prune-mark.ts'

/** Some fifty megabytes of places, for some thirty gigabytes of row text: what lies beyond is stored again. */
const LEAVES_MAX = 1_000_000
const READS_AT_ONCE = 8

export interface AdoptOptions {
  /** Ids of every snapshot that has a manifest. */
  readonly snapshotIds: readonly string[]
  readonly signal: AbortSignal
  readonly leavesMax?: number
}

export class AdoptedPacks {
  /** Orphans that were read whole and found to be what they claim. */
  readonly packs = new Map<string, PackRecord>()
  /** Orphans of which nothing is used, because something in them is not what it claims. */
  readonly damagedPacks: string[] = []
  /** Orphans left aside because there are leaves enough. */
  packsLeftAside = 0
  leavesUsed = 0
  /** Packs that an index lists and that are not there, or of another size. Nothing in them counts as stored. */
  lostPacks: ReadonlySet<string> = new Set()
  readonly #places = new LeafPlaces()
  readonly #packsUsed = new Set<string>()

  get leaves(): number {
    return this.#places.size
  }

  /** What was adopted and is named by this run's trees: the new index lists it. */
  get packsUsed(): PackRecord[] {
    return [...this.#packsUsed].map((packId) => this.packs.get(packId)!)
  }

  add(record: PackRecord, leaves: readonly { readonly digest: Uint8Array; readonly place: ChunkPlace }[]): void {
    this.packs.set(record.packId, record)
    for (const { digest, place } of leaves) this.#places.add(digest, place)
  }

  /** Where a leaf of this digest lies. Whoever asks uses it. */
  use(digest: Uint8Array): ChunkPlace | null {
    const place = this.#places.find(digest)
    if (!place) return null
    this.leavesUsed += 1
    this.#packsUsed.add(place.packId)
    return place
  }
}

/** @throws store-…: damage of an orphan, or of an old index, is no reason to fail */
export async function adoptPacks(repository: Repository, options: AdoptOptions): Promise<AdoptedPacks> {
  const adopted = new AdoptedPacks()
  const { orphans, lost } = await takeStock(repository, options)
  adopted.lostPacks = lost
  for (const packId of orphans) {
    options.signal.throwIfAborted()
    if (adopted.leaves >= (options.leavesMax ?? LEAVES_MAX)) adopted.packsLeftAside += 1
    else await adoptPack(repository, packId, adopted)
  }
  return adopted
}

async function adoptPack({ store, keyring }: Repository, packId: string, adopted: AdoptedPacks): Promise<void> {
  try {
    const bytes = Buffer.from(await store.get(packKey(packId)))
    const pack = openPack(packId, bytes, keyring.secrets.dataKeys)
    for (const chunk of pack.chunks) pack.open(chunk)
    const leaves = pack.chunks
      .filter((chunk) => chunk.type === CHUNK_TYPES.leaf)
      .map(({ digest, offset, storedBytes }) => ({ digest, place: { packId, offset, storedBytes } }))
    const digest = Buffer.from(sha256(bytes)).toString('hex')
    adopted.add({ packId, bytes: bytes.length, chunks: pack.chunks.length, sha256: digest }, leaves)
  } catch (error) {
    if (!isDamage(error)) throw error
    adopted.damagedPacks.push(packId)
  }
}

interface PackStock {
  readonly orphans: Set<string>
  readonly lost: Set<string>
}

async function takeStock(repository: Repository, { snapshotIds, signal }: AdoptOptions): Promise<PackStock> {
  const there = new Map<string, number>()
  for await (const { key, bytes } of repository.store.list(PACK_PREFIX)) there.set(packIdOf(key), bytes)
  const stock: PackStock = { orphans: new Set(there.keys()), lost: new Set() }
  const waiting = await countingIndexes(repository, snapshotIds)
  const lane = async () => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      signal.throwIfAborted()
      for (const { packId, bytes } of await packsOfIndex(repository, name)) {
        stock.orphans.delete(packId)
        if (there.get(packId) === bytes) continue
        // A listing may leave out what is there: before anything is called lost, the store is asked for it by name (F17).
        const object = await repository.store.stat(packKey(packId))
        if (object?.bytes !== bytes) stock.lost.add(packId)
      }
    }
  }
  await Promise.all(Array.from({ length: READS_AT_ONCE }, lane))
  for (const packId of await markedPacks(repository, stock)) stock.orphans.delete(packId)
  return stock
}

/**
 * Of snapshots, of those that were forgotten, and what prune made of these. A run that died between its index and its
 * manifest left an index that counts for nothing: it is newer than every snapshot, until another one follows.
 */
async function countingIndexes({ sealed }: Repository, snapshotIds: readonly string[]): Promise<string[]> {
  const newest = indexKey(snapshotIds.at(-1) ?? '')
  const listed = await sealed.names(INDEX_PREFIX)
  const counting = listed.filter((name) => name <= newest || name.startsWith(KEPT_INDEX_PREFIX))
  // A listing may leave out what is there (F17).
  return [...new Set([...snapshotIds.map(indexKey), ...counting])]
}

/** Of marks that cannot be read nobody knows what they hold: then all that might be in them counts as marked. */
async function markedPacks(repository: Repository, { orphans }: PackStock): Promise<Iterable<string>> {
  if (orphans.size === 0) return []
  try {
    return markedSince(await readMarks(repository)).packs.keys()
  } catch (error) {
    if (isDamage(error)) return [...orphans]
    throw error
  }
}

/** The packs of an index that is damaged pass for orphans: they are read, and found whole or not. */
async function packsOfIndex(repository: Repository, name: string): Promise<readonly PackRecord[]> {
  try {
    const bytes = await repository.sealed.read(name, OBJECT_TYPES.index)
    return parsePackIndex(parseCanonical(bytes, name), name).packs
  } catch (error) {
    if (isDamage(error)) return []
    throw error
  }
}
