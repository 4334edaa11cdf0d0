/**
 * `buildTable` in plain TypeScript, with a whole table in memory: clear, slow, and the oracle that the kernel's work is
 * compared with, bit by bit.
 */
import { locatorSpec, type TreeSpec } from '../tree/spec.ts'
import type { TableBuild, TreeKind } from './build-table.ts'
import { LeafBuilder } from './leaf-builder.ts'
import { LocatorLines } from './locator-lines.ts'
import { sortedRows } from './sorted-rows.ts'

/** @throws duplicate-key, source-failed, and what `lines` throws */
export async function buildTablePlainly(build: TableBuild): Promise<void> {
  const text = Buffer.concat(await Array.fromAsync(build.lines))
  await buildTree(build, 'rows', build.spec, text)
  const locator = locatorSpec(build.spec)
  if (locator) await buildTree(build, 'locator', locator, Buffer.from(new LocatorLines(build.spec).derive(text)))
}

async function buildTree(build: TableBuild, tree: TreeKind, spec: TreeSpec, text: Buffer): Promise<void> {
  const builder = new LeafBuilder({ spec, keys: build.keys, findStored: build.findStored[tree], encode: build.encode })
  for await (const leaf of builder.add(sortedRows(spec, text))) await build.onLeaf(tree, leaf)
  for await (const leaf of builder.finish()) await build.onLeaf(tree, leaf)
}
