/**
 * Whether a transaction of the log is the one that a changeset was kept for: what a mark claims is held against what only
 * that transaction can know. Where transactions have numbers, that is its number; where they have none, the mark says the
 * name that the transaction gave itself (`changeset <id> <name>`), which the changeset kept before anything was written.
 */
import type { Changeset } from './changeset.ts'

export interface ChangesetMark {
  readonly changesetId: string
  /** Null where the transaction's number tells. */
  readonly transactionName: string | null
}

const MARK = /^changeset (\S+)(?: (\S+))?$/
const XID_BITS = 32

/** Null of a mark that speaks of no changeset. */
export function parseMark(mark: string | null): ChangesetMark | null {
  const [, changesetId, transactionName = null] = MARK.exec(mark ?? '') ?? []
  return changesetId === undefined ? null : { changesetId, transactionName }
}

/** @param xid as the log has it; 0 where transactions have no numbers */
export function isTransactionOf(
  changeset: Pick<Changeset, 'transaction'>,
  { transactionName }: ChangesetMark,
  xid: number,
): boolean {
  return transactionName === null
    ? hasNumber(changeset, xid)
    : xid === 0 && changeset.transaction.id === transactionName
}

export function hasNumber({ transaction }: Pick<Changeset, 'transaction'>, xid: number): boolean {
  if (xid === 0 || !/^\d+$/.test(transaction.id)) return false
  return Number(BigInt.asUintN(XID_BITS, BigInt(transaction.id))) === xid
}
