/**
 * Visits every inner node of the trees it is given, each once, however many snapshots share it. A node is checked in
 * its place: its digest and counts against its parent (TreeReader), and where it ends against the cut rule.
 *
 * What a leaf or node must be depends on its neighbours too: its keys lie behind the last key of the one before, and
 * only the last one of a tree may end where the rule does not say so. A node that two trees share with different
 * neighbours is therefore visited twice, along one path.
 *
 * Memory: a few dozen bytes for each inner node (a hundredth of the leaves), and one path of nodes.
 */
import { hash } from 'node:crypto'
import { ChunkReader } from '../repository/pack/chunk-reader.ts'
import type { Repository } from '../repository/repository.ts'
import { type SnapshotTree, specId } from '../repository/snapshot-trees.ts'
import { isCut, type KeyHash, keyHash, NODE_CUT } from '../repository/tree/boundary.ts'
import type { ChunkPlace, TreeEntry, TreeNode } from '../repository/tree/node-codec.ts'
import { nodeRequest, TreeReader } from '../repository/tree/tree-reader.ts'
import { rootEntry } from '../repository/tree/tree-root.ts'
import { damageOf } from './finding.ts'

/** A chunk where a tree has it. */
export interface Seat {
  readonly tree: SnapshotTree
  readonly entry: TreeEntry
  /** 0 for a leaf. */
  readonly level: number
  /** The last key before this chunk's first; null at the tree's beginning. */
  readonly after: Uint8Array | null
  /** Nothing of the tree lies behind it. */
  readonly isLast: boolean
}

export interface Visitor {
  /** False leaves out the node and all below it: its pack is known to be lost. */
  readonly wants: (place: ChunkPlace) => boolean
  /** Before the node is read. */
  readonly onNode: (seat: Seat) => void
  readonly onLeaf: (seat: Seat) => void
  /** The node cannot be read, or is not what its parent says. */
  readonly onDamage: (seat: Seat, message: string) => void
  /** The node is whole, and does not end where a tree of these rows would cut it. */
  readonly onShape: (seat: Seat, message: string) => void
}

/** Nodes asked for at once: neighbours in a pack, so that one range request brings them. */
const NODES_AT_ONCE = 32

export class TreeWalk {
  nodes = 0
  readonly #repository: Repository
  readonly #chunks: ChunkReader
  readonly #visitor: Visitor
  readonly #signal: AbortSignal
  readonly #visited = new Set<string>()
  readonly #hashes = new Map<number, KeyHash>()

  constructor(repository: Repository, visitor: Visitor, signal: AbortSignal) {
    this.#repository = repository
    this.#chunks = new ChunkReader(repository.store, repository.keyring.secrets.dataKeys)
    this.#visitor = visitor
    this.#signal = signal
  }

  get bytesRead(): number {
    return this.#chunks.bytesRead
  }

  /** @throws store-…: what could not be looked at */
  async visit(tree: SnapshotTree): Promise<void> {
    const reader = new TreeReader(tree.spec, this.#chunks, this.#repository.keyring.secrets)
    const root: Seat = { tree, entry: rootEntry(tree.root), level: tree.root.level, after: null, isLast: true }
    await this.#visitAll(reader, [root])
  }

  async #visitAll(reader: TreeReader, seats: readonly Seat[]): Promise<void> {
    for (const seat of seats) this.#visitor.onNode(seat)
    const fresh = seats.filter((seat) => this.#visitor.wants(seat.entry.place) && this.#isNew(seat))
    for (let start = 0; start < fresh.length; start += NODES_AT_ONCE) {
      this.#signal.throwIfAborted()
      const batch = fresh.slice(start, start + NODES_AT_ONCE)
      const nodes = await this.#readNodes(reader, batch)
      for (const [index, node] of nodes.entries()) if (node) await this.#below(reader, batch[index]!, node)
    }
  }

  async #below(reader: TreeReader, seat: Seat, node: TreeNode): Promise<void> {
    this.nodes += 1
    this.#checkCut(seat, node)
    const children = childSeats(seat, node)
    if (seat.level > 1) return await this.#visitAll(reader, children)
    for (const leaf of children) this.#visitor.onLeaf(leaf)
  }

  /** All at once; where that fails, one by one, to know which. */
  async #readNodes(reader: TreeReader, seats: readonly Seat[]): Promise<(TreeNode | null)[]> {
    const nodes: (TreeNode | null)[] = []
    try {
      for await (const encoded of this.#chunks.readMany(seats.map((seat) => nodeRequest(seat.entry)))) {
        const seat = seats[nodes.length]!
        nodes.push(reader.decodeNode(seat.entry, seat.level, encoded))
      }
      return nodes
    } catch (error) {
      damageOf(error)
    }
    for (const seat of seats.slice(nodes.length)) {
      try {
        nodes.push(await reader.readNode(seat.entry, seat.level))
      } catch (error) {
        this.#visitor.onDamage(seat, damageOf(error).message)
        nodes.push(null)
      }
    }
    return nodes
  }

  #checkCut(seat: Seat, { level, children }: TreeNode): void {
    const last = children.length - 1
    const wrong = children.findIndex((child, index) => {
      const cut = isCut(NODE_CUT, index + 1, 1, this.#hash(level)(child.lastKey))
      return index < last ? cut : !cut && !seat.isLast
    })
    if (wrong < 0) return
    const problem =
      wrong < last ? `should end behind child ${wrong + 1} of ${last + 1}` : 'ends where the rule does not cut'
    this.#visitor.onShape(seat, `a node of level ${level} of ${seat.tree.spec.name} ${problem}`)
  }

  #hash(level: number): KeyHash {
    const known = this.#hashes.get(level)
    if (known) return known
    const made = keyHash(this.#repository.keyring.secrets.cutSeed, level)
    this.#hashes.set(level, made)
    return made
  }

  #isNew(seat: Seat): boolean {
    const id = seatId(seat)
    if (this.#visited.has(id)) return false
    this.#visited.add(id)
    return true
  }
}

export function childSeats(seat: Seat, node: TreeNode): Seat[] {
  return node.children.map((entry, index) => ({
    tree: seat.tree,
    entry,
    level: seat.level - 1,
    after: index === 0 ? seat.after : node.children[index - 1]!.lastKey,
    isLast: seat.isLast && index === node.children.length - 1,
  }))
}

/** The chunk, the form of its tree, and its neighbourhood. */
function seatId({ tree, entry, after, isLast }: Seat): string {
  const { packId, offset } = entry.place
  const where = `${specId(tree.spec)} ${packId} ${offset} ${isLast} `
  const parts = [Buffer.from(where), entry.digest, after ?? Buffer.of()]
  return hash('sha256', Buffer.concat(parts), 'base64')
}
