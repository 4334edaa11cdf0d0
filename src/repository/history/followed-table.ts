/**
 * One table while its past is read: the rows of a snapshot, and over them what the change log has said since of the rows
 * that are asked about.
 *
 *     base snapshot ── changes of the log ── … ── closed: not followed ── next snapshot: what differs lies in between
 *
 * Changes come without the row before, or without some of its fields; both are in the base, or in an earlier change.
 */
import type { LoggedChange, LogTable } from '../change-log/change.ts'
import { filled } from '../fold/line-fields.ts'
import { type Lineage, NetChanges } from '../fold/net-changes.ts'
import type { Manifest, TableManifest } from '../manifest.ts'
import { tableSpec } from '../table-spec.ts'
import { doesNotFit } from '../tree/misfit.ts'
import type { TreeSpec } from '../tree/spec.ts'
import { isVisible, parseVisibility, type Visibility } from '../visibility.ts'
import type { HistoryPlace } from './change-id.ts'
import { type EventTime, type HistoryEvent, rowEvent, truncateEvent } from './event.ts'
import { type KeyText, keyTextOf, rowsByKey, type SnapshotReader } from './rows-by-key.ts'

/** An event with its place among those of all tables. */
export interface NumberedEvent {
  readonly seq: number
  readonly event: HistoryEvent
}

/** A row as the log left it, and the transaction that did. */
interface KnownRow {
  readonly line: Buffer | null
  readonly xid: bigint
}

/** One change with its transaction. */
interface TakenChange {
  readonly change: LoggedChange
  /** Whole: see `WholeXids`. */
  readonly xid: bigint
  /** Its place among the changes of all tables. */
  readonly seq: number
  readonly time: EventTime & { readonly kind: 'transaction' }
}

/** Since when, and why, a table is not told to the transaction. */
export interface NotFollowed {
  readonly from: HistoryPlace
  readonly reason: string
}

export class FollowedTable {
  readonly base: Manifest
  readonly table: TableManifest
  readonly spec: TreeSpec
  readonly columns: readonly string[]
  readonly keyColumns: readonly string[]
  /** Null while it is followed. */
  lost: NotFollowed | null
  /** Rows that the log spoke of since the base. */
  readonly known = new Map<KeyText, KnownRow>()
  /** The rows of the base are gone. */
  truncatedBy: bigint | null = null
  readonly #visible: Visibility
  readonly #reader: SnapshotReader
  #pending: TakenChange[] = []

  constructor(base: Manifest, table: TableManifest, reader: SnapshotReader, lost: NotFollowed | null) {
    this.base = base
    this.table = table
    this.spec = tableSpec(table)
    this.columns = table.columns.map(({ name }) => name)
    this.keyColumns = table.primaryKey
    this.lost = lost
    this.#visible = parseVisibility(base.position.visible)
    this.#reader = reader
  }

