/**
 * Rows of the tree before that changes lead to. Their keys in the tree begin with the anchor, which a change of the row
 * need not tell (P1): where the primary key does not say it either, the locator does.
 */
import type { ChunkReader } from '../pack/chunk-reader.ts'
import type { DigestKeys } from '../tree/digest.ts'
import { findRows } from '../tree/find-row.ts'
import { encodeKey } from '../tree/key.ts'
import { doesNotFit } from '../tree/misfit.ts'
import { locatorSpec, type TreeSpec } from '../tree/spec.ts'
import { TreeReader } from '../tree/tree-reader.ts'
import type { TreeRoot } from '../tree/tree-root.ts'
import { fieldOf, isUnsent } from './line-fields.ts'
import type { Lineage } from './net-changes.ts'

export interface TableRoots {
  readonly rows: TreeRoot
  /** Null where the table has none. */
  readonly locator: TreeRoot | null
}

/** A lineage with base, and where its base row stands. */
export interface BaseRow {
  readonly lineage: Lineage
  /** As it stands in the row; null in a table without anchor. */
  readonly anchor: Buffer | null
  /** Encoded key in the tree. */
  readonly key: Uint8Array
}

export class BaseRows {
  readonly #spec: TreeSpec
  readonly #locator: TreeSpec | null
  readonly #chunks: ChunkReader
  readonly #keys: DigestKeys

  constructor(spec: TreeSpec, chunks: ChunkReader, keys: DigestKeys) {
    this.#spec = spec
    this.#locator = locatorSpec(spec)
    this.#chunks = chunks
    this.#keys = keys
  }

  /** Where the base rows of these lineages stand, in no order. @throws change-log-gap when one is not there */
  async locate(lineages: readonly Lineage[], roots: TableRoots): Promise<BaseRow[]> {
    const known: BaseRow[] = []
    const unknown: Lineage[] = []
    for (const lineage of lineages) {
      const anchor = this.#knownAnchor(lineage)
      if (anchor === undefined) unknown.push(lineage)
      else known.push(this.#baseRow(lineage, anchor))
    }
    return [...known, ...(await this.#ask(unknown, roots))]
  }

  /**
   * Their lines without newline, in order of their keys; views.
   * @throws change-log-gap when one is not there
   */
  async *read(rows: readonly BaseRow[], roots: TableRoots): AsyncGenerator<{ row: BaseRow; line: Buffer }> {
    const sorted = [...rows].sort((a, b) => Buffer.compare(a.key, b.key))
    const reader = new TreeReader(this.#spec, this.#chunks, this.#keys)
    const keys = sorted.map(({ key }) => key)
    let found = 0
    for await (const { index, line } of findRows(reader, roots.rows, keys)) {
      found += 1
      yield { row: sorted[index]!, line: line.subarray(0, -1) }
    }
    if (found < sorted.length) throw doesNotFit(this.#spec.name, 'changes a row that is not there')
  }

  /** Undefined when only the locator knows. */
  #knownAnchor({ base, baseLine }: Lineage): Buffer | null | undefined {
    if (this.#spec.anchor === null) return null
    const inKey = this.#spec.key.indexOf(this.#spec.anchor)
    if (inKey >= 0) return Buffer.from(base!.split('\t')[inKey]!, 'latin1')
    const sent = fieldOf(baseLine!, this.#spec.anchor)
    return isUnsent(sent) ? undefined : sent
  }

  #baseRow(lineage: Lineage, anchor: Buffer | null): BaseRow {
    const fields = keyFields(lineage.base!)
    return { lineage, anchor, key: encodeKey(anchor === null ? fields : [anchor, ...fields]) }
  }

  async #ask(lineages: readonly Lineage[], roots: TableRoots): Promise<BaseRow[]> {
    if (lineages.length === 0) return []
    const asked = lineages
      .map((lineage) => ({ lineage, key: encodeKey(keyFields(lineage.base!)) }))
      .sort((a, b) => Buffer.compare(a.key, b.key))
    const reader = new TreeReader(this.#locator!, this.#chunks, this.#keys)
    const keys = asked.map(({ key }) => key)
    const rows: BaseRow[] = []
    for await (const { index, line } of findRows(reader, roots.locator!, keys)) {
      const anchor = Buffer.from(fieldOf(line.subarray(0, -1), this.#spec.key.length))
      rows.push(this.#baseRow(asked[index]!.lineage, anchor))
    }
    if (rows.length < asked.length) throw doesNotFit(this.#spec.name, 'changes a row that is not there')
    return rows
  }
}

/** The fields of a key as NetChanges has them. */
export function keyFields(key: string): Buffer[] {
  return key.split('\t').map((field) => Buffer.from(field, 'latin1'))
}
