/** All rows of a table in the order of their keys, in memory: what the kernel's sorting and merging is tested against. */
import { BAG_ORDINAL_BYTES, parseRows, type Rows } from '../tree/rows.ts'
import type { TreeSpec } from '../tree/spec.ts'
import { duplicateKey } from './duplicate-key.ts'
import { RowsBuilder } from './rows-builder.ts'
import { compareKeys, sortedOrder } from './sort-rows.ts'

/** A bag's keys have their ordinals. @throws duplicate-key, source-failed */
export function sortedRows(spec: TreeSpec, text: Buffer): Rows {
  const rows = parseRows(spec, text)
  const builder = new RowsBuilder(text.length)
  for (const row of sortedOrder(rows)) builder.append(rows, row)
  const sorted = builder.take()
  if (spec.key.length === 0) return withOrdinals(sorted)
  for (let row = 1; row < sorted.count; row += 1) {
    if (compareKeys(sorted, row - 1, sorted, row) === 0) throw duplicateKey(spec.name)
  }
  return sorted
}

/** Numbers the equal rows of a bag, so that every row has a key of its own. */
function withOrdinals(rows: Rows): Rows {
  const keys = Buffer.allocUnsafe(rows.keys.length + rows.count * BAG_ORDINAL_BYTES)
  const keyStart = new Uint32Array(rows.count + 1)
  let last: Buffer = Buffer.alloc(0)
  let ordinal = 0
  let at = 0
  for (let row = 0; row < rows.count; row += 1) {
    const key = rows.keys.subarray(rows.keyStart[row], rows.keyStart[row + 1])
    ordinal = last.equals(key) ? ordinal + 1 : 0
    last = key
    keyStart[row] = at
    at += key.copy(keys, at)
    at = keys.writeUInt32BE(ordinal, at)
  }
  keyStart[rows.count] = at
  return { ...rows, keys, keyStart }
}
