/**
 * Whether a read contains a streamed transaction: if and only if its top-level xid is visible in the read's
 * `pg_snapshot`, whatever the LSNs say (P3).
 */

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

  of(xid: number): bigint {
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
