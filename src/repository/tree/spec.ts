/**
 * What a tree needs to know of a row's line: how many fields, which of them is the anchor, which are the key.
 *
 * A table's locator is a tree of the same kind over derived lines: the primary key's fields, then the anchor's. It
 * answers "whose row is this?" when only the primary key is known, as in a captured DELETE (P1).
 */

export interface TreeSpec {
  /** Enters every salt of the tree, so that equal rows of two tables have unlike digests. */
  readonly name: string
  readonly fieldCount: number
  /** Field number of the anchor, or null for a table that belongs to no patient. */
  readonly anchor: number | null
  /** Field numbers of the primary key, in its order; empty for a bag: a table without a key. */
  readonly key: readonly number[]
}

/** Null where the primary key contains the anchor, where there is no anchor, and where there is no key. */
export function locatorSpec(spec: TreeSpec): TreeSpec | null {
  if (spec.anchor === null || spec.key.length === 0 || spec.key.includes(spec.anchor)) return null
  const keyFields = spec.key.map((_, position) => position)
  return { name: `${spec.name}#locator`, fieldCount: spec.key.length + 1, anchor: null, key: keyFields }
}
