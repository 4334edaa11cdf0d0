/**
 * Whether the rows of a leaf stand where their tree says: in order, behind the leaf before, up to the leaf's own last
 * key, and cut where the rule cuts. The rows themselves were proved by their digest before.
 */
import { CHECK } from '../repository/kernel/kernel.ts'
import type { OpenedLeaf } from '../repository/kernel/opened-leaf.ts'
import { isCut, type KeyHash, LEAF_CUT } from '../repository/tree/boundary.ts'
import { compareBytes } from '../repository/tree/key.ts'
import { BAG_ORDINAL_BYTES, type Rows, rowKey } from '../repository/tree/rows.ts'
import type { TreeSpec } from '../repository/tree/spec.ts'
import type { LeafExpectation } from './leaf-expectations.ts'

/** What is wrong, in words; null when nothing is. */
export function leafProblem(
  spec: TreeSpec,
  rows: Rows,
  { entry, after, isLast }: LeafExpectation,
  hash: KeyHash,
): string | null {
  let previous: Uint8Array | null = after
  let size = 0
  for (let row = 0; row < rows.count; row += 1) {
    const key = fullKey(spec, rows, row, previous)
    if (previous !== null && compareBytes(previous, key) >= 0) return outOfOrder(row)
    const bytes = rows.textStart[row + 1]! - rows.textStart[row]!
    size += bytes
    const cuts = isCut(LEAF_CUT, size, bytes, hash(key))
    if (row + 1 < rows.count && cuts) return cutWithin(row, rows.count)
    if (row + 1 === rows.count && !cuts && !isLast) return NOT_CUT
    previous = key
  }
  const ends = rows.count > 0 && previous !== null && compareBytes(previous, entry.lastKey) === 0
  return ends ? null : OTHER_END
}

/** The same of a leaf that the kernel has opened. */
export function openedLeafProblem(
  leaf: OpenedLeaf,
  { entry, after, isLast }: LeafExpectation,
  cutSeed: bigint,
): string | null {
  const { status, row, lastKey } = leaf.placeOfRows(after, isLast, cutSeed)
  if (status === CHECK.outOfOrder) return outOfOrder(row)
  if (status === CHECK.cutWithin) return cutWithin(row, leaf.count)
  if (status === CHECK.notCut) return NOT_CUT
  return leaf.count > 0 && compareBytes(lastKey, entry.lastKey) === 0 ? null : OTHER_END
}

const NOT_CUT = 'ends where the rule does not cut'
const OTHER_END = 'ends at another key than its parent says'

function outOfOrder(row: number): string {
  return `has row ${row + 1} out of order`
}

function cutWithin(row: number, count: number): string {
  return `should end behind row ${row + 1} of ${count}`
}

/** A row's key in its tree: `parseRows` does not number the rows of a bag. `previous` is the full key before it. */
export function fullKey(spec: TreeSpec, rows: Rows, row: number, previous: Uint8Array | null): Uint8Array {
  return spec.key.length > 0 ? rowKey(rows, row) : withOrdinal(rowKey(rows, row), previous)
}

/** The key of a bag's row, numbered among the equal rows before it. */
function withOrdinal(key: Buffer, previous: Uint8Array | null): Uint8Array {
  const full = Buffer.alloc(key.length + BAG_ORDINAL_BYTES)
  key.copy(full)
  if (previous?.length === full.length && compareBytes(previous.subarray(0, key.length), key) === 0) {
    const ordinal = Buffer.from(previous.buffer, previous.byteOffset, previous.length).readUInt32BE(key.length)
    full.writeUInt32BE(ordinal + 1, key.length)
  }
  return full
}
