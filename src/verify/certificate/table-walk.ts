/**
 * One table from baseline to end, row by row, in one pass over both trees and what the change log tells in between:
 *
 *     baseline   a b c   e        told   b: updated, x: inserted and deleted again, e: deleted
 *     end        a b c d          not told: d is new
 *
 * Leaves that both trees have, and of which nothing is told, are read once and compared not at all. A difference that
 * the told changes do not lead to is a change without a moment: somebody made it where the log does not see, or the log
 * does not reach. Holds a few leaves.
 */
import type { TableManifest } from '../../repository/manifest.ts'
import type { ChunkReader } from '../../repository/pack/chunk-reader.ts'
import type { Repository } from '../../repository/repository.ts'
import { tableSpec } from '../../repository/table-spec.ts'
import { compareBytes, firstFieldEnd } from '../../repository/tree/key.ts'
import type { TreeEntry } from '../../repository/tree/node-codec.ts'
import { type Rows, rowText } from '../../repository/tree/rows.ts'
import type { TreeSpec } from '../../repository/tree/spec.ts'
import { leafRequest, TreeReader } from '../../repository/tree/tree-reader.ts'
import { fullKey } from '../leaf-rows.ts'
import type { PeriodStep } from './steps.ts'
import { inOrder, type ToldChange, ToldChanges, type Truncation } from './told-changes.ts'

/** When a change was made; null where nothing tells. */
export interface ChangeMoment {
  readonly step: number
  readonly transaction: number
}

export interface RowChange {
  /** `moved`: the row is filed under another key or anchor; it comes twice, as it left and as it arrived. */
  readonly kind: 'insert' | 'update' | 'delete' | 'left' | 'arrived'
  /** Encoded; empty in a table without anchor. */
  readonly anchor: Uint8Array
  /** Lines without newline, of the columns that baseline and end share. */
  readonly before: Buffer | null
  readonly after: Buffer | null
  readonly at: ChangeMoment | null
}

/**
 * Of one row: as the baseline has it, its changes in order, as the end has it; whatever there is of these. Who does not
 * ask for rows is not kept waiting for those that are the same at both ends: their leaves are not read.
 */
export interface TableVisitor {
  onBaseline?(line: Buffer): void
  onEnd?(line: Buffer): void
  /** Instead of the two above, for rows of leaves that both ends have. */
  onBoth?(line: Buffer): void
  onChange(change: RowChange): void
}

export interface WalkedTable {
  readonly before: TableManifest | null
  readonly after: TableManifest | null
}

/** @throws repository-damaged, object-missing, store-… */
export async function walkTable(
  repository: Repository,
  steps: readonly PeriodStep[],
  table: WalkedTable,
  visitor: TableVisitor,
): Promise<void> {
  const like = table.after ?? table.before!
  const told = await ToldChanges.open(repository, steps, like)
  const shared = sharedColumns(table)
  const walk = new TableWalk(repository, table, visitor, {
    told,
    projections: steps.map(({ manifest }) => projection(findTable(manifest.tables, like.name), shared)),
    before: projection(table.before, shared),
    after: projection(table.after, shared),
  })
  await walk.run()
}

/** Those that both have, by name, in the order of the end's. */
export function sharedColumns({ before, after }: WalkedTable): string[] {
  const names = (table: TableManifest) => table.columns.map(({ name }) => name)
  if (!before || !after) return names((before ?? after)!)
  const had = new Set(names(before))
  return names(after).filter((name) => had.has(name))
}

/** The fields of the shared columns; null: the line is as it is wanted. */
type Projection = readonly number[] | null

interface WalkInput {
  readonly told: ToldChanges
  /** By step. */
  readonly projections: readonly Projection[]
  readonly before: Projection
  readonly after: Projection
}

class TableWalk {
  readonly #visitor: TableVisitor
  readonly #input: WalkInput
  readonly #baseline: LeafCursor
  readonly #end: LeafCursor
  readonly #hasAnchor: boolean

