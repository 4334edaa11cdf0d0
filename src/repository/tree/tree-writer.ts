/**
 * Builds a tree from its leaves, which come in key order: stores the leaves that are new, and the inner nodes above.
 * Nodes that the previous snapshot's tree has are not stored again; that, with reused leaves, is all there is to an
 * increment.
 *
 * A whole subtree of another tree may be put in where no node below its height is open: it is then what would have
 * been built of its leaves.
 */
import { assert } from '../../errors.ts'
import { CHUNK_TYPES, packPayload, unpackPayload } from '../pack/chunk.ts'
import type { PackWriter } from '../pack/pack-writer.ts'
import { type CutRule, isCut, type KeyHash, keyHash, NODE_CUT } from './boundary.ts'
import type { DigestKeys } from './digest.ts'
import { TreeDigester } from './digest.ts'
import { compareBytes } from './key.ts'
import { type ChunkPlace, decodeNode, encodeNode, PACK_ID_BYTES, type TreeEntry } from './node-codec.ts'
import { type TreeRoot, toTreeRoot } from './tree-root.ts'

/** A leaf as a worker built it. Exactly one of `payload` (new) and `place` (stored by an earlier snapshot) is set. */
export interface BuiltLeaf {
  readonly digest: Uint8Array
  readonly lastKey: Uint8Array
  readonly rows: number
  readonly textBytes: number
  readonly payload: Uint8Array | null
  readonly place: ChunkPlace | null
}

export interface TreeWriterOptions {
  readonly treeName: string
  readonly keys: DigestKeys & { readonly cutSeed: bigint }
  /** Null, both of them, for a tree that is wanted for its digests alone: nothing is stored, and no place means anything. */
  readonly leafPacks: PackWriter | null
  readonly nodePacks: PackWriter | null
  /** Places of inner nodes that are already stored, by hex digest. */
  readonly storedNodes: ReadonlyMap<string, ChunkPlace>
  readonly nodeCut?: CutRule
  /** Of this tree; one that knows its keys already saves time. */
  readonly digester?: TreeDigester
}

/** Any number of nodes but exactly one. */
const MANY = 2
const NOWHERE: ChunkPlace = { packId: '0'.repeat(2 * PACK_ID_BYTES), offset: 0, storedBytes: 0 }

export class TreeWriter {
  readonly #options: TreeWriterOptions
  readonly #digester: TreeDigester
  readonly #levels: OpenLevel[] = []
  #lastKey: Uint8Array | null = null

  constructor(options: TreeWriterOptions) {
    this.#options = options
    this.#digester = options.digester ?? new TreeDigester(options.keys, options.treeName)
  }

  /** Leaves must come in key order. */
  async addLeaf(leaf: BuiltLeaf): Promise<void> {
    this.#notBefore(leaf.lastKey)
    const place = leaf.place ?? (await this.#storeLeaf(leaf))
    await this.#addChild(1, { ...leaf, place })
  }

  /** Whether a node of `level` would begin with the next leaf. */
  isAligned(level: number): boolean {
    return this.#levels.every((open, index) => index >= level || open.children.length === 0)
  }

  /**
   * A node that is stored, with all below it. The tree that it comes from has the same name and rules, and the node
   * either ended by the cut rule there, or is the last of this tree too.
   */
  async addSubtree(node: TreeEntry, level: number): Promise<void> {
    assert(this.isAligned(level), `a subtree of ${this.#options.treeName} begins where a node begins`)
    this.#notBefore(node.lastKey)
    // How many nodes of the levels between there are is not known, nor needed: see `finish`.
    for (let below = 1; below < level; below += 1) this.#level(below).emitted += MANY
    const open = this.#level(level)
    open.emitted += 1
    open.lastIsForeign = true
    await this.#addChild(level + 1, node)
  }

  /**
   * The root is a node of level 1 or more; of an empty tree, a node without children. `childrenOf` is asked about a
   * subtree that was put in and turns out to be all there is.
   */
  async finish(childrenOf?: (node: TreeEntry, level: number) => Promise<readonly TreeEntry[]>): Promise<TreeRoot> {
    let level = 1
    for (;;) {
      const open = this.#level(level)
      const isTop = this.#levels.length === level
      if (isTop && open.emitted === 0) {
        return toTreeRoot(await this.#storeNode(level, open.children), level)
      }
      if (open.children.length > 0) await this.#closeNode(level)
      // A level that came to exactly one node is the root itself, not a child of another.
      const above = this.#level(level + 1)
      if (open.emitted === 1) {
        const only = above.children[0]!
        return open.lastIsForeign && childrenOf ? await lowestOnly(only, level, childrenOf) : toTreeRoot(only, level)
      }
      level += 1
    }
  }

  #notBefore(lastKey: Uint8Array): void {
    const inOrder = this.#lastKey === null || compareBytes(this.#lastKey, lastKey) < 0
    assert(inOrder, `leaves of ${this.#options.treeName} come in key order`)
    this.#lastKey = lastKey
  }

  async #storeLeaf(leaf: BuiltLeaf): Promise<ChunkPlace> {
    const packs = this.#options.leafPacks
    if (!packs) return NOWHERE
    assert(leaf.payload !== null, 'a leaf is either stored already or brings its bytes')
    return await packs.add(CHUNK_TYPES.leaf, leaf.digest, leaf.payload)
  }

