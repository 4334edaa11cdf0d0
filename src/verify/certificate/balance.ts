/**
 * Rows by table and month: how many the baseline had, what came, changed and went, and how many there are now.
 *
 *     now = baseline + inserted − deleted + moved in − moved out
 *
 * Changes are counted one by one, also of rows that came and went within the period; a row whose month, key or anchor
 * changed is updated where it was, and moved; one that went to another part of its table as it was is moved alone. So
 * the sum closes for every line, or something is not what it seems.
 */
import { textOfColumn } from './audit-entries.ts'
import type { Explainer, Reason } from './explain.ts'
import { BASELINE_MONTH, type ClockColumn, clockColumn, monthOf, monthOfMs, NO_MONTH } from './months.ts'
import type { PartMoves } from './part-moves.ts'
import { commitUsOf } from './period-times.ts'
import type { ExplainRules } from './rules.ts'
import type { Period } from './steps.ts'
import { type RowChange, sharedColumns, type TableVisitor, type WalkedTable } from './table-walk.ts'
import { categoryOf, tableName } from './tables.ts'

export interface BalanceCell {
  baseline: number
  inserted: number
  updated: number
  updatedUnexplained: number
  deleted: number
  deletedUnexplained: number
  movedIn: number
  movedOut: number
  now: number
  /** Of updated and deleted: after the record was closed; and those of them that nothing explains. */
  afterClosing: number
  afterClosingUnexplained: number
}

export type ExceptionClass = 'unexplained-update' | 'unexplained-delete' | 'changed-after-closing'

/** Rows of one table and month for which there is something to say. */
export interface Exceptional {
  readonly class: ExceptionClass
  readonly month: string
  rows: number
  /** Latin1 of their encoding. */
  readonly anchors: Set<string>
  anchorsComplete: boolean
}

/** What every table of a period is judged by. */
export interface PeriodFacts {
  readonly period: Period
  readonly rules: ExplainRules
  readonly explainer: Explainer
}

/** Of the partitioned table that a part is of; null where nothing moved. */
export interface TableFacts extends PeriodFacts {
  readonly moves: PartMoves | null
}

/** More names help nobody; the rows are counted all the same. */
const ANCHORS_MAX = 2_000

/** Sees every row of either end. */
export type RowObserver = (side: 'baseline' | 'end', line: Buffer) => void

/** One table's balance. */
export class TableBalance implements TableVisitor {
  readonly table: string
  readonly category: string
  readonly columns: readonly string[]
  /** By month. */
  readonly cells = new Map<string, BalanceCell>()
  readonly reasons = new Map<Reason, number>()
  readonly exceptional = new Map<string, Exceptional>()
  deletions = 0
  /** To other parts of a partitioned table. */
  movedAway = 0
  readonly #facts: TableFacts
  readonly #part: string
  readonly #primaryKey: readonly string[]
  readonly #clock: ClockColumn | null
  readonly #observe: RowObserver | null
  /** Of the row at hand, for tables whose rows say no time. */
  #firstSeen = BASELINE_MONTH

  constructor(facts: TableFacts, walked: WalkedTable, observe: RowObserver | null = null) {
    const like = (walked.after ?? walked.before)!
    this.#facts = facts
    this.#part = like.name
    this.table = tableName(walked)
    this.category = categoryOf(walked)
    this.columns = sharedColumns(walked)
    this.#primaryKey = like.primaryKey
    const clock = clockColumn(like, facts.rules)
    this.#clock = clock && this.columns.includes(clock.name) ? clock : null
    this.#observe = observe
  }

  get clockName(): string | null {
    return this.#clock?.name ?? null
  }

  onBaseline(line: Buffer): void {
    this.#firstSeen = BASELINE_MONTH
    this.#cell(this.#month(line)).baseline += 1
    this.#observe?.('baseline', line)
  }

  onEnd(line: Buffer): void {
    this.#cell(this.#month(line)).now += 1
    this.#observe?.('end', line)
  }

