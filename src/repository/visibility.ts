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

/** `xid` has 32 bits, as in the stream: the one within half the circle of `xmax` is meant. */
export function isVisible(visibility: Visibility, xid: number): boolean {
  const full = nearest(BigInt(xid), visibility.xmax)
  if (full < visibility.xmin) return true
  return full < visibility.xmax && !visibility.inProgress.has(full)
}

function nearest(xid: bigint, to: bigint): bigint {
  const circle = 1n << 32n
  const half = circle >> 1n
  const candidate = (to & ~(circle - 1n)) | xid
  if (candidate > to + half) return candidate - circle
  return candidate < to - half ? candidate + circle : candidate
}
