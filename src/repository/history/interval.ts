/** From when to when the past is asked about, and where that lies in a log and among snapshots. */
import { Failure } from '../../errors.ts'
import type { TransactionStamp } from '../change-log/change.ts'
import type { ChangeLog } from '../change-log/reader.ts'
import { parseLsn } from '../lsn.ts'
import type { Manifest } from '../manifest.ts'
import { cutAtTime } from '../state/log-cut.ts'
import { parseMoment, timeUsOf } from '../state/moment.ts'
import type { EventTime } from './event.ts'

export type Edge =
  | { readonly kind: 'time'; readonly timeUs: bigint }
  /** Of one history: positions of two do not compare (I6). */
  | { readonly kind: 'position'; readonly lsn: bigint }

/** Null is open. */
export interface Interval {
  readonly since: Edge | null
  /** Inclusive. */
  readonly until: Edge | null
}

/** @param text a time with its offset, or an LSN. @throws bad-usage */
export function parseEdge(text: string): Edge {
  const moment = parseMoment(text)
  if (moment.kind === 'time' || moment.kind === 'position') return moment
  throw new Failure('bad-usage', `'${text}' is neither a time nor a position`, {
    hints: ['A time has its offset: 2026-03-01T10:15:00+08:00. A position is an LSN: 16/B3772A10.'],
  })
}

export function isBehind({ position }: Manifest, edge: Edge): boolean {
  if (edge.kind === 'position') return parseLsn(position.lsn) > edge.lsn
  return timeUsOf(position.sourceTime) > edge.timeUs
}

/** Up to where transactions of the log are asked about: as `restore --at` cuts it (P17). @throws change-log-gap, store-… */
export async function endIn(log: ChangeLog, { until }: Interval): Promise<bigint> {
  const end = await log.end()
  if (until === null) return end
  const bound = until.kind === 'position' ? until.lsn : (await cutAtTime(log, until.timeUs)).bound
  return bound < end ? bound : end
}

/** Whether something of it may lie behind the beginning. */
export function isSince(time: EventTime, { since }: Interval): boolean {
  if (since === null) return true
  if (time.kind === 'transaction') return isStampedSince(time.stamp, since)
  if (since.kind === 'position') return parseLsn(time.to.lsn) >= since.lsn
  return timeUsOf(time.to.time) >= since.timeUs
}

function isStampedSince({ endLsn, commitTimeUs }: TransactionStamp, since: Edge): boolean {
  return since.kind === 'position' ? endLsn > since.lsn : commitTimeUs >= since.timeUs
}
