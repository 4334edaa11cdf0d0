/** A tree as a manifest names it. */
import type { z } from 'zod'
import type { TreeEntry } from './node-codec.ts'
import type { treeRootSchema } from './tree-root-schema.ts'

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
