/**
 * A tree with some of its rows changed: reads the leaves in which something changes, and those behind them until an
 * old boundary is met again, and takes over all the rest as it is stored. Because a tree is a function of its rows, the
 * root is that of a build from scratch.
 *
 * Every edit says whether its key is there before. One that is wrong fails the whole: what was to be applied does not
 * belong to these rows, and no tree of it may come into being.
 */
import { LeafFeed, type RowPiece } from '../build/leaf-feed.ts'
import type { ChunkReader } from '../pack/chunk-reader.ts'
import type { PackWriter } from '../pack/pack-writer.ts'
import type { CutRule } from './boundary.ts'
import { type DigestKeys, TreeDigester } from './digest.ts'
import { firstNotBefore, hasKey } from './find-row.ts'
import { doesNotFit } from './misfit.ts'
import type { ChunkPlace, TreeEntry } from './node-codec.ts'
import { type Rows, rowText } from './rows.ts'
import type { TreeSpec } from './spec.ts'
import { takeApart } from './tree-parts.ts'
import { TreeReader } from './tree-reader.ts'
import type { TreeRoot } from './tree-root.ts'
import { type BuiltLeaf, TreeWriter } from './tree-writer.ts'

export interface TreeEdit {
  /** Encoded. No two edits have the same. */
  readonly key: Uint8Array
  /** Whether the tree has a row of this key before. */
  readonly expects: 'absent' | 'present'
  /** The line, with its newline; null where the row goes. Where it needs the line before, a function of that. */
  readonly after: Uint8Array | ((before: Buffer) => Uint8Array) | null
}

export interface EditTree {
  /** With a key. */
  readonly spec: TreeSpec
  /** Null: no rows. */
  readonly root: TreeRoot | null
  /** In order of their keys. */
  readonly edits: readonly TreeEdit[]
  readonly chunks: ChunkReader
  readonly keys: DigestKeys & { readonly cutSeed: bigint }
  readonly leafPacks: PackWriter
  readonly nodePacks: PackWriter
  readonly signal: AbortSignal
  /** Other than the format's, for tests. */
  readonly cuts?: { readonly leaf: CutRule; readonly node: CutRule }
}

export interface EditedTree {
  /** What it names is durable once both pack writers were flushed. */
  readonly root: TreeRoot
  readonly leavesRead: number
  readonly leavesStored: number
  readonly nodesRead: number
  /** As stored, before encryption. */
  readonly bytesStored: number
}

/** Rows of one piece are parsed at once. */
const PIECE_BYTES = 256 * 1024

/**
 * @throws change-log-gap when an edit does not fit the tree; repository-damaged, object-missing when the tree cannot be
 * read; what the store throws
 */
export async function editTree(request: EditTree): Promise<EditedTree> {
  if (request.root && request.edits.length === 0) {
    return { root: request.root, leavesRead: 0, leavesStored: 0, nodesRead: 0, bytesStored: 0 }
  }
  using editing = new TreeEditing(request)
  return await editing.run()
}

class TreeEditing implements Disposable {
  readonly #request: EditTree
  readonly #reader: TreeReader
  readonly #feed: LeafFeed
  readonly #writer: TreeWriter
  /** Of nodes that were read: one that is built again need not be stored again. */
  readonly #nodes = new Map<string, ChunkPlace>()
  /** As `#nodes`, of leaves read since the last boundary that was met again. */
  readonly #leaves = new Map<string, ChunkPlace>()
  #leavesRead = 0
  #leavesStored = 0
  #bytesStored = 0

