/**
 * From the lines of a table, in any order, to the leaves of its tree and of its locator.
 *
 *     lines ─┬─→ sort ─→ cut, digest, encode ─→ leaves of the rows
 *            └─→ key and anchor ─→ sort ─→ … ─→ leaves of the locator
 */

import type { DigestKeys } from '../tree/digest.ts'
import type { ChunkPlace } from '../tree/node-codec.ts'
import { locatorSpec, type TreeSpec } from '../tree/spec.ts'
import type { BuiltLeaf } from '../tree/tree-writer.ts'
import { MergedLeaves } from './merged-leaves.ts'
import { RunSorter } from './run-sorter.ts'

export type TreeKind = 'rows' | 'locator'

/** Where leaves are stored already, asked in key order. */
export type FindStored = (lastKey: Uint8Array, digest: Uint8Array) => Promise<ChunkPlace | null>

export interface TableBuild {
  readonly spec: TreeSpec
  readonly lines: AsyncIterable<Uint8Array>
  readonly keys: DigestKeys & { readonly cutSeed: bigint }
  readonly findStored: Readonly<Record<TreeKind, FindStored>>
  /** False where only digests are wanted. */
  readonly encode: boolean
  /** Row text held in memory while sorting; the locator takes a quarter as much beside it. */
  readonly runBytes: number
  readonly spillDirectory: string
  readonly onLeaf: (tree: TreeKind, leaf: BuiltLeaf) => Promise<void>
  readonly onRead: (bytes: number) => void
}

/** @throws duplicate-key, source-failed, local-disk-full, and what `lines` throws */
export async function buildTable(build: TableBuild): Promise<void> {
  const locator = locatorSpec(build.spec)
  using keys = locator
    ? new RunSorter(locator, { ...build, memory: 'smallest', runBytes: build.runBytes >> 2, onLocatorLines: null })
    : null
  using rows = new RunSorter(build.spec, {
    ...build,
    memory: 'largest',
    onLocatorLines: keys ? (lines) => keys.add(lines) : null,
  })

  for await (const chunk of build.lines) {
    build.onRead(chunk.length)
    rows.add(chunk)
  }

  await buildTree(build, 'rows', build.spec, rows)
  if (locator && keys) await buildTree(build, 'locator', locator, keys)
}

async function buildTree(build: TableBuild, tree: TreeKind, spec: TreeSpec, sorter: RunSorter): Promise<void> {
  sorter.startMerge()
  const options = { spec, keys: build.keys, findStored: build.findStored[tree], encode: build.encode }
  const merged = new MergedLeaves(sorter.kernel, options, () => sorter.refill())
  for await (const leaf of merged.leaves()) await build.onLeaf(tree, leaf)
}
