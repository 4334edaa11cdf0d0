/**
 * What snapshots need: every pack in which a chunk of one of their trees lies. Inner nodes are read, each once however
 * many snapshots share it, and proved by their digests; of leaves the parents say where they lie. A node that cannot be
 * read hides what is below it, so that nothing can be said, and the walk fails.
 *
 * Memory: some dozen bytes for each inner node, and for each leaf in a pack of which somebody wants to know how much is
 * live.
 */
import { Failure } from '../../errors.ts'
import type { Manifest } from '../../repository/manifest.ts'
import type { ChunkReader } from '../../repository/pack/chunk-reader.ts'
import type { Repository } from '../../repository/repository.ts'
import { type SnapshotTree, treesOf } from '../../repository/snapshot-trees.ts'
import type { TreeEntry } from '../../repository/tree/node-codec.ts'
import { nodeRequest, TreeReader } from '../../repository/tree/tree-reader.ts'
import { rootEntry } from '../../repository/tree/tree-root.ts'

/** Neighbours in a pack, so that one range request brings them. */
const NODES_AT_ONCE = 32

export interface LivePack {
  /** The newest snapshot that needs it. */
  readonly snapshotId: string
  /** Of its chunks that are needed; null where nobody asked. */
  readonly liveBytes: number | null
}

export interface LiveRequest {
  readonly repository: Repository
  /** Newest first. */
  readonly manifests: readonly Manifest[]
  /** Packs of which bytes are counted. */
  readonly counted: ReadonlySet<string>
  readonly signal: AbortSignal
}

/** By pack id. @throws repository-damaged: what is needed is not known; store-…; the signal's reason */
export async function livePacks(request: LiveRequest): Promise<Map<string, LivePack>> {
  const walk = new LiveWalk(request)
  for (const manifest of request.manifests) {
    for (const tree of treesOf(manifest)) await walk.visit(tree)
  }
  return walk.packs()
}

interface Found {
  readonly snapshotId: string
  /** Of chunks that were counted; null where bytes are not. */
  readonly offsets: Map<number, number> | null
}

class LiveWalk {
  readonly #repository: Repository
  readonly #chunks: ChunkReader
  readonly #counted: ReadonlySet<string>
  readonly #signal: AbortSignal
  readonly #visited = new Set<string>()
  readonly #found = new Map<string, Found>()

  constructor({ repository, counted, signal }: LiveRequest) {
    this.#repository = repository
    this.#chunks = repository.chunkReader()
    this.#counted = counted
    this.#signal = signal
  }

  packs(): Map<string, LivePack> {
    return new Map(
      [...this.#found].map(([packId, { snapshotId, offsets }]) => {
        const liveBytes = offsets && [...offsets.values()].reduce((sum, bytes) => sum + bytes, 0)
        return [packId, { snapshotId, liveBytes }]
      }),
    )
  }

  async visit(tree: SnapshotTree): Promise<void> {
    const reader = new TreeReader(tree.spec, this.#chunks, this.#repository.keyring.secrets)
    try {
      await this.#nodes(reader, tree, [rootEntry(tree.root)], tree.root.level)
    } catch (error) {
      throw named(error, tree)
    }
  }

  async #nodes(reader: TreeReader, tree: SnapshotTree, entries: readonly TreeEntry[], level: number): Promise<void> {
    for (const entry of entries) this.#need(tree, entry)
    const fresh = entries.filter((entry) => this.#isNew(tree, entry, level))
    for (let start = 0; start < fresh.length; start += NODES_AT_ONCE) {
      this.#signal.throwIfAborted()
      const batch = fresh.slice(start, start + NODES_AT_ONCE)
      let index = 0
      const below: TreeEntry[] = []
      for await (const encoded of this.#chunks.readMany(batch.map(nodeRequest))) {
        below.push(...reader.decodeNode(batch[index]!, level, encoded).children)
        index += 1
      }
      if (level > 1) await this.#nodes(reader, tree, below, level - 1)
      else for (const leaf of below) this.#need(tree, leaf)
    }
  }

  #need({ snapshotId }: SnapshotTree, { place: { packId, offset, storedBytes } }: TreeEntry): void {
    let found = this.#found.get(packId)
    if (!found) {
      found = { snapshotId, offsets: this.#counted.has(packId) ? new Map() : null }
      this.#found.set(packId, found)
    }
    found.offsets?.set(offset, storedBytes)
  }

  /** A place holds one chunk; what it means hangs on its tree's name too, which the digest covers. */
  #isNew({ spec }: SnapshotTree, { place, digest }: TreeEntry, level: number): boolean {
    const id = `${place.packId} ${place.offset} ${level} ${spec.name} ${Buffer.from(digest).toString('base64')}`
    if (this.#visited.has(id)) return false
    this.#visited.add(id)
    return true
  }
}

function named(error: unknown, { snapshotId, spec }: SnapshotTree): unknown {
  if (!(error instanceof Failure)) return error
  const { code, message, context } = error
  if (code !== 'repository-damaged' && code !== 'object-missing') return error
  const said = `snapshot ${snapshotId}, ${spec.name}: ${message}; what hangs on it is not known`
  return new Failure('repository-damaged', said, {
    context,
    cause: error,
    hints: [
      'Nothing was deleted. Run `chartkeep check` to see what is damaged.',
      'Bring the object back from a copy; or run `chartkeep backup`, which stores it again, and forget what is damaged.',
    ],
  })
}
