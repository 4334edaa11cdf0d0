/**
 * The leaves of an earlier tree, looked up in key order while a new one is built: a leaf that is there already is not
 * stored again. Reads inner nodes only, and holds one path of them.
 */
import { compareBytes } from './key.ts'
import type { ChunkPlace, TreeEntry } from './node-codec.ts'
import type { TreeReader } from './tree-reader.ts'
import { rootEntry, type TreeRoot } from './tree-root.ts'

export class StoredLeaves {
  readonly #entries: AsyncIterator<TreeEntry>
  #current: TreeEntry | null = null
  #started = false

  constructor(reader: TreeReader, root: TreeRoot) {
    this.#entries = reader.leafEntries(root)
  }

  /** Where the leaf lies, or null. Keys must not go backwards from call to call. */
  async find(lastKey: Uint8Array, digest: Uint8Array): Promise<ChunkPlace | null> {
    if (!this.#started) await this.#advance()
    while (this.#current && compareBytes(this.#current.lastKey, lastKey) < 0) await this.#advance()
    const entry = this.#current
    if (!entry || compareBytes(entry.lastKey, lastKey) !== 0) return null
    return compareBytes(entry.digest, digest) === 0 ? entry.place : null
  }

  async #advance(): Promise<void> {
    this.#started = true
    const next = await this.#entries.next()
    this.#current = next.done ? null : next.value
  }
}

/** Places of the inner nodes of a tree, by hex digest: a hundredth of its leaves. */
export async function storedNodes(reader: TreeReader, root: TreeRoot): Promise<Map<string, ChunkPlace>> {
  const places = new Map<string, ChunkPlace>()
  const visit = async (entry: TreeEntry, level: number): Promise<void> => {
    places.set(Buffer.from(entry.digest).toString('hex'), entry.place)
    if (level === 1) return
    for (const child of (await reader.readNode(entry, level)).children) await visit(child, level - 1)
  }
  await visit(rootEntry(root), root.level)
  return places
}