  constructor(repository: Repository, { before, after }: WalkedTable, visitor: TableVisitor, input: WalkInput) {
    this.#visitor = visitor
    this.#input = input
    this.#baseline = new LeafCursor(repository, before)
    this.#end = new LeafCursor(repository, after)
    this.#hasAnchor = (after ?? before)!.anchor !== null
  }

  async run(): Promise<void> {
    const { told } = this.#input
    for (;;) {
      if (await this.#passEqualLeaf()) continue
      const baseline = await this.#baseline.peek()
      const end = await this.#end.peek()
      const key = least([baseline?.key ?? null, end?.key ?? null, told.nextKey])
      if (key === null) return
      const isAt = (other: Uint8Array | null | undefined) => other != null && compareBytes(other, key) === 0
      const before = isAt(baseline?.key) ? projected(this.#baseline.take(), this.#input.before) : null
      const after = isAt(end?.key) ? projected(this.#end.take(), this.#input.after) : null
      this.#row(key, before, after, isAt(told.nextKey) ? await told.take() : [])
    }
  }

  /** Of a leaf that is the same in both trees, where no change of any of its rows is told. */
  async #passEqualLeaf(): Promise<boolean> {
    const [before, after] = [await this.#baseline.wholeLeaf(), await this.#end.wholeLeaf()]
    if (!before || !after || !isSameLeaf(before, after) || this.#input.told.truncations.length > 0) return false
    const { nextKey } = this.#input.told
    if (nextKey !== null && compareBytes(nextKey, after.lastKey) <= 0) return false
    if (this.#visitor.onBaseline || this.#visitor.onEnd) this.#showLeaf(await this.#end.rows())
    this.#baseline.skipLeaf()
    this.#end.skipLeaf()
    return true
  }

  #showLeaf(rows: Rows): void {
    const visitor = this.#visitor
    for (let row = 0; row < rows.count; row += 1) {
      const line = projected(rowText(rows, row).subarray(0, -1), this.#input.after)
      if (visitor.onBoth) visitor.onBoth(line)
      else {
        visitor.onBaseline?.(line)
        visitor.onEnd?.(line)
      }
    }
  }

  #row(key: Uint8Array, before: Buffer | null, after: Buffer | null, changes: readonly ToldChange[]): void {
    if (before) this.#visitor.onBaseline?.(before)
    const anchor = this.#hasAnchor ? key.subarray(0, firstFieldEnd(key)) : new Uint8Array()
    let line = before
    for (const event of [...changes, ...this.#input.told.truncations].sort(inOrder)) {
      line = this.#follow(anchor, line, event)
    }
    const isTold = line === null ? after === null : after !== null && line.equals(after)
    const kind = line === null ? 'insert' : after === null ? 'delete' : 'update'
    if (!isTold) this.#visitor.onChange({ kind, anchor, before: line, after, at: null })
    if (after) this.#visitor.onEnd?.(after)
  }

  /** @returns the row after the change */
  #follow(anchor: Uint8Array, before: Buffer | null, event: ToldChange | Truncation): Buffer | null {
    const at = { step: event.step, transaction: event.transaction }
    const change = (kind: RowChange['kind'], after: Buffer | null) =>
      this.#visitor.onChange({ kind, anchor, before, after, at })
    if (!('op' in event) || event.op === 'D' || event.op === 'A') {
      if (before) change('op' in event && event.op === 'A' ? 'left' : 'delete', null)
      return null
    }
    const after = projected(event.line, this.#input.projections[event.step] ?? null)
    if (event.op === 'B') change('arrived', after)
    else if (before === null) change('insert', after)
    else if (!before.equals(after)) change('update', after)
    return after
  }
}

function isSameLeaf(a: TreeEntry, b: TreeEntry): boolean {
  return a.rows === b.rows && compareBytes(a.digest, b.digest) === 0 && compareBytes(a.lastKey, b.lastKey) === 0
}

function least(keys: readonly (Uint8Array | null)[]): Uint8Array | null {
  return keys.reduce((low, key) => (key !== null && (low === null || compareBytes(key, low) < 0) ? key : low), null)
}

function findTable(tables: readonly TableManifest[], name: string): TableManifest | null {
  return tables.find((table) => table.name === name) ?? null
}

function projection(table: TableManifest | null, shared: readonly string[]): Projection {
  if (!table) return null
  const fields = shared.map((name) => table.columns.findIndex((column) => column.name === name))
  const isWhole = fields.length === table.columns.length && fields.every((field, position) => field === position)
  return isWhole ? null : fields
}

function projected(line: Buffer, fields: Projection): Buffer {
  if (fields === null) return line
  const all = line.toString('latin1').split('\t')
  return Buffer.from(fields.map((field) => all[field] ?? '\\N').join('\t'), 'latin1')
}

/** Leaves read at once: neighbours in a pack. */
const LEAVES_AT_ONCE = 32

/** A tree row by row, or leaf by leaf. */
class LeafCursor {
  readonly #spec: TreeSpec | null
  readonly #reader: TreeReader | null
  readonly #chunks: ChunkReader
  readonly #entries: AsyncIterator<TreeEntry> | null
  /** The leaf at hand, and those behind it that were looked up with it. */
  #queue: { readonly entry: TreeEntry; rows: Rows | null }[] = []
  #row = 0
  #before: Uint8Array | null = null
  #current: { readonly key: Uint8Array; readonly line: Buffer } | null = null

  constructor(repository: Repository, table: TableManifest | null) {
    this.#chunks = repository.chunkReader()
    this.#spec = table && tableSpec(table)
    this.#reader = this.#spec && new TreeReader(this.#spec, this.#chunks, repository.keyring.secrets)
    this.#entries = this.#reader && table ? this.#reader.leafEntries(table.rows) : null
  }

  /** The leaf at hand, when none of its rows was taken; null at the end, and within a leaf. */
  async wholeLeaf(): Promise<TreeEntry | null> {
    if (this.#row > 0) return null
    await this.#fill()
    return this.#queue[0]?.entry ?? null
  }

  async peek(): Promise<{ readonly key: Uint8Array; readonly line: Buffer } | null> {
    if (this.#current) return this.#current
    await this.#fill()
    if (this.#queue.length === 0) return null
    const rows = await this.rows()
    const key = fullKey(this.#spec!, rows, this.#row, this.#before)
    this.#current = { key, line: rowText(rows, this.#row).subarray(0, -1) }
    return this.#current
  }

  /** What was peeked at. @returns its line, without newline */
  take(): Buffer {
    const { key, line } = this.#current!
    this.#before = key
    this.#current = null
    this.#row += 1
    if (this.#row === this.#queue[0]!.entry.rows) this.#next()
    return line
  }

  skipLeaf(): void {
    this.#before = this.#queue[0]!.entry.lastKey
    this.#current = null
    this.#next()
  }

  /** Of the leaf at hand. */
  async rows(): Promise<Rows> {
    if (!this.#queue[0]!.rows) {
      let index = 0
      for await (const encoded of this.#chunks.readMany(this.#queue.map(({ entry }) => leafRequest(entry)))) {
        const leaf = this.#queue[index]!
        leaf.rows = this.#reader!.decodeLeaf(leaf.entry, encoded)
        index += 1
      }
    }
    return this.#queue[0]!.rows!
  }

  #next(): void {
    this.#queue.shift()
    this.#row = 0
  }

  async #fill(): Promise<void> {
    if (this.#queue.length > 0 || !this.#entries) return
    while (this.#queue.length < LEAVES_AT_ONCE) {
      const next = await this.#entries.next()
      if (next.done) return
      this.#queue.push({ entry: next.value, rows: null })
    }
  }
}
