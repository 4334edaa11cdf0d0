/**
 * What an earlier snapshot's tree has stored already, so that a new one need not store it again.
 *
 * An old tree that is damaged must not spread: what lies in a pack that is lost counts as not stored, and where an old
 * inner node cannot be read, the rest of that tree is built as if it were new. The source still has the rows; this is
 * how the next snapshot heals what the last one lost. `damaged` says that it happened.
 */
import { isDamage } from '../damage.ts'
import { compareBytes } from './key.ts'
import type { ChunkPlace, TreeEntry } from './node-codec.ts'
import type { TreeReader } from './tree-reader.ts'
import { rootEntry, type TreeRoot } from './tree-root.ts'

const NO_PACKS: ReadonlySet<string> = new Set()

/** Its leaves, looked up in key order while the new ones are cut. Reads inner nodes only, and holds one path of them. */
export class StoredLeaves {
  readonly #entries: AsyncIterator<TreeEntry>
  readonly #lostPacks: ReadonlySet<string>
  #current: TreeEntry | null = null
  #started = false
  damaged = false

  constructor(reader: TreeReader, root: TreeRoot, lostPacks: ReadonlySet<string> = NO_PACKS) {
    this.#entries = reader.leafEntries(root)
    this.#lostPacks = lostPacks
  }

  /** Where the leaf lies, or null. Keys must not go backwards from call to call. @throws store-… */
  async find(lastKey: Uint8Array, digest: Uint8Array): Promise<ChunkPlace | null> {
    if (!this.#started) await this.#advance()
    while (this.#current && compareBytes(this.#current.lastKey, lastKey) < 0) await this.#advance()
    const entry = this.#current
    if (!entry || compareBytes(entry.lastKey, lastKey) !== 0) return null
    if (compareBytes(entry.digest, digest) !== 0) return null
    if (!this.#lostPacks.has(entry.place.packId)) return entry.place
    this.damaged = true
    return null
  }

  async #advance(): Promise<void> {
    this.#started = true
    try {
      const next = await this.#entries.next()
      this.#current = next.done ? null : next.value
    } catch (error) {
      if (!isDamage(error)) throw error
      this.damaged = true
      this.#current = null
    }
  }
}

export interface StoredNodes {
  /** By hex digest: a hundredth of the leaves. */
  readonly places: ReadonlyMap<string, ChunkPlace>
  readonly damaged: boolean
}

export const NO_STORED_NODES: StoredNodes = { places: new Map(), damaged: false }

/** Its inner nodes. @throws store-… */
export async function storedNodes(
  reader: TreeReader,
  root: TreeRoot,
  lostPacks: ReadonlySet<string> = NO_PACKS,
): Promise<StoredNodes> {
  const places = new Map<string, ChunkPlace>()
  const visit = async (entry: TreeEntry, level: number): Promise<boolean> => {
    if (lostPacks.has(entry.place.packId)) return false
    if (level === 0) return true
    let whole = true
    // Without lost packs the lowest inner nodes, which are nearly all of them, need not be read.
    if (level > 1 || lostPacks.size > 0) {
      const node = await reader.readNode(entry, level).catch(unlessDamage)
      whole = node !== null
      for (const child of node?.children ?? []) whole = (await visit(child, level - 1)) && whole
    }
    // A node may be named again only if everything below that was looked at is there.
    if (whole) places.set(Buffer.from(entry.digest).toString('hex'), entry.place)
    return whole
  }
  const whole = await visit(rootEntry(root), root.level)
  return { places, damaged: !whole }
}

function unlessDamage(error: unknown): null {
  if (isDamage(error)) return null
  throw error
}
