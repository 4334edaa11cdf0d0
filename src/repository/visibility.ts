/**
 * Whether a read contains a streamed transaction: if and only if its top-level xid is visible in the read's
 * `pg_snapshot`, whatever the LSNs say (P3).
 *
 * Where transactions have no numbers (SQL Server: xid 0), their commits are the numbers, and a read stands at a position:
 * it has what commits before, `16:16:` in the same notation. `0:0:` is a read of which that is not known.
 */
import type { TransactionStamp } from './change-log/change.ts'

export interface Visibility {
  readonly xmin: bigint
  readonly xmax: bigint
  readonly inProgress: ReadonlySet<bigint>
}

/** @param text `xmin:xmax:xip,xip,…`, decimal, 64 bits each */
export function parseVisibility(text: string): Visibility {
  const [xmin = '', xmax = '', list = ''] = text.split(':')
  const inProgress = new Set(list.split(',').filter(Boolean).map(BigInt))
  return { xmin: BigInt(xmin), xmax: BigInt(xmax), inProgress }
}

/** Whether nothing is known of which transactions a read has: no log carries on from it. */
export function isUntold(text: string): boolean {
  return parseVisibility(text).xmax === 0n
}

/** @param xid whole: see `WholeXids` */
export function isVisible(visibility: Visibility, xid: bigint): boolean {
  if (xid < visibility.xmin) return true
  return xid < visibility.xmax && !visibility.inProgress.has(xid)
}

const CIRCLE = 1n << 32n
const HALF = CIRCLE >> 1n

/**
 * Numbers of transactions as the stream gives them, 32 bits each, made whole. They are to be given in the stream's order,
 * from where numbers are near `first`: each is the one within half the circle of the highest before it. Measured from one
 * place for ever, two thousand million transactions later a new one would be taken for one that was long ago.
 */
export class WholeXids {
  #highest: bigint

  constructor(first: bigint) {
    this.#highest = first
  }

  of({ xid, commitLsn }: Pick<TransactionStamp, 'xid' | 'commitLsn'>): bigint {
    if (xid === 0) return commitLsn
    const whole = nearest(BigInt(xid), this.#highest)
    if (whole > this.#highest) this.#highest = whole
    return whole
  }
}

function nearest(xid: bigint, to: bigint): bigint {
  const candidate = (to & ~(CIRCLE - 1n)) | xid
  if (candidate > to + HALF) return candidate - CIRCLE
  return candidate < to - HALF ? candidate + CIRCLE : candidate
}
