/**
 * Adds up the locator sums of leaves over whole trees, and compares each table's rows with its locator. A node's sum
 * is computed once, however many snapshots share it.
 */

import type { Manifest } from '../repository/manifest.ts'
import { ChunkReader } from '../repository/pack/chunk-reader.ts'
import type { Repository } from '../repository/repository.ts'
import { isOfTable, specId, type TableTree, treesOf } from '../repository/snapshot-trees.ts'
import type { ChunkPlace, TreeEntry } from '../repository/tree/node-codec.ts'
import { TreeReader } from '../repository/tree/tree-reader.ts'
import { rootEntry } from '../repository/tree/tree-root.ts'
import type { Damage } from './damage.ts'
import { damageOf, type Finding, finding } from './finding.ts'
import type { PackReport } from './scrub-pack.ts'

/** Null: something below is damaged, so that the sum says nothing. */
type Sum = bigint | null

export class LocatorSums {
  readonly #repository: Repository
  readonly #damage: Damage
  readonly #chunks: ChunkReader
  /** By snapshot, table and kind; added up over the passes. */
  readonly #totals = new Map<string, Sum>()
  readonly #packs = new Map<string, Pick<PackReport, 'leafOffsets' | 'leafSums'>>()

  constructor(repository: Repository, damage: Damage) {
    this.#repository = repository
    this.#damage = damage
    this.#chunks = new ChunkReader(repository.store, repository.keyring.secrets.dataKeys)
  }

  addPack(packId: string, { leafOffsets, leafSums }: PackReport): void {
    this.#packs.set(packId, { leafOffsets, leafSums })
  }

  /** Adds the packs of one pass (`packIds`, of which damaged ones were not added) to every tree, and forgets them. */
  async endPass(manifests: readonly Manifest[], packIds: ReadonlySet<string>): Promise<void> {
    const memo = new Map<string, Sum>()
    for (const tree of summedTrees(manifests)) {
      const reader = new TreeReader(tree.spec, this.#chunks, this.#repository.keyring.secrets)
      const sum = await this.#below(reader, rootEntry(tree.root), tree.root.level, { memo, packIds })
      const total = this.#totals.get(treeId(tree))
      this.#totals.set(treeId(tree), total === undefined ? sum : added(total, sum))
    }
    this.#packs.clear()
  }

  findings(manifests: readonly Manifest[]): Finding[] {
    const wrong = new Map<string, string[]>()
    for (const tree of summedTrees(manifests)) {
      const rows = this.#totals.get(treeId({ ...tree, kind: 'rows' }))
      const locator = this.#totals.get(treeId({ ...tree, kind: 'locator' }))
      if (tree.kind === 'rows' || typeof rows !== 'bigint' || typeof locator !== 'bigint' || rows === locator) continue
      wrong.set(tree.table.name, [...(wrong.get(tree.table.name) ?? []), tree.snapshotId])
    }
    return [...wrong].map(([table, snapshots]) => {
      const message = `the locator of ${table} does not name the table's rows`
      const hint = 'Every row is whole. Take a new snapshot, and report this: the locator is made from the rows.'
      return finding({ kind: 'locator-disagrees', message, hint, tables: [table], snapshots: snapshots.sort() })
    })
  }

  async #below(
    reader: TreeReader,
    entry: TreeEntry,
    level: number,
    pass: { readonly memo: Map<string, Sum>; readonly packIds: ReadonlySet<string> },
  ): Promise<Sum> {
    if (level === 0) return pass.packIds.has(entry.place.packId) ? this.#leafSum(entry.place) : 0n
    const id = `${specId(reader.spec)} ${entry.place.packId} ${entry.place.offset}`
    const known = pass.memo.get(id)
    if (known !== undefined) return known
    let sum: Sum = 0n
    try {
      const { children } = await reader.readNode(entry, level)
      for (const child of children) sum = added(sum, await this.#below(reader, child, level - 1, pass))
    } catch (error) {
      // Known already, or it was whole a moment ago: either way nothing was compared, and that is said.
      this.#damage.addChunk(entry.place, 'node-damaged', damageOf(error).message)
      sum = null
    }
    pass.memo.set(id, sum)
    return sum
  }

  #leafSum({ packId, offset }: ChunkPlace): Sum {
    const pack = this.#packs.get(packId)
    if (!pack) return null
    let low = 0
    let high = pack.leafOffsets.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (pack.leafOffsets[middle]! < offset) low = middle + 1
      else high = middle
    }
    return pack.leafOffsets[low] === offset ? pack.leafSums[low]! : null
  }
}

function added(a: Sum, b: Sum): Sum {
  return a === null || b === null ? null : BigInt.asUintN(64, a + b)
}

/** Rows and locators of tables that have both. */
function summedTrees(manifests: readonly Manifest[]): TableTree[] {
  const trees = manifests.flatMap(treesOf).filter(isOfTable)
  return trees.filter(({ table, kind }) => table.locator !== null && (kind === 'rows' || kind === 'locator'))
}

function treeId({ snapshotId, table, kind }: Pick<TableTree, 'snapshotId' | 'table' | 'kind'>): string {
  return `${snapshotId} ${kind} ${table.name}`
}
