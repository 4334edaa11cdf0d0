/**
 * A tree taken apart along sorted keys: leaves in which a key lies or would lie, read and checked; and what lies
 * between, as the largest whole subtrees there are. Only nodes above such leaves are read, so that the cost follows the
 * keys and not the tree.
 *
 *     root  ─┬─ node ───────────── no key: one part
 *            ├─ node ─┬─ leaf, leaf    no key: parts of their own
 *            │        └─ leaf          keys 0, 1: read
 *            └─ node ─┬─ leaf …        the last leaf also takes keys behind the end of the tree
 */
import { compareBytes } from './key.ts'
import type { TreeEntry, TreeNode } from './node-codec.ts'
import type { Rows } from './rows.ts'
import type { TreeReader } from './tree-reader.ts'
import { rootEntry, type TreeRoot } from './tree-root.ts'

export type TreePart =
  /** Neighbours without a key; of level 0, leaves. */
  | { readonly kind: 'untouched'; readonly entries: readonly TreeEntry[]; readonly level: number }
  /** Keys `[start, end)` lie here. */
  | {
      readonly kind: 'leaf'
      readonly entry: TreeEntry
      readonly rows: Promise<Rows>
      readonly start: number
      readonly end: number
    }

export interface TakeApart {
  readonly reader: TreeReader
  readonly root: TreeRoot
  /** Encoded, in order. */
  readonly keys: readonly Uint8Array[]
  /** Told of every node that is read. */
  readonly onNode?: (entry: TreeEntry) => void
}

/** Reads of leaves and of nodes of one level that are under way at once: a store answers after some milliseconds. */
const PARTS_AHEAD = 32
const NODES_AHEAD = 8

/** Parts in key order; of an empty tree, none. @throws repository-damaged, object-missing, store-… */
export async function* takeApart(request: TakeApart): AsyncGenerator<TreePart> {
  const entry = rootEntry(request.root)
  request.onNode?.(entry)
  const root = await request.reader.readNode(entry, request.root.level)
  yield* readAhead(partsBelow(request, root, { start: 0, end: request.keys.length, isLast: true }), PARTS_AHEAD)
}

interface KeysOf {
  readonly start: number
  readonly end: number
  /** The last node of its level: it also takes what is behind its last key. */
  readonly isLast: boolean
}

async function* partsBelow(request: TakeApart, node: TreeNode, range: KeysOf): AsyncGenerator<TreePart> {
  const touched = touchedChildren(request.keys, node, range)
  const nodes = node.level > 1 ? new NodesAhead(request, node, touched) : null
  let next = 0
  for (const [index, child] of touched.entries()) {
    if (next < child.index) yield untouched(node, next, child.index)
    next = child.index + 1
    if (nodes) yield* partsBelow(request, await nodes.take(index), child)
    else yield leafPart(request.reader, node.children[child.index]!, child)
  }
  if (next < node.children.length) yield untouched(node, next, node.children.length)
}

function untouched(node: TreeNode, start: number, end: number): TreePart {
  return { kind: 'untouched', entries: node.children.slice(start, end), level: node.level - 1 }
}

function leafPart(reader: TreeReader, entry: TreeEntry, { start, end }: KeysOf): TreePart {
  return { kind: 'leaf', entry, rows: awaited(reader.readLeaf(entry)), start, end }
}

interface Touched extends KeysOf {
  readonly index: number
}

function touchedChildren(keys: readonly Uint8Array[], node: TreeNode, range: KeysOf): Touched[] {
  const touched: Touched[] = []
  let start = range.start
  for (const [index, child] of node.children.entries()) {
    if (start === range.end) break
    const isLast = range.isLast && index === node.children.length - 1
    const end = isLast ? range.end : endOfKeys(keys, start, range.end, child.lastKey)
    if (end > start) touched.push({ index, start, end, isLast })
    start = end
  }
  return touched
}

/** Behind the last of keys `[start, end)` that is not behind `lastKey`. */
function endOfKeys(keys: readonly Uint8Array[], start: number, end: number, lastKey: Uint8Array): number {
  let [low, high] = [start, end]
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareBytes(keys[middle]!, lastKey) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Child nodes that will be wanted, read before they are. */
class NodesAhead {
  readonly #request: TakeApart
  readonly #node: TreeNode
  readonly #touched: readonly Touched[]
  readonly #reads = new Map<number, Promise<TreeNode>>()
  #started = 0

  constructor(request: TakeApart, node: TreeNode, touched: readonly Touched[]) {
    this.#request = request
    this.#node = node
    this.#touched = touched
  }

  async take(index: number): Promise<TreeNode> {
    for (; this.#started < Math.min(this.#touched.length, index + NODES_AHEAD); this.#started += 1) {
      const entry = this.#node.children[this.#touched[this.#started]!.index]!
      this.#request.onNode?.(entry)
      this.#reads.set(this.#started, awaited(this.#request.reader.readNode(entry, this.#node.level - 1)))
    }
    const read = this.#reads.get(index)!
    this.#reads.delete(index)
    return await read
  }
}

/** Asks for items before they are wanted. */
async function* readAhead<T>(items: AsyncGenerator<T>, count: number): AsyncGenerator<T> {
  const asked: Promise<IteratorResult<T>>[] = []
  try {
    for (;;) {
      while (asked.length < count) asked.push(awaited(items.next()))
      const { done, value } = await asked.shift()!
      if (done) return
      yield value
    }
  } finally {
    await Promise.allSettled([...asked, items.return(undefined)])
  }
}

/** What fails before anybody waits for it must not end the process; who waits hears of it all the same. */
function awaited<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}
