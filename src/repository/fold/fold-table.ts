/**
 * A table's trees, advanced by the changes of a period: what a full read at the period's end would give, for the cost of
 * what changed.
 *
 *     changes ─→ lineages (net-changes.ts) ─┬─→ where their base rows stand: locator ─→ edits ─→ rows, locator
 *                                           └─→ every step as a line ─→ sorted ─→ change tree
 *
 * Lineages are held in memory. When they would take too much, what there is becomes a tree, durable, and the next
 * changes go on from that.
 */
import type { ChunkReader } from '../pack/chunk-reader.ts'
import { locatorSpec, type TreeSpec } from '../tree/spec.ts'
import { editTree, type TreeEdit } from '../tree/tree-editor.ts'
import type { TreeRoot } from '../tree/tree-root.ts'
import { type BaseRow, BaseRows, type TableRoots } from './base-rows.ts'
import { ChangeLines } from './change-lines.ts'
import { changesSpec } from './change-tree.ts'
import type { FoldChange } from './fold-change.ts'
import { LineTree, type LineTreeOptions } from './line-tree.ts'
import { type GrossCounts, NetChanges } from './net-changes.ts'
import { NetEdits } from './net-edits.ts'

export interface FoldTable extends LineTreeOptions {
  /** With a key. */
  readonly spec: TreeSpec
  readonly previous: TableRoots
  /** In commit order, all of this table. Each batch may be read once. */
  readonly changes: AsyncIterable<readonly FoldChange[]>
  /** Of the store that holds `previous`, and to which the pack writers write. */
  readonly chunks: ChunkReader
  /** Whether the tree of the changes is wanted as well. */
  readonly changeTree: boolean
  readonly signal: AbortSignal
  /** Memory for changes, about. */
  readonly memoryBytes?: number
}

export interface FoldCounts {
  /** Changes, as they came. */
  readonly gross: Readonly<GrossCounts>
  /** Rows that were not there before and are now, the other way round, and those that may have become others. */
  readonly inserted: number
  readonly deleted: number
  readonly updated: number
  readonly leavesRead: number
  readonly leavesStored: number
  /** Of leaves, before encryption. */
  readonly bytesStored: number
}

/** What it names is durable once both pack writers were flushed. */
export interface FoldedTable extends TableRoots {
  /** Null when there were none, or none wanted. */
  readonly changes: TreeRoot | null
  readonly counts: FoldCounts
}

const MEMORY_BYTES = 96 * 1024 * 1024

/**
 * @throws change-log-gap when the changes do not fit the rows; repository-damaged, object-missing; local-disk-full;
 * what the store throws
 */
export async function foldTable(request: FoldTable): Promise<FoldedTable> {
  using tree = new LineTree(changesSpec(request.spec), request)
  const folding = new Folding(request, tree)
  let net = new NetChanges(request.spec, request.changeTree)
  for await (const batch of request.changes) {
    request.signal.throwIfAborted()
    for (const change of batch) net.apply(change)
    if (net.bytes < (request.memoryBytes ?? MEMORY_BYTES)) continue
    await folding.take(net)
    await folding.makeReadable()
    net = new NetChanges(request.spec, request.changeTree)
  }
  await folding.take(net)
  return { ...folding.roots, changes: await tree.finish(), counts: folding.counts }
}

class Folding {
  roots: TableRoots
  readonly counts = {
    gross: { inserts: 0, updates: 0, deletes: 0, truncates: 0 },
    inserted: 0,
    deleted: 0,
    updated: 0,
    leavesRead: 0,
    leavesStored: 0,
    bytesStored: 0,
  }
  readonly #request: FoldTable
  readonly #base: BaseRows
  readonly #changeLines: ChangeLines

  constructor(request: FoldTable, tree: LineTree) {
    this.roots = { rows: request.previous.rows, locator: request.previous.locator }
    this.#request = request
    this.#base = new BaseRows(request.spec, request.chunks, request.keys)
    this.#changeLines = new ChangeLines(request.spec, (lines) => tree.add(lines))
  }

  /** Advances the trees by what the changes come to. */
  async take(net: NetChanges): Promise<void> {
    this.#countGross(net)
    if (net.lineages.length === 0 && !net.isTruncated) return
    const edits = new NetEdits(this.#request.spec)
    if (net.isTruncated) this.counts.deleted += this.roots.rows.rows
    for (const lineage of net.lineages) {
      if (lineage.base !== null) continue
      this.#changeLines.add(lineage, null, null)
      if (lineage.line !== null) edits.addInserted(lineage.line)
    }
    await this.#takeBased(net, edits)
    for (const truncation of this.#request.changeTree ? net.truncations : [])
      this.#changeLines.addTruncation(truncation)

    this.roots = await this.#edit(net.isTruncated ? { rows: null, locator: null } : this.roots, edits)
    this.counts.inserted += edits.inserted
    this.counts.updated += edits.updated
    this.counts.deleted += edits.deleted
  }

  /** What was stored so far can be read back. */
  async makeReadable(): Promise<void> {
    await this.#request.leafPacks.flush()
    await this.#request.nodePacks.flush()
  }

  /** Lineages whose base row went in a truncation only tell their steps. */
  async #takeBased(net: NetChanges, edits: NetEdits): Promise<void> {
    const based = net.lineages.filter(({ base }) => base !== null)
    const wantsBase = (row: BaseRow) => this.#changeLines.needsBase(row.lineage, row.anchor) || edits.movesUnfilled(row)
    const take = (row: BaseRow, line: Buffer | null) => {
      this.#changeLines.add(row.lineage, row, line)
      if (!net.isTruncated) edits.addBased(row, line)
    }

    const unread: BaseRow[] = []
    for (const row of await this.#base.locate(based, this.roots)) {
      if (wantsBase(row)) unread.push(row)
      else take(row, null)
    }
    for await (const { row, line } of this.#base.read(unread, this.roots)) take(row, line)
  }

  async #edit(roots: { rows: TreeRoot | null; locator: TreeRoot | null }, edits: NetEdits): Promise<TableRoots> {
    const locator = locatorSpec(this.#request.spec)
    const rows = await this.#editTree(this.#request.spec, roots.rows, edits.takeRows())
    return {
      rows,
      locator: locator ? await this.#editTree(locator, roots.locator, edits.takeLocator()) : null,
    }
  }

  async #editTree(spec: TreeSpec, root: TreeRoot | null, edits: readonly TreeEdit[]): Promise<TreeRoot> {
    const edited = await editTree({ ...this.#request, spec, root, edits })
    this.counts.leavesRead += edited.leavesRead
    this.counts.leavesStored += edited.leavesStored
    this.counts.bytesStored += edited.bytesStored
    return edited.root
  }

  #countGross({ gross }: NetChanges): void {
    const sum = this.counts.gross
    sum.inserts += gross.inserts
    sum.updates += gross.updates
    sum.deletes += gross.deletes
    sum.truncates += gross.truncates
  }
}
