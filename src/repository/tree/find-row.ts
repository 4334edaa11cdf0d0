/** Rows by their keys: within a leaf, and from a whole tree. */
import { type Rows, rowText } from './rows.ts'
import { takeApart } from './tree-parts.ts'
import type { TreeReader } from './tree-reader.ts'
import type { TreeRoot } from './tree-root.ts'

/** The first row from `start` whose key is not before `key`; the number of rows where there is none. */
export function firstNotBefore(rows: Rows, start: number, key: Uint8Array): number {
  let [low, high] = [start, rows.count]
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareKey(rows, middle, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

export function hasKey(rows: Rows, row: number, key: Uint8Array): boolean {
  return row < rows.count && compareKey(rows, row, key) === 0
}

function compareKey(rows: Rows, row: number, key: Uint8Array): number {
  return rows.keys.compare(key, 0, key.length, rows.keyStart[row], rows.keyStart[row + 1])
}

export interface FoundRow {
  /** Position in the keys asked for. */
  readonly index: number
  /** The line with its newline: a view of its leaf. */
  readonly line: Buffer
}

/**
 * The rows of the tree that have one of `keys`, which are encoded and in order; keys of no row are passed over.
 * @throws repository-damaged, object-missing, store-…
 */
export async function* findRows(
  reader: TreeReader,
  root: TreeRoot,
  keys: readonly Uint8Array[],
): AsyncGenerator<FoundRow> {
  if (keys.length === 0 || root.rows === 0) return
  for await (const part of takeApart({ reader, root, keys })) {
    if (part.kind !== 'leaf') continue
    const rows = await part.rows
    let row = 0
    for (let index = part.start; index < part.end; index += 1) {
      row = firstNotBefore(rows, row, keys[index]!)
      if (hasKey(rows, row, keys[index]!)) yield { index, line: rowText(rows, row) }
    }
  }
}
