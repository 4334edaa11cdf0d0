import type { LoggedChange } from '../change-log/change.ts'

/** A change with its place in the period that is folded. */
export interface FoldChange extends LoggedChange {
  /** Number of the change, of all tables together, from 0. */
  readonly seq: number
  /** Number of its transaction, from 0. */
  readonly transaction: number
}
