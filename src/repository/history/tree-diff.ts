/**
 * In which rows two trees of one table differ: two snapshots', or a snapshot's and a state's. What both have in common
 * goes by its digest and is not read, so that the cost follows the difference.
 *
 *     nodes, level by level      those that both have are struck out, the others opened
 *     leaves that are left       merged by key
 *
 * Equal digests are struck out one against one: a bag may have the same leaf several times.
 */
import { compareBytes } from '../tree/key.ts'
import type { TreeEntry } from '../tree/node-codec.ts'
import { type Rows, rowKey, rowText } from '../tree/rows.ts'
import type { TreeReader } from '../tree/tree-reader.ts'
import { rootEntry, type TreeRoot } from '../tree/tree-root.ts'

/** One side is null where the row is not there. Lines without newline; copies. */
export interface RowDifference {
  readonly before: Buffer | null
  readonly after: Buffer | null
}

export interface TreeSide {
  readonly reader: TreeReader
  readonly root: TreeRoot
}

export interface DiffOptions {
  /** The lines of both sides have the same columns, so that equal bytes are equal rows. */
  readonly isSameLayout: boolean
  /** Of two lines of one key. */
  readonly isSame: (before: Buffer, after: Buffer) => boolean
}

/**
 * In order of keys. Both sides are of one table: they have its name, the same anchor and the same key. Null is no rows.
 * @throws repository-damaged, object-missing, store-…
 */
export async function* diffTrees(
  before: TreeSide | null,
  after: TreeSide | null,
  { isSameLayout, isSame }: DiffOptions,
): AsyncGenerator<RowDifference> {
  const [left, right] = await leavesToCompare(before, after, isSameLayout)
  const old = rowsOf(before, left)
  const now = rowsOf(after, right)
  let a = await take(old)
  let b = await take(now)
  while (a || b) {
    const order = !a ? 1 : !b ? -1 : compareBytes(a.key, b.key)
    if (order < 0) yield { before: a!.line, after: null }
    else if (order > 0) yield { before: null, after: b!.line }
    else if (!isSame(a!.line, b!.line)) yield { before: a!.line, after: b!.line }
    if (order <= 0) a = await take(old)
    if (order >= 0) b = await take(now)
  }
}

interface Level {
  readonly side: TreeSide | null
  level: number
  entries: readonly TreeEntry[]
}

/** In key order, each side's without those that the other has, too, where equal bytes are equal rows. */
async function leavesToCompare(
  before: TreeSide | null,
  after: TreeSide | null,
  isSameLayout: boolean,
): Promise<readonly [readonly TreeEntry[], readonly TreeEntry[]]> {
  const [left, right] = [topOf(before), topOf(after)]
  while (left.level > 0 || right.level > 0) {
    if (isSameLayout && left.level === right.level) strikeOut(left, right)
    const level = Math.max(left.level, right.level)
    for (const each of [left, right].filter((one) => one.level === level)) await open(each)
  }
  if (isSameLayout) strikeOut(left, right)
  return [left.entries, right.entries]
}

function topOf(side: TreeSide | null): Level {
  return { side, level: side?.root.level ?? 0, entries: side ? [rootEntry(side.root)] : [] }
}

async function open(at: Level): Promise<void> {
  const children: TreeEntry[] = []
  for (const entry of at.entries) children.push(...(await at.side!.reader.readNode(entry, at.level)).children)
  at.entries = children
  at.level -= 1
}

function strikeOut(left: Level, right: Level): void {
  const common = commonDigests(left.entries, right.entries)
  left.entries = without(left.entries, common)
  right.entries = without(right.entries, common)
}

/** How often both have each digest. */
function commonDigests(left: readonly TreeEntry[], right: readonly TreeEntry[]): ReadonlyMap<string, number> {
  const [counts, common] = [new Map<string, number>(), new Map<string, number>()]
  for (const entry of left) counts.set(nameOf(entry), (counts.get(nameOf(entry)) ?? 0) + 1)
  for (const entry of right) {
    const name = nameOf(entry)
    const shared = common.get(name) ?? 0
    if (shared < (counts.get(name) ?? 0)) common.set(name, shared + 1)
  }
  return common
}

/** The first ones of each are taken out: rows that are equal may stand for each other. */
function without(entries: readonly TreeEntry[], common: ReadonlyMap<string, number>): TreeEntry[] {
  const left = new Map(common)
  return entries.filter((entry) => {
    const name = nameOf(entry)
    const count = left.get(name) ?? 0
    if (count > 0) left.set(name, count - 1)
    return count === 0
  })
}

function nameOf({ digest }: TreeEntry): string {
  return Buffer.from(digest).toString('latin1')
}

interface KeyedLine {
  readonly key: Buffer
  readonly line: Buffer
}

async function* rowsOf(side: TreeSide | null, leaves: readonly TreeEntry[]): AsyncGenerator<KeyedLine> {
  for (const entry of leaves) {
    const rows: Rows = await side!.reader.readLeaf(entry)
    for (let row = 0; row < rows.count; row += 1) {
      yield { key: Buffer.from(rowKey(rows, row)), line: Buffer.from(rowText(rows, row).subarray(0, -1)) }
    }
  }
}

async function take(rows: AsyncGenerator<KeyedLine>): Promise<KeyedLine | null> {
  const next = await rows.next()
  return next.done ? null : next.value
}
