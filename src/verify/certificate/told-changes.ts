/**
 * What the change log tells of one table, over all steps of a period, in the order of the table's rows: the change trees
 * of the snapshots have the keys of the rows, so that they are merged beside these without being held in memory.
 */
import { type ChangeOp, changedRowField, changesSpec } from '../../repository/fold/change-tree.ts'
import type { TableManifest } from '../../repository/manifest.ts'
import type { Repository } from '../../repository/repository.ts'
import { tableSpec } from '../../repository/table-spec.ts'
import { compareBytes } from '../../repository/tree/key.ts'
import { type Rows, rowKey, rowText } from '../../repository/tree/rows.ts'
import { TreeReader } from '../../repository/tree/tree-reader.ts'
import { type PeriodStep, toldTable } from './steps.ts'

export interface ToldChange {
  /** The row's key, as in the table's tree. */
  readonly key: Uint8Array
  readonly step: number
  readonly seq: number
  readonly transaction: number
  readonly op: ChangeOp
  /** The row without its newline: after I, U, B; before D, A. Of the columns that the table had in that step. */
  readonly line: Buffer
}

export type Truncation = Pick<ToldChange, 'step' | 'seq' | 'transaction'>

interface Head {
  readonly change: ToldChange
  readonly rest: AsyncIterator<ToldChange>
}

export class ToldChanges {
  /** In order. */
  readonly truncations: readonly Truncation[]
  readonly #heap: Head[]

  private constructor(heap: Head[], truncations: Truncation[]) {
    this.#heap = heap
    this.truncations = truncations.sort(inOrder)
  }

  /** @throws repository-damaged, object-missing, store-… */
  static async open(repository: Repository, steps: readonly PeriodStep[], like: TableManifest): Promise<ToldChanges> {
    const heap: Head[] = []
    const truncations: Truncation[] = []
    for (const step of steps) {
      const table = toldTable(step, like.name)
      if (!table?.changes || !hasKeyOf(table, like) || table.changes.rows === 0) continue
      const rest = changesOf(repository, table, step.index)
      for (let next = await rest.next(); !next.done; next = await rest.next()) {
        if (next.value.op === 'T') truncations.push(momentOf(next.value))
        else {
          push(heap, { change: next.value, rest })
          break
        }
      }
    }
    return new ToldChanges(heap, truncations)
  }

  /** The key of the next changes, or null behind the last. */
  get nextKey(): Uint8Array | null {
    return this.#heap[0]?.change.key ?? null
  }

  /** All changes of the next key, in order. */
  async take(): Promise<ToldChange[]> {
    const key = this.nextKey
    const taken: ToldChange[] = []
    while (key && this.nextKey && compareBytes(this.nextKey, key) === 0) {
      const head = pop(this.#heap)
      taken.push(head.change)
      const next = await head.rest.next()
      if (!next.done) push(this.#heap, { change: next.value, rest: head.rest })
    }
    return taken.sort(inOrder)
  }
}

/** Whether rows of both are found under the same keys. */
export function hasKeyOf(table: TableManifest, like: TableManifest): boolean {
  return table.anchor === like.anchor && table.primaryKey.join('\t') === like.primaryKey.join('\t')
}

export function inOrder(a: Truncation, b: Truncation): number {
  return a.step - b.step || a.seq - b.seq
}

function momentOf({ step, seq, transaction }: ToldChange): Truncation {
  return { step, seq, transaction }
}

async function* changesOf(repository: Repository, table: TableManifest, step: number): AsyncGenerator<ToldChange> {
  const spec = tableSpec(table)
  const first = changedRowField(spec)
  const reader = new TreeReader(changesSpec(spec), repository.chunkReader(), repository.keyring.secrets)
  for await (const rows of reader.leaves(table.changes!)) {
    for (let row = 0; row < rows.count; row += 1) yield changeAt(rows, row, first, step)
  }
}

function changeAt(rows: Rows, row: number, first: number, step: number): ToldChange {
  const text = rowText(rows, row)
  let start = 0
  const head: string[] = []
  for (let field = 0; field < first; field += 1) {
    const end = text.indexOf(0x09, start)
    head.push(text.toString('latin1', start, end))
    start = end + 1
  }
  const [seq, transaction, op] = head.slice(-3) as [string, string, string]
  const key = rowKey(rows, row)
  return {
    // The number of the change ends the key: one byte for its length, and its digits.
    key: key.subarray(0, key.length - seq.length - 1),
    step,
    seq: Number(seq),
    transaction: Number(transaction),
    op: op as ChangeOp,
    line: text.subarray(start, -1),
  }
}

function push(heap: Head[], head: Head): void {
  heap.push(head)
  let at = heap.length - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!isBefore(heap[at]!, heap[parent]!)) return
    ;[heap[at], heap[parent]] = [heap[parent]!, heap[at]!]
    at = parent
  }
}

function pop(heap: Head[]): Head {
  const first = heap[0]!
  const last = heap.pop()!
  if (heap.length === 0) return first
  heap[0] = last
  for (let at = 0; ; ) {
    let least = at
    for (const child of [2 * at + 1, 2 * at + 2]) {
      if (child < heap.length && isBefore(heap[child]!, heap[least]!)) least = child
    }
    if (least === at) return first
    ;[heap[at], heap[least]] = [heap[least]!, heap[at]!]
    at = least
  }
}

function isBefore({ change: a }: Head, { change: b }: Head): boolean {
  return (compareBytes(a.key, b.key) || inOrder(a, b)) < 0
}