  async #addChild(level: number, child: TreeEntry): Promise<void> {
    const open = this.#level(level)
    open.children.push(child)
    const rule = this.#options.nodeCut ?? NODE_CUT
    if (isCut(rule, open.children.length, 1, open.hash(child.lastKey))) await this.#closeNode(level)
  }

  async #closeNode(level: number): Promise<void> {
    const open = this.#level(level)
    const children = open.children
    open.children = []
    open.emitted += 1
    open.lastIsForeign = false
    await this.#addChild(level + 1, await this.#storeNode(level, children))
  }

  async #storeNode(level: number, children: readonly TreeEntry[]): Promise<TreeEntry> {
    const digest = this.#digester.nodeDigest(level, children)
    const stored = this.#options.storedNodes.get(Buffer.from(digest).toString('hex'))
    return {
      digest,
      rows: children.reduce((sum, child) => sum + child.rows, 0),
      textBytes: children.reduce((sum, child) => sum + child.textBytes, 0),
      lastKey: children.at(-1)?.lastKey ?? new Uint8Array(),
      place: stored ?? (await this.#place(level, children, digest)),
    }
  }

  async #place(level: number, children: readonly TreeEntry[], digest: Uint8Array): Promise<ChunkPlace> {
    const packs = this.#options.nodePacks
    return packs ? await packs.add(CHUNK_TYPES.node, digest, this.#encode(level, children)) : NOWHERE
  }

  /** Encoded, then decoded again: an encoder that went wrong must fail the backup, not the restore (F27). */
  #encode(level: number, children: readonly TreeEntry[]): Uint8Array {
    const payload = packPayload(encodeNode({ level, children }))
    const decoded = decodeNode(unpackPayload(payload, 'a new node'), 'a new node')
    const isSame = decoded.level === level && decoded.children.length === children.length
    assert(
      isSame && decoded.children.every((child, index) => isSameEntry(child, children[index]!)),
      `a node of ${this.#options.treeName} decodes to what was encoded`,
    )
    return payload
  }

  #level(level: number): OpenLevel {
    while (this.#levels.length < level) {
      const next = this.#levels.length + 1
      this.#levels.push({
        children: [],
        emitted: 0,
        lastIsForeign: false,
        hash: keyHash(this.#options.keys.cutSeed, next),
      })
    }
    return this.#levels[level - 1]!
  }
}

/** A subtree that is the whole tree: its root is the lowest level that has but one node. */
async function lowestOnly(
  node: TreeEntry,
  level: number,
  childrenOf: (node: TreeEntry, level: number) => Promise<readonly TreeEntry[]>,
): Promise<TreeRoot> {
  if (level === 1) return toTreeRoot(node, level)
  const children = await childrenOf(node, level)
  return children.length === 1 ? await lowestOnly(children[0]!, level - 1, childrenOf) : toTreeRoot(node, level)
}

function isSameEntry(a: TreeEntry, b: TreeEntry): boolean {
  const { packId, offset, storedBytes } = a.place
  const isSamePlace = packId === b.place.packId && offset === b.place.offset && storedBytes === b.place.storedBytes
  const isSameSize = a.rows === b.rows && a.textBytes === b.textBytes
  return isSamePlace && isSameSize && compareBytes(a.digest, b.digest) === 0 && compareBytes(a.lastKey, b.lastKey) === 0
}

interface OpenLevel {
  children: TreeEntry[]
  /** Nodes of this level that were closed; of subtrees that were put in, some number above one for each. */
  emitted: number
  /** The last of them was put in as the top of a subtree. */
  lastIsForeign: boolean
  readonly hash: KeyHash
}
