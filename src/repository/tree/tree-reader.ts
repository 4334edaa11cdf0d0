/**
 * Reads a tree from its root: one path, one range, or all of it. Every node and leaf is checked against the digest its
 * parent holds before anything of it is used (I3).
 */
import { Failure } from '../../errors.ts'
import { type LeafUse, type OpenedLeaf, openLeaf } from '../kernel/opened-leaf.ts'
import { merkleRoot } from '../ledger/merkle.ts'
import { CHUNK_TYPES } from '../pack/chunk.ts'
import type { ChunkReader, ChunkRequest } from '../pack/chunk-reader.ts'
import { type DigestKeys, TreeDigester } from './digest.ts'
import { compareBytes } from './key.ts'
import { decodeLeaf, type ExpectedLeaf } from './leaf-codec.ts'
import { decodeNode, type TreeEntry, type TreeNode } from './node-codec.ts'
import { parseRows, type Rows } from './rows.ts'
import type { TreeSpec } from './spec.ts'
import { rootEntry, type TreeRoot } from './tree-root.ts'

/** Keys `[start, end)`, encoded; null is open. */
export interface KeyRange {
  readonly start: Uint8Array | null
  readonly end: Uint8Array | null
}

const EVERYTHING: KeyRange = { start: null, end: null }

/** Chunks asked for at once: bounds memory, and is enough to fill a range request. */
export const LEAVES_AT_ONCE = 64
/** A leaf or two: patients' rows lie together, and others' are not to be fetched by the megabyte. */
const SELECTED_GAP_BYTES = 16 * 1024

export class TreeReader {
  readonly spec: TreeSpec
  readonly #chunks: ChunkReader
  readonly #digester: TreeDigester

  constructor(spec: TreeSpec, chunks: ChunkReader, keys: DigestKeys, digester = new TreeDigester(keys, spec.name)) {
    this.spec = spec
    this.#chunks = chunks
    this.#digester = digester
  }

  /** @throws repository-damaged, object-missing */
  async readNode(entry: TreeEntry, level: number): Promise<TreeNode> {
    return this.decodeNode(entry, level, await this.#chunks.read(nodeRequest(entry)))
  }

  /** Decodes and checks a node that was read. @throws repository-damaged */
  decodeNode(entry: TreeEntry, level: number, encoded: Uint8Array): TreeNode {
    const node = decodeNode(encoded, `node ${shortHex(entry.digest)} of ${this.spec.name}`)
    this.#checkNode(node, entry, level)
    return node
  }

  /** Entries of the leaves whose keys may lie in `range`, in key order. */
  async *leafEntries(root: TreeRoot, range: KeyRange = EVERYTHING): AsyncGenerator<TreeEntry> {
    yield* this.#entriesBelow(rootEntry(root), root.level, range)
  }

  /** The rows of one leaf. */
  async readLeaf(entry: TreeEntry): Promise<Rows> {
    return this.decodeLeaf(entry, await this.#chunks.read(leafRequest(entry)))
  }

  /**
   * The rows of leaves that somebody chose, in their order, as many at once as fill a request. What lies between them is
   * somebody else's: more than SELECTED_GAP_BYTES of it is not read along.
   */
  async *readLeaves(entries: readonly TreeEntry[]): AsyncGenerator<Rows> {
    let index = 0
    for await (const encoded of this.#chunks.readMany(entries.map(leafRequest), SELECTED_GAP_BYTES)) {
      yield this.decodeLeaf(entries[index]!, encoded)
      index += 1
    }
  }

  /** Rows of every leaf that touches `range`, leaf by leaf, in key order; rows outside the range are among them. */
  leaves(root: TreeRoot, range: KeyRange = EVERYTHING): AsyncGenerator<Rows> {
    return this.#everyLeaf(root, range, (entry, encoded) => this.decodeLeaf(entry, encoded))
  }

  /** The lines of all leaves, leaf by leaf, in key order; each is gone with the next leaf that this thread decodes. */
  texts(root: TreeRoot): AsyncGenerator<Buffer> {
    return this.#everyLeaf(root, EVERYTHING, (entry, encoded) => {
      const { opened, plain } = this.#prove(entry, encoded, 'text')
      return opened?.viewText() ?? plain!.text
    })
  }

  /** Decodes and checks a leaf that was read. @throws repository-damaged */
  decodeLeaf(entry: TreeEntry, encoded: Uint8Array): Rows {
    const { opened, plain } = this.#prove(entry, encoded, 'rows')
    return opened?.rows() ?? plain!
  }

