/**
 * All tables of a snapshot, advanced by part of a change log in one pass of it. Which transactions belong is for the
 * caller to say: between two snapshots visibility decides, and not the position (P3).
 */

import type { LoggedTransaction, LogTable, TransactionStamp } from '../change-log/change.ts'
import type { ChunkReader } from '../pack/chunk-reader.ts'
import { doesNotFit } from '../tree/misfit.ts'
import type { TreeSpec } from '../tree/spec.ts'
import type { TreeRoot } from '../tree/tree-root.ts'
import type { TableRoots } from './base-rows.ts'
import { ChangeSpool } from './change-spool.ts'
import { TRANSACTIONS_SPEC, transactionLine } from './change-tree.ts'
import { type FoldedTable, foldTable } from './fold-table.ts'
import { LineTree, type LineTreeOptions } from './line-tree.ts'

/** A table as the snapshot before has it. */
export interface FoldedFrom extends TableRoots {
  readonly oid: string
  /** As `tableSpec` gives it; with a key. */
  readonly spec: TreeSpec
  /** Names, in the order of the fields. */
  readonly columns: readonly string[]
}

export interface FoldTables extends LineTreeOptions {
  /** Changes of other tables are passed over. */
  readonly tables: readonly FoldedFrom[]
  /** In commit order; parts of one transaction follow each other. */
  readonly transactions: AsyncIterable<LoggedTransaction>
  /** Asked once for each transaction. */
  readonly accept: (stamp: TransactionStamp) => boolean
  readonly chunks: ChunkReader
  /** Whether the trees of changes and transactions are wanted as well. */
  readonly changeTree: boolean
  readonly signal: AbortSignal
  /** Memory for changes that wait, and for those that are being folded: so much for each of the two, about. */
  readonly memoryBytes?: number
  readonly onTable?: (table: string) => void
}

export interface FoldedTables {
  /** By name: every table asked for. */
  readonly tables: ReadonlyMap<string, FoldedTable>
  /** Null when there was none, or it is not wanted. */
  readonly transactions: TreeRoot | null
  readonly transactionCount: number
  /** Of all tables, the ones passed over too. */
  readonly changeCount: number
  /** The last of them that belongs; null when none does. */
  readonly last: TransactionStamp | null
}

const MEMORY_BYTES = 128 * 1024 * 1024
/** On one thread: while one waits for the store, another computes. */
const TABLES_AT_ONCE = 4

/** @throws as `foldTable`, and what `transactions` throws */
export async function foldTables(request: FoldTables): Promise<FoldedTables> {
  using spool = new ChangeSpool(request.spillDirectory, request.memoryBytes ?? MEMORY_BYTES)
  using stamps = new LineTree(TRANSACTIONS_SPEC, request)
  const pass = await spoolChanges(request, spool, request.changeTree ? stamps : null)
  return {
    tables: await foldEach(request, spool),
    transactions: await stamps.finish(),
    transactionCount: pass.transactionCount,
    changeCount: pass.changeCount,
    last: pass.last,
  }
}

export interface SpooledChanges {
  /** Changes of other tables are passed over. */
  readonly tables: readonly FoldedFrom[]
  readonly transactions: FoldTables['transactions']
  readonly accept: FoldTables['accept']
  readonly signal: AbortSignal
}

/** Reads the log once, and puts aside by table what belongs. @throws change-log-gap, local-disk-full, and what `transactions` throws */
export async function spoolChanges(
  request: SpooledChanges,
  spool: ChangeSpool,
  stamps: LineTree | null = null,
): Promise<Pick<FoldedTables, 'transactionCount' | 'changeCount' | 'last'>> {
  const pass = new Pass(request, spool, stamps)
  for await (const part of request.transactions) {
    request.signal.throwIfAborted()
    pass.take(part)
  }
  pass.end()
  return pass
}

