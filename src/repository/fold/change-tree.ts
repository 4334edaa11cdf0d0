/**
 * The changes between two snapshots as trees of their own, so that one patient's are a few reads away
 * (docs/FORMAT.md, "Changes").
 *
 * A table's changes, each a line:
 *
 *     [anchor] · seq · transaction · op · the row's fields
 *
 * `anchor` is there where the table has one, and is the one that the change is filed under; `seq` numbers the changes of
 * the period, of all tables together; `transaction` is a number of the transaction tree. The row is the row after of
 * I, U and B, the row before of D and A; it is always complete. A truncation (T) has `\N` for the anchor and every field.
 *
 *     I  inserted          A  left this anchor or key: what it was
 *     U  changed           B  came to this anchor or key: what it is; of one change with an A, and of equal `seq`
 *     D  deleted           T  every row of the table gone
 */

import type { TransactionStamp } from '../change-log/change.ts'
import { formatLsn } from '../lsn.ts'
import type { TreeSpec } from '../tree/spec.ts'

export type ChangeOp = 'I' | 'U' | 'D' | 'A' | 'B' | 'T'

/** Between the anchor and the row: seq, transaction, op. */
const HEAD_FIELDS = 3

/** Where the row's fields begin in a line of changes. */
export function changedRowField(table: TreeSpec): number {
  return (table.anchor === null ? 0 : 1) + HEAD_FIELDS
}

/** The tree of a table's changes; the table has a key. */
export function changesSpec(table: TreeSpec): TreeSpec {
  const row = changedRowField(table)
  return {
    name: `${table.name}#changes`,
    fieldCount: row + table.fieldCount,
    anchor: table.anchor === null ? null : 0,
    key: [...table.key.map((field) => row + field), row - HEAD_FIELDS],
  }
}

/** number · xid · commit LSN · end LSN · commit time (ISO, microseconds) · mark or `\N` · changes */
export const TRANSACTIONS_SPEC: TreeSpec = { name: '#transactions', fieldCount: 7, anchor: null, key: [0] }

export interface NumberedTransaction extends TransactionStamp {
  /** From 0, in commit order, within the period. */
  readonly number: number
  readonly changeCount: number
}

export function transactionLine(transaction: NumberedTransaction): string {
  const { number, xid, commitLsn, endLsn, commitTimeUs, mark, changeCount } = transaction
  const fields = [
    String(number),
    String(xid),
    formatLsn(commitLsn),
    formatLsn(endLsn),
    isoMicroseconds(commitTimeUs),
    mark === null ? '\\N' : escaped(mark),
    String(changeCount),
  ]
  return `${fields.join('\t')}\n`
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

/** As COPY prints text. */
function escaped(text: string): string {
  return text.replaceAll(/[\\\t\n\r]/g, (character) => ESCAPES[character]!)
}

function isoMicroseconds(us: bigint): string {
  const rest = ((us % 1000n) + 1000n) % 1000n
  const text = new Date(Number((us - rest) / 1000n)).toISOString()
  return `${text.slice(0, -1)}${String(rest).padStart(3, '0')}Z`
}