  /**
   * As `decodeLeaf`, left where the kernel has it, if it can: gone with the next leaf that any reader of this thread
   * decodes. @throws repository-damaged
   */
  openLeaf(entry: TreeEntry, encoded: Uint8Array, use: LeafUse): OpenedLeaf | Rows {
    const { opened, plain } = this.#prove(entry, encoded, use)
    return opened ?? plain!
  }

  /** By the kernel, or plainly where it cannot: exactly one of both is set. */
  #prove(entry: TreeEntry, encoded: Uint8Array, use: LeafUse) {
    const what = `leaf ${shortHex(entry.digest)} of ${this.spec.name}`
    const expected = { rows: entry.rows, columns: this.spec.fieldCount, textBytes: entry.textBytes, what }
    const opened = openLeaf(this.spec, encoded, expected, use)
    const plain = opened ? null : this.#decodePlainly(encoded, expected)
    const groups = opened?.groupDigests(this.#digester) ?? this.#digester.groupDigests(plain!, 0, plain!.count)
    const digest = merkleRoot(groups)
    if (compareBytes(digest, entry.digest) === 0) return { opened, plain }
    throw new Failure('repository-damaged', `${what} holds rows of digest ${shortHex(digest)}`, {
      context: { tree: this.spec.name },
      hints: ['Run `chartkeep scrub` to see everything that is damaged, and what it affects.'],
    })
  }

  #decodePlainly(encoded: Uint8Array, expected: ExpectedLeaf): Rows {
    return parseRows(this.spec, decodeLeaf(encoded, expected))
  }

  async *#entriesBelow(entry: TreeEntry, level: number, range: KeyRange): AsyncGenerator<TreeEntry> {
    const node = await this.readNode(entry, level)
    let previous: Uint8Array | null = null
    for (const child of node.children) {
      const before = range.start !== null && compareBytes(child.lastKey, range.start) < 0
      const after = range.end !== null && previous !== null && compareBytes(previous, range.end) >= 0
      previous = child.lastKey
      if (before) continue
      if (after) return
      if (level === 1) yield child
      else yield* this.#entriesBelow(child, level - 1, range)
    }
  }

  async *#everyLeaf<T>(
    root: TreeRoot,
    range: KeyRange,
    take: (entry: TreeEntry, encoded: Uint8Array) => T,
  ): AsyncGenerator<T> {
    let batch: TreeEntry[] = []
    for await (const entry of this.leafEntries(root, range)) {
      batch.push(entry)
      if (batch.length < LEAVES_AT_ONCE) continue
      yield* this.#readLeaves(batch, take)
      batch = []
    }
    yield* this.#readLeaves(batch, take)
  }

  async *#readLeaves<T>(
    entries: readonly TreeEntry[],
    take: (entry: TreeEntry, encoded: Uint8Array) => T,
  ): AsyncGenerator<T> {
    let index = 0
    for await (const encoded of this.#chunks.readMany(entries.map(leafRequest))) {
      yield take(entries[index]!, encoded)
      index += 1
    }
  }

  #checkNode(node: TreeNode, entry: TreeEntry, level: number): void {
    const problem = nodeProblem(node, entry, level)
    const digest = this.#digester.nodeDigest(node.level, node.children)
    if (problem === null && compareBytes(digest, entry.digest) === 0) return
    throw new Failure(
      'repository-damaged',
      `node ${shortHex(entry.digest)} of ${this.spec.name} ${problem ?? `has digest ${shortHex(digest)}`}`,
      { context: { tree: this.spec.name } },
    )
  }
}

function nodeProblem(node: TreeNode, entry: TreeEntry, level: number): string | null {
  if (node.level !== level) return `is of level ${node.level}, its parent says ${level}`
  let rows = 0
  let textBytes = 0
  let previous: Uint8Array | null = null
  for (const child of node.children) {
    if (previous !== null && compareBytes(previous, child.lastKey) >= 0) return 'has children out of order'
    previous = child.lastKey
    rows += child.rows
    textBytes += child.textBytes
  }
  if (rows !== entry.rows) return `holds ${rows} rows, its parent says ${entry.rows}`
  if (textBytes !== entry.textBytes) return `holds ${textBytes} bytes of text, its parent says ${entry.textBytes}`
  if (entry.lastKey.length > 0 && previous !== null && compareBytes(previous, entry.lastKey) !== 0) {
    return 'ends at another key than its parent says'
  }
  return null
}

export function nodeRequest(entry: TreeEntry): ChunkRequest {
  return { type: CHUNK_TYPES.node, digest: entry.digest, place: entry.place }
}

export function leafRequest(entry: TreeEntry): ChunkRequest {
  return { type: CHUNK_TYPES.leaf, digest: entry.digest, place: entry.place }
}

function shortHex(digest: Uint8Array): string {
  return Buffer.from(digest).toString('hex').slice(0, 16)
}