/** @throws the first failure; the other tables are then stopped */
async function foldEach(request: FoldTables, spool: ChangeSpool): Promise<Map<string, FoldedTable>> {
  const stop = new AbortController()
  const signal = AbortSignal.any([request.signal, stop.signal])
  const memoryBytes = (request.memoryBytes ?? MEMORY_BYTES) / TABLES_AT_ONCE
  const waiting = [...request.tables]
  const folded = new Map<string, FoldedTable>()

  const lane = async (): Promise<void> => {
    for (let table = waiting.shift(); table; table = waiting.shift()) {
      const { spec, rows, locator } = table
      const changes = spool.changesOf(spec.name)
      const one = { ...request, spec, previous: { rows, locator }, changes, signal, memoryBytes }
      folded.set(spec.name, await foldTable(one))
      request.onTable?.(spec.name)
    }
  }
  const lanes = Array.from({ length: TABLES_AT_ONCE }, () =>
    lane().catch((error) => {
      stop.abort(error)
      throw error
    }),
  )
  await Promise.allSettled(lanes)
  signal.throwIfAborted()
  // In the order asked for, not in that of completion.
  return new Map(request.tables.map(({ spec: { name } }) => [name, folded.get(name)!]))
}

/** One reading of the log: numbers what belongs, and puts it aside by table. */
class Pass {
  transactionCount = 0
  changeCount = 0
  last: TransactionStamp | null = null
  readonly #request: SpooledChanges
  readonly #spool: ChangeSpool
  /** Null where no tree of transactions is wanted. */
  readonly #stamps: LineTree | null
  readonly #tables: ReadonlyMap<string, FoldedFrom>
  readonly #byOid: ReadonlyMap<string, FoldedFrom>
  /** Table descriptions that were compared: as which table their changes count, or null. */
  readonly #fitting = new WeakMap<LogTable, LogTable | null>()
  #current: { stamp: TransactionStamp; isAccepted: boolean; changes: number } | null = null

  constructor(request: SpooledChanges, spool: ChangeSpool, stamps: LineTree | null) {
    this.#request = request
    this.#spool = spool
    this.#stamps = stamps
    this.#tables = new Map(request.tables.map((table) => [table.spec.name, table]))
    this.#byOid = new Map(request.tables.map((table) => [table.oid, table]))
  }

  take(part: LoggedTransaction): void {
    const current = this.#continue(part)
    if (!current.isAccepted) return
    for (const change of part.changes) {
      const seq = this.changeCount
      this.changeCount += 1
      const table = this.#counted(change.table)
      if (table) this.#spool.add(table === change.table ? change : { ...change, table }, seq, this.transactionCount)
    }
    current.changes += part.changes.length
  }

  end(): void {
    const { stamp, isAccepted, changes } = this.#current ?? {}
    this.#current = null
    if (!stamp || !isAccepted) return
    this.last = stamp
    const numbered = { ...stamp, number: this.transactionCount, changeCount: changes ?? 0 }
    this.#stamps?.add(Buffer.from(transactionLine(numbered)))
    this.transactionCount += 1
  }

  #continue({ xid, commitLsn, endLsn, commitTimeUs, mark }: LoggedTransaction) {
    const known = this.#current
    if (known?.stamp.commitLsn === commitLsn && known.stamp.xid === xid) return known
    this.end()
    const stamp = { xid, commitLsn, endLsn, commitTimeUs, mark }
    const current = { stamp, isAccepted: this.#request.accept(stamp), changes: 0 }
    this.#current = current
    return current
  }

  /**
   * A table that had another name for a while, and was given its own back before anybody looked at the catalog, is the
   * same table: what was changed meanwhile must not be passed over, nor counted as another's whose name it bore.
   * @throws change-log-gap when the table is another than the snapshot's
   */
  #counted(table: LogTable): LogTable | null {
    const known = this.#fitting.get(table)
    if (known !== undefined) return known
    const from = this.#byOid.get(table.oid) ?? this.#tables.get(table.name)
    if (from && !isSameTable(table, from)) throw doesNotFit(from.spec.name, 'has another table of this name')
    const isRenamed = from !== undefined && from.spec.name !== table.name
    const counted = from === undefined ? null : isRenamed ? { ...table, name: from.spec.name } : table
    this.#fitting.set(table, counted)
    return counted
  }
}

function isSameTable(logged: LogTable, from: FoldedFrom): boolean {
  return logged.oid === from.oid && isSame(logged.columns, from.columns) && isSame(logged.key, from.spec.key)
}

function isSame<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((each, index) => each === b[index])
}
