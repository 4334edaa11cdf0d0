/** What a running snapshot says of itself: rates from the start of the reading, and the time that is left. */
import type { TablePlan } from '../intake/table-plan.ts'

export type ProgressEvent =
  | {
      readonly kind: 'progress'
      readonly tablesDone: number
      readonly tables: number
      /** The largest table under way. */
      readonly table: string
      readonly bytesRead: number
      readonly bytesExpected: number
      readonly bytesStored: number
      readonly bytesPerSecond: number
      /** Null until enough was read to say. */
      readonly secondsLeft: number | null
    }
  /** Its changes were worked into what the snapshot before holds of it. */
  | { readonly kind: 'folded'; readonly table: string }
  /** The way along the change log did not work out: every row is read instead. */
  | { readonly kind: 'reads-in-full'; readonly reason: string }
  | { readonly kind: 'table-done'; readonly table: string; readonly rows: number }
  | { readonly kind: 'yielded'; readonly attempt: number; readonly pauseMs: number }
  /** What an interrupted run had stored was found: it will not be stored again. Said before the reading begins. */
  | {
      readonly kind: 'adopted'
      readonly packs: number
      readonly leaves: number
      /** Something in them is not what it claims: nothing of them is used. */
      readonly damagedPacks: number
      readonly packsLeftAside: number
    }

export type ProgressListener = (event: ProgressEvent) => void

const REPORT_EVERY_MS = 500
const ESTIMATE_AFTER_MS = 1_500

export class SnapshotProgress {
  readonly #nowMs: () => number
  readonly #listener: ProgressListener
  readonly #startMs: number
  readonly #tables: number
  readonly #bytesExpected: number
  readonly #underWay = new Set<string>()
  #tablesDone = 0
  #bytesRead = 0
  #bytesStored = 0
  #reportedMs = 0

  constructor(plans: readonly TablePlan[], nowMs: () => number, listener: ProgressListener) {
    this.#nowMs = nowMs
    this.#listener = listener
    this.#startMs = nowMs()
    this.#tables = plans.length
    this.#bytesExpected = plans.reduce((sum, plan) => sum + plan.table.estimatedBytes, 0)
  }

  startTable(plan: TablePlan): void {
    this.#underWay.add(plan.table.name)
    this.#report()
  }

  finishTable(plan: TablePlan, rows: number): void {
    this.#underWay.delete(plan.table.name)
    this.#tablesDone += 1
    this.#listener({ kind: 'table-done', table: plan.table.name, rows })
  }

  foldTable(table: string): void {
    this.#listener({ kind: 'folded', table })
  }

  addRead(bytes: number): void {
    this.#bytesRead += bytes
    this.#report()
  }

  addStored(bytes: number): void {
    this.#bytesStored += bytes
  }

  #report(): void {
    const nowMs = this.#nowMs()
    if (nowMs - this.#reportedMs < REPORT_EVERY_MS) return
    this.#reportedMs = nowMs
    const elapsedMs = nowMs - this.#startMs
    const bytesPerSecond = elapsedMs > 0 ? (this.#bytesRead * 1000) / elapsedMs : 0
    const left = Math.max(0, this.#bytesExpected - this.#bytesRead)
    this.#listener({
      kind: 'progress',
      tablesDone: this.#tablesDone,
      tables: this.#tables,
      table: this.#underWay.values().next().value ?? '',
      bytesRead: this.#bytesRead,
      bytesExpected: this.#bytesExpected,
      bytesStored: this.#bytesStored,
      bytesPerSecond,
      secondsLeft: elapsedMs < ESTIMATE_AFTER_MS || bytesPerSecond === 0 ? null : left / bytesPerSecond,
    })
  }
}
