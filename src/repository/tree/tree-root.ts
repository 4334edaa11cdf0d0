/** A tree as a manifest names it. */
import { z } from 'zod'
import type { TreeEntry } from './node-codec.ts'

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))
const count = z.int().nonnegative()

export const treeRootSchema = z.strictObject({
  /** Digest of the root node: the table's root. */
  digest: hex(32),
  /** Level of the root node; at least 1. */
  level: z.int().min(1).max(64),
  rows: count,
  textBytes: count,
  pack: hex(16),
  offset: count,
  storedBytes: count,
})

export type TreeRoot = z.infer<typeof treeRootSchema>

export function toTreeRoot(entry: TreeEntry, level: number): TreeRoot {
  return {
    digest: Buffer.from(entry.digest).toString('hex'),
    level,
    rows: entry.rows,
    textBytes: entry.textBytes,
    pack: entry.place.packId,
    offset: entry.place.offset,
    storedBytes: entry.place.storedBytes,
  }
}

/** Without the last key, which only a parent knows. */
export function rootEntry(root: TreeRoot): TreeEntry {
  return {
    digest: Buffer.from(root.digest, 'hex'),
    rows: root.rows,
    textBytes: root.textBytes,
    lastKey: new Uint8Array(),
    place: { packId: root.pack, offset: root.offset, storedBytes: root.storedBytes },
  }
}