  onBoth(line: Buffer): void {
    this.#firstSeen = BASELINE_MONTH
    const cell = this.#cell(this.#month(line))
    cell.baseline += 1
    cell.now += 1
    if (!this.#observe) return
    this.#observe('baseline', line)
    this.#observe('end', line)
  }

  onChange(change: RowChange): void {
    const { kind, before, after } = change
    if (kind === 'update') this.#changed(change, this.#month(before!), this.#month(after!))
    else if (kind === 'left') this.#changed(change, this.#month(before!), null)
    else if (kind === 'delete') this.#went(change)
    else this.#came(change)
  }

  #went(change: RowChange): void {
    const month = this.#month(change.before!)
    const move = this.#move('went', change.before!, change)
    if (move !== null) this.movedAway += 1
    // Where nothing of the row is another, nothing was changed that would have to be explained.
    if (move === 'pure') this.#cell(month).movedOut += 1
    else this.#changed(move === null ? change : { ...change, kind: 'left' }, month, null)
  }

  #came(change: RowChange): void {
    const { kind, after, at } = change
    const { period, rules } = this.#facts
    const us = at ? commitUsOf(period, at) : period.steps.at(-1)!.untilUs
    this.#firstSeen = monthOfMs(us / 1000, rules.utcOffsetMinutes)
    const isNew = kind === 'insert' && this.#move('came', after!, change) === null
    this.#cell(this.#month(after!))[isNew ? 'inserted' : 'movedIn'] += 1
  }

  #move(side: 'went' | 'came', line: Buffer, { at }: RowChange): 'pure' | 'changed' | null {
    return this.#facts.moves?.of(side, { part: this.#part, columns: this.columns, line, at }) ?? null
  }

  #changed(change: RowChange, month: string, monthAfter: string | null): void {
    const isDelete = change.kind === 'delete'
    const { reason, afterClosing } = this.#facts.explainer.explain({
      table: this.table,
      category: this.category,
      columns: this.columns,
      primaryKey: this.#primaryKey,
      change,
    })
    const cell = this.#cell(month)
    cell[isDelete ? 'deleted' : 'updated'] += 1
    if (isDelete) this.deletions += 1
    if (change.kind === 'left') cell.movedOut += 1
    if (monthAfter !== null && monthAfter !== month) {
      cell.movedOut += 1
      this.#cell(monthAfter).movedIn += 1
    }
    this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1)
    if (reason === 'none') {
      cell[isDelete ? 'deletedUnexplained' : 'updatedUnexplained'] += 1
      this.#except(isDelete ? 'unexplained-delete' : 'unexplained-update', month, change)
    }
    if (!afterClosing) return
    cell.afterClosing += 1
    if (reason === 'none') cell.afterClosingUnexplained += 1
    this.#except('changed-after-closing', month, change)
  }

  #except(kind: ExceptionClass, month: string, { anchor }: RowChange): void {
    const id = `${kind} ${month}`
    const known = this.exceptional.get(id)
    const listed = known ?? { class: kind, month, rows: 0, anchors: new Set<string>(), anchorsComplete: true }
    this.exceptional.set(id, listed)
    listed.rows += 1
    if (anchor.length === 0) return
    if (listed.anchors.size < ANCHORS_MAX) listed.anchors.add(Buffer.from(anchor).toString('latin1'))
    else listed.anchorsComplete = false
  }

  #month(line: Buffer): string {
    if (!this.#clock) return this.#firstSeen
    const text = textOfColumn(this.columns, line, this.#clock.name) ?? ''
    return text === '' ? NO_MONTH : monthOf(text, this.#clock.hasZone, this.#facts.rules.utcOffsetMinutes)
  }

  #cell(month: string): BalanceCell {
    const known = this.cells.get(month)
    if (known) return known
    const made: BalanceCell = {
      baseline: 0,
      inserted: 0,
      updated: 0,
      updatedUnexplained: 0,
      deleted: 0,
      deletedUnexplained: 0,
      movedIn: 0,
      movedOut: 0,
      now: 0,
      afterClosing: 0,
      afterClosingUnexplained: 0,
    }
    this.cells.set(month, made)
    return made
  }
}