  /** Whether the base lacks what this transaction did. @param xid whole */
  lacks(xid: bigint): boolean {
    return !isVisible(this.#visible, xid)
  }

  fits(logged: LogTable): boolean {
    return logged.oid === this.table.oid && isSame(logged.columns, this.columns) && isSame(logged.key, this.spec.key)
  }

  take(taken: TakenChange): void {
    const { change } = taken
    // Lines are views of the segment, which must not be held for the sake of some rows.
    const copied = { ...change, before: copyOf(change.before), after: copyOf(change.after) }
    this.#pending.push({ ...taken, change: copied })
  }

  /** What was taken since the last call. @throws change-log-gap when it does not fit the rows; store-… */
  async flush(): Promise<NumberedEvent[]> {
    const events: NumberedEvent[] = []
    let run: TakenChange[] = []
    for (const pending of this.#pending) {
      if (pending.change.kind !== 'truncate') {
        run.push(pending)
        continue
      }
      events.push(...(await this.#flushRun(run)))
      run = []
      this.#truncate(pending)
      events.push({ seq: pending.seq, event: truncateEvent(pending.time, this.table) })
    }
    events.push(...(await this.#flushRun(run)))
    this.#pending = []
    return events
  }

  /** Lines as they are now, of those that are there. @throws repository-damaged, store-… */
  async rowsNow(keys: Iterable<KeyText>): Promise<Map<KeyText, Buffer>> {
    const found = new Map<KeyText, Buffer>()
    const unknown: KeyText[] = []
    for (const key of new Set([...keys, ...this.known.keys()])) {
      const known = this.known.get(key)
      if (known === undefined) unknown.push(key)
      else if (known.line !== null) found.set(key, known.line)
    }
    if (this.truncatedBy !== null) return found
    for (const [key, line] of await rowsByKey(this.table, unknown, this.#reader)) found.set(key, line)
    return found
  }

  /** @throws repository-damaged, store-… */
  async rowsOfBase(keys: Iterable<KeyText>): Promise<Map<KeyText, Buffer>> {
    return await rowsByKey(this.table, keys, this.#reader)
  }

  /**
   * The same table over a later snapshot of the log, which every transaction that it has was taken of: what the snapshot
   * does not have stays known. A row that a transaction wrote which the snapshot does not have was written later by none
   * that it has: that one would have waited for it.
   */
  over(base: Manifest, table: TableManifest): FollowedTable {
    const next = new FollowedTable(base, table, this.#reader, this.lost)
    for (const [key, row] of this.known) if (next.lacks(row.xid)) next.known.set(key, row)
    if (this.truncatedBy !== null && next.lacks(this.truncatedBy)) next.truncatedBy = this.truncatedBy
    return next
  }

  #truncate({ xid }: TakenChange): void {
    this.known.clear()
    this.truncatedBy = xid
  }

  async #flushRun(run: readonly TakenChange[]): Promise<NumberedEvent[]> {
    if (run.length === 0) return []
    const net = new NetChanges(this.spec, true)
    for (const [index, { change }] of run.entries()) net.apply({ ...change, seq: index, transaction: index })
    const bases = await this.#basesOf(net.lineages)
    const events: NumberedEvent[] = []
    for (const lineage of net.lineages) {
      const base = lineage.base === null ? null : bases.get(lineage.base)!
      const whole = (line: Buffer | null) => (line !== null && base !== null ? filled(line, base) : line)
      for (const step of lineage.steps) {
        const { seq, time } = run[step.seq]!
        const images = { before: this.#image(whole(step.before)), after: this.#image(whole(step.after)) }
        events.push({ seq, event: rowEvent(time, this.table, { ...images, keyColumns: this.keyColumns }) })
      }
    }
    this.#remember(net.lineages, bases, run)
    return events.sort((a, b) => a.seq - b.seq)
  }

  /** What the rows were before the run. */
  async #basesOf(lineages: readonly Lineage[]): Promise<ReadonlyMap<KeyText, Buffer>> {
    const keys = lineages.flatMap(({ base }) => base ?? [])
    const rows = new Map<KeyText, Buffer>()
    const unknown: KeyText[] = []
    for (const key of keys) {
      const known = this.known.get(key)
      if (known?.line) rows.set(key, known.line)
      else if (known === undefined && this.truncatedBy === null) unknown.push(key)
    }
    for (const [key, line] of await rowsByKey(this.table, unknown, this.#reader)) rows.set(key, line)
    if (keys.some((key) => !rows.has(key))) throw doesNotFit(this.table.name, 'changes a row that is not there')
    return rows
  }

  #remember(lineages: readonly Lineage[], bases: ReadonlyMap<KeyText, Buffer>, run: readonly TakenChange[]): void {
    const xidOf = ({ steps }: Lineage) => run[steps.at(-1)!.seq]!.xid
    // Keys that rows left first: another row may have come to one of them.
    for (const lineage of lineages) {
      const xid = xidOf(lineage)
      for (const { before } of lineage.steps) {
        if (before !== null) this.known.set(keyTextOf(this.spec, filledBy(before, lineage, bases)), { line: null, xid })
      }
    }
    for (const lineage of lineages) {
      if (lineage.line === null) continue
      const line = filledBy(lineage.line, lineage, bases)
      this.known.set(keyTextOf(this.spec, line), { line, xid: xidOf(lineage) })
    }
  }

  #image(line: Buffer | null) {
    return line === null ? null : { columns: this.columns, line }
  }
}

function filledBy(line: Buffer, { base }: Lineage, bases: ReadonlyMap<KeyText, Buffer>): Buffer {
  return base === null ? line : filled(line, bases.get(base)!)
}

function copyOf(line: Uint8Array | null): Buffer | null {
  return line === null ? null : Buffer.from(line)
}

function isSame<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((each, index) => each === b[index])
}
