/**
 * What a change is called, so that it can be given as a target (`--at before:CHANGE`).
 *
 *     1f2e3d4c-16/B3772A10-742                              a transaction: log, LSN of its commit, xid
 *     1f2e3d4c-16/B3772A10..20260301T070000Z-0a1b2c3d       known to lie between two places only: a position of a log,
 *     20260301T060000Z-1f2e3d4c..20260301T070000Z-0a1b2c3d  or a snapshot, and the next snapshot
 *
 * A log goes by the random end of its id: a position alone does not say of which history it is (P5).
 */
import { formatLsn, parseLsn } from '../lsn.ts'

/** A place from which on something is not known to the transaction. */
export type HistoryPlace =
  | { readonly kind: 'snapshot'; readonly snapshotId: string; readonly time: string }
  | { readonly kind: 'position'; readonly logId: string; readonly lsn: bigint }

export type ChangeId =
  | { readonly kind: 'transaction'; readonly log: string; readonly lsn: bigint; readonly xid: number }
  /** Behind this place of a log, or behind this snapshot. */
  | { readonly kind: 'position'; readonly log: string; readonly lsn: bigint }
  | { readonly kind: 'snapshot'; readonly snapshotId: string }

const TRANSACTION = /^([0-9a-f]{8})-([0-9A-F]{1,8}\/[0-9A-F]{1,8})-(\d{1,10})$/
const POSITION = /^([0-9a-f]{8})-([0-9A-F]{1,8}\/[0-9A-F]{1,8})$/
const SNAPSHOT = /^\d{8}T\d{6}Z-[0-9a-f]+$/
const XID_MAX = 0xffff_ffff

export function transactionChangeId(logId: string, { commitLsn, xid }: { commitLsn: bigint; xid: number }): string {
  return `${logSuffix(logId)}-${formatLsn(commitLsn)}-${xid}`
}

export function betweenChangeId(from: HistoryPlace, to: string): string {
  const begin = from.kind === 'snapshot' ? from.snapshotId : `${logSuffix(from.logId)}-${formatLsn(from.lsn)}`
  return `${begin}..${to}`
}

/** Of a change that lies between two places, where it may have begun. Null when it is none. */
export function parseChangeId(text: string): ChangeId | null {
  const [begin = '', end] = text.split('..')
  if (end !== undefined && !SNAPSHOT.test(end)) return null
  const [, log, lsn, xid] = TRANSACTION.exec(begin) ?? POSITION.exec(begin) ?? []
  if (log === undefined || lsn === undefined) {
    return end !== undefined && SNAPSHOT.test(begin) ? { kind: 'snapshot', snapshotId: begin } : null
  }
  if (end !== undefined) return xid === undefined ? { kind: 'position', log, lsn: parseLsn(lsn) } : null
  if (xid === undefined || Number(xid) > XID_MAX) return null
  return { kind: 'transaction', log, lsn: parseLsn(lsn), xid: Number(xid) }
}

export function logSuffix(logId: string): string {
  return logId.slice(logId.lastIndexOf('-') + 1)
}
