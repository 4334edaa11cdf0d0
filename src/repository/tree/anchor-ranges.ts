/**
 * Reads the rows of many key prefixes (anchors, or whole keys) out of a tree in one descent: a node that several of them
 * need is read once, and what lies between them is not read at all.
 */
import { compareBytes } from './key.ts'
import type { TreeEntry } from './node-codec.ts'
import { type Rows, rowKey } from './rows.ts'
import { LEAVES_AT_ONCE, type TreeReader } from './tree-reader.ts'
import { rootEntry, type TreeRoot } from './tree-root.ts'

/** A leaf, and which of its rows begin with a wanted prefix. */
export interface SelectedRows {
  readonly rows: Rows
  readonly selected: readonly number[]
}

/** @param prefixes encoded fields, in any order; each stands for every key that begins with it */
export async function* rowsOfPrefixes(
  reader: TreeReader,
  root: TreeRoot,
  prefixes: readonly Uint8Array[],
): AsyncGenerator<SelectedRows> {
  const wanted = [...prefixes].sort(compareBytes)
  if (wanted.length === 0) return
  let batch: TreeEntry[] = []
  for await (const entry of entriesOf(reader, rootEntry(root), root.level, wanted, null)) {
    batch.push(entry)
    if (batch.length < LEAVES_AT_ONCE) continue
    yield* selectedIn(reader, batch, wanted)
    batch = []
  }
  yield* selectedIn(reader, batch, wanted)
}

async function* selectedIn(
  reader: TreeReader,
  entries: readonly TreeEntry[],
  wanted: readonly Uint8Array[],
): AsyncGenerator<SelectedRows> {
  for await (const rows of reader.readLeaves(entries)) {
    const selected = selectRows(rows, wanted)
    if (selected.length > 0) yield { rows, selected }
  }
}

async function* entriesOf(
  reader: TreeReader,
  entry: TreeEntry,
  level: number,
  wanted: readonly Uint8Array[],
  after: Uint8Array | null,
): AsyncGenerator<TreeEntry> {
  const node = await reader.readNode(entry, level)
  let previous = after
  for (const child of node.children) {
    const isWanted = meets(wanted, previous, child.lastKey)
    if (isWanted && level === 1) yield child
    else if (isWanted) yield* entriesOf(reader, child, level - 1, wanted, previous)
    previous = child.lastKey
  }
}

/** Whether a key in `(after, lastKey]` may begin with one of `wanted`. */
function meets(wanted: readonly Uint8Array[], after: Uint8Array | null, lastKey: Uint8Array): boolean {
  // The first prefix whose keys do not all lie at or before `after`.
  const index = after === null ? 0 : firstIndex(wanted.length, (one) => reachesBeyond(wanted[one]!, after))
  const prefix = wanted[index]
  return prefix !== undefined && compareBytes(prefix, lastKey) <= 0
}

function reachesBeyond(prefix: Uint8Array, after: Uint8Array): boolean {
  return compareBytes(prefix, after) > 0 || startsWith(after, prefix)
}

/**
 * Rows and prefixes are both in order: from one prefix's rows to the next one's, each found by halving. Encoded fields are
 * prefix-free, so no wanted prefix begins another.
 */
export function selectRows(rows: Rows, wanted: readonly Uint8Array[]): number[] {
  const selected: number[] = []
  for (let row = 0; row < rows.count; ) {
    const key = rowKey(rows, row)
    const next = firstIndex(wanted.length, (index) => compareBytes(wanted[index]!, key) > 0)
    const prefix = wanted[next - 1]
    if (prefix && startsWith(key, prefix)) {
      const end = rowsBefore(rows, row, (other) => !startsWith(other, prefix))
      for (; row < end; row += 1) selected.push(row)
    } else {
      const following = wanted[next]
      if (!following) break
      row = rowsBefore(rows, row, (other) => compareBytes(other, following) >= 0)
    }
  }
  return selected
}

/** The first row from `from` on of which `holds` is true, as it is then of all that follow; their count when of none. */
function rowsBefore(rows: Rows, from: number, holds: (key: Uint8Array) => boolean): number {
  // Usually one of few, or all that is left.
  if (!holds(rowKey(rows, rows.count - 1))) return rows.count
  for (let step = 1, low = from; ; step *= 2) {
    const high = Math.min(low + step, rows.count)
    if (high === rows.count || holds(rowKey(rows, high - 1))) {
      return low + firstIndex(high - low, (index) => holds(rowKey(rows, low + index)))
    }
    low = high
  }
}

function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return key.length >= prefix.length && compareBytes(key.subarray(0, prefix.length), prefix) === 0
}

/** Of so many in order, the first of which `holds` is true, as it is of all that follow; `count` when of none. */
function firstIndex(count: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}
