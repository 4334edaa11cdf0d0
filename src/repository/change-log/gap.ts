/**
 * A place where the chain of a log does not hold, as an error that says from when to when changes are not to be had (I4),
 * and what is wrong there:
 *
 *     missing     no object of that number, though later ones are there
 *     damaged     it does not open, or does not decode
 *     foreign     it opens, and is of another log, number or source
 *     reordered   it is of this log, and does not continue the segment before it
 */
import { Failure } from '../../errors.ts'
import { isDamage } from '../damage.ts'
import { formatLsn } from '../lsn.ts'
import type { LogStart } from './log-start.ts'
import type { SegmentHeader } from './segment-header.ts'
import { isMissing, type SegmentHead, type SegmentStore } from './segment-store.ts'
import type { LogTrim } from './trim.ts'

export type ChainProblem = 'missing' | 'damaged' | 'foreign' | 'reordered'

export interface LogGap {
  readonly logId: string
  /** The first segment that cannot be relied on. */
  readonly segment: number
  readonly problem: ChainProblem
  /** Changes from here … */
  readonly from: bigint
  /** … to here are not to be had; null when nothing whole follows. */
  readonly to: bigint | null
  /** When the neighbours were sealed, ISO 8601; null where there is none. */
  readonly fromTime: string | null
  readonly toTime: string | null
}

/** How many segments beyond a bad one are tried for one that opens. */
const TRIES_MAX = 64

/**
 * What is wrong with a segment in its place, or null. `before`: the one before; null when nothing is known of it.
 * `trim`: where the log begins now, when not with segment 0.
 */
export function chainProblem(
  start: LogStart,
  number: number,
  { header }: SegmentHead,
  { before, trim }: { readonly before: SegmentHead | null; readonly trim: LogTrim | null },
): ChainProblem | null {
  const isOurs = header.logId === start.logId && header.number === number && header.sourceName === start.sourceName
  if (!isOurs) return 'foreign'
  if (number === 0) return header.previous === null && header.start === start.startLsn ? null : 'reordered'
  if (header.previous === null) return 'reordered'
  if (number === trim?.first) {
    return header.previous === trim.previous && header.start === trim.start ? null : 'reordered'
  }
  if (before === null) return null
  return continues(header, before) ? null : 'reordered'
}

function continues(header: SegmentHeader, before: SegmentHead): boolean {
  const { end, leaseToken, maxCommitTimeUs, unfinished } = before.header
  return (
    header.previous === before.sha256 &&
    header.start === end &&
    (!header.continues || unfinished) &&
    (leaseToken ?? 0) <= (header.leaseToken ?? 0) &&
    (maxCommitTimeUs === null || (header.maxCommitTimeUs !== null && header.maxCommitTimeUs >= maxCommitTimeUs))
  )
}

/** `missing` or `damaged`; anything else that went wrong is thrown on. A later format is not damage. */
export function problemOfError(error: unknown): ChainProblem {
  if (isMissing(error)) return 'missing'
  if (isDamage(error) && error.code !== 'repository-format') return 'damaged'
  throw error
}

/** Looks at the neighbours to say what it spans. @throws store-… */
export async function findGap(
  segments: SegmentStore,
  start: LogStart,
  segment: number,
  problem: ChainProblem,
): Promise<LogGap> {
  const before = segment === 0 ? null : await headOrNull(segments, segment - 1)
  const after = await nextWhole(segments, segment + 1)
  return {
    logId: start.logId,
    segment,
    problem,
    from: segment === 0 ? start.startLsn : (before?.header.end ?? start.startLsn),
    to: after?.header.start ?? null,
    fromTime: segment === 0 ? start.createdAt : (before?.header.sealedAt ?? null),
    toTime: after?.header.sealedAt ?? null,
  }
}

export function gapFailure(segments: SegmentStore, gap: LogGap, cause?: unknown): Failure {
  const object = segments.nameOf(gap.segment)
  const context = {
    object,
    logId: gap.logId,
    segment: gap.segment,
    problem: gap.problem,
    from: formatLsn(gap.from),
    ...(gap.to === null ? {} : { to: formatLsn(gap.to) }),
    ...(gap.fromTime === null ? {} : { fromTime: gap.fromTime }),
    ...(gap.toTime === null ? {} : { toTime: gap.toTime }),
  }
  return new Failure('change-log-gap', `segment ${gap.segment} of change log ${gap.logId} ${describeGap(gap)}`, {
    context,
    hints: [
      'Bring the object back from a copy: until then no moment in between can be restored.',
      'Run `chartkeep check` to see what else is affected.',
    ],
    cause,
  })
}

/** Without its subject. */
export function describeGap({ problem, from, to, fromTime, toTime }: LogGap): string {
  const words = {
    missing: 'is missing',
    damaged: 'is damaged',
    foreign: 'is of another change log, or another number',
    reordered: 'does not continue the one before it',
  }
  const end = to === null ? 'the end of the log' : `${formatLsn(to)}${toTime ? ` (before ${toTime})` : ''}`
  return `${words[problem]}: changes from ${formatLsn(from)}${fromTime ? ` (${fromTime})` : ''} to ${end} are not there`
}

async function nextWhole(segments: SegmentStore, from: number): Promise<SegmentHead | null> {
  const behind = (await segments.numbers()).filter((number) => number >= from)
  for (const number of behind.slice(0, TRIES_MAX)) {
    const head = await headOrNull(segments, number)
    if (head) return head
  }
  return null
}

async function headOrNull(segments: SegmentStore, number: number): Promise<SegmentHead | null> {
  try {
    return await segments.readHead(number)
  } catch (error) {
    problemOfError(error)
    return null
  }
}
