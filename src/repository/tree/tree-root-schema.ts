/** How a manifest holds a tree's root. Apart from tree-root.ts, which threads load that read no manifest. */
import { z } from 'zod'

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