  constructor(request: EditTree) {
    const { spec, keys, leafPacks, nodePacks, cuts } = request
    this.#request = request
    const digester = new TreeDigester(keys, spec.name)
    this.#reader = new TreeReader(spec, request.chunks, keys, digester)
    const findStored = async (_: Uint8Array, digest: Uint8Array) => this.#leaves.get(hex(digest)) ?? null
    this.#feed = new LeafFeed({ spec, keys, encode: true, findStored, ...(cuts ? { cut: cuts.leaf } : {}) })
    this.#writer = new TreeWriter({
      treeName: spec.name,
      keys,
      leafPacks,
      nodePacks,
      storedNodes: this.#nodes,
      digester,
      ...(cuts ? { nodeCut: cuts.node } : {}),
    })
  }

  async run(): Promise<EditedTree> {
    const { root, edits } = this.#request
    if (root && root.rows > 0) await this.#editParts(root)
    else await this.#addPieces(null, 0, edits.length)
    for await (const leaf of this.#feed.finish()) await this.#addLeaf(leaf)
    return {
      root: await this.#writer.finish(async (node, level) => await this.#childrenOf(node, level)),
      leavesRead: this.#leavesRead,
      leavesStored: this.#leavesStored,
      nodesRead: this.#nodes.size,
      bytesStored: this.#bytesStored,
    }
  }

  [Symbol.dispose](): void {
    this.#feed[Symbol.dispose]()
  }

  async #editParts(root: TreeRoot): Promise<void> {
    const { edits, signal } = this.#request
    const keys = edits.map(({ key }) => key)
    const onNode = (entry: TreeEntry) => this.#noteNode(entry)
    for await (const part of takeApart({ reader: this.#reader, root, keys, onNode })) {
      signal.throwIfAborted()
      if (part.kind === 'untouched') {
        for (const entry of part.entries) await this.#keep(entry, part.level)
      } else {
        this.#noteLeaf(part.entry)
        await this.#addPieces(await part.rows, part.start, part.end)
      }
    }
  }

  /** Takes over a subtree; where no boundary was met again yet, its parts. */
  async #keep(entry: TreeEntry, level: number): Promise<void> {
    if (this.#feed.isAligned) {
      this.#leaves.clear()
      if (level === 0) return await this.#writer.addLeaf({ ...entry, payload: null })
      if (this.#writer.isAligned(level)) return await this.#writer.addSubtree(entry, level)
    }
    if (level === 0) {
      this.#noteLeaf(entry)
      return await this.#addPieces(await this.#reader.readLeaf(entry), 0, 0)
    }
    for (const child of await this.#childrenOf(entry, level)) await this.#keep(child, level - 1)
  }

  async #addPieces(rows: Rows | null, start: number, end: number): Promise<void> {
    const { spec, edits } = this.#request
    for (const piece of editedPieces(spec, rows, edits.slice(start, end))) {
      for await (const leaf of this.#feed.add(piece)) await this.#addLeaf(leaf)
    }
  }

  async #addLeaf(leaf: BuiltLeaf): Promise<void> {
    if (leaf.payload) {
      this.#leavesStored += 1
      this.#bytesStored += leaf.payload.length
    }
    await this.#writer.addLeaf(leaf)
  }

  async #childrenOf(entry: TreeEntry, level: number): Promise<readonly TreeEntry[]> {
    this.#noteNode(entry)
    return (await this.#reader.readNode(entry, level)).children
  }

  #noteNode(entry: TreeEntry): void {
    this.#nodes.set(hex(entry.digest), entry.place)
  }

  #noteLeaf(entry: TreeEntry): void {
    this.#leavesRead += 1
    this.#leaves.set(hex(entry.digest), entry.place)
  }
}

/** The leaf's rows with the edits made, in pieces that are small, unless a single row is large. */
function* editedPieces(spec: TreeSpec, rows: Rows | null, edits: readonly TreeEdit[]): Generator<RowPiece> {
  let parts: Uint8Array[] = []
  let unproved: number[] = []
  let count = 0
  let textBytes = 0
  let next = 0
  const keep = (end: number): void => {
    if (!rows || end === next) return
    const text = rows.text.subarray(rows.textStart[next], rows.textStart[end])
    parts.push(text)
    count += end - next
    textBytes += text.length
    next = end
  }
  for (const edit of edits) {
    const at = rows ? firstNotBefore(rows, next, edit.key) : 0
    const isThere = rows !== null && hasKey(rows, at, edit.key)
    if (isThere !== (edit.expects === 'present')) {
      throw doesNotFit(spec.name, isThere ? 'adds a row that is there' : 'changes a row that is not there')
    }
    keep(at)
    const line = typeof edit.after === 'function' ? edit.after(rowText(rows!, at)) : edit.after
    if (isThere) next = at + 1
    if (line) {
      parts.push(line)
      unproved.push(count)
      count += 1
      textBytes += line.length
    }
    if (textBytes < PIECE_BYTES) continue
    yield { parts, rows: count, textBytes, unproved }
    parts = []
    unproved = []
    count = 0
    textBytes = 0
  }
  if (rows) keep(rows.count)
  yield { parts, rows: count, textBytes, unproved }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
