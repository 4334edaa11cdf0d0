/**
 * Where a snapshot stands in the change log: from which position on the log has to be looked at for what the snapshot
 * does not have. Which transactions it has is decided by its visibility and by nothing else (P3); the position only says
 * where to begin.
 */
import type { TransactionStamp } from '../repository/change-log/change.ts'
import type { ChangeLog } from '../repository/change-log/reader.ts'
import type { SegmentHead } from '../repository/change-log/segment-store.ts'
import { formatLsn } from '../repository/lsn.ts'
import type { Manifest } from '../repository/manifest.ts'
import type { TreeRoot } from '../repository/tree/tree-root.ts'
import { isVisible, parseVisibility, type Visibility, WholeXids } from '../repository/visibility.ts'

export type LogPlace = NonNullable<Manifest['log']>

/** A snapshot that stands in a log. */
export type LoggedManifest = Manifest & { readonly log: LogPlace }

/**
 * Whether a read can be followed by the log: not while it waits for a transaction that began before the slot was ready,
 * which may have written its commit record before the log begins without being visible yet.
 */
export function handsOver(visibility: Visibility, xidHorizon: string): boolean {
  return visibility.xmin >= BigInt(xidHorizon)
}

export interface LateQuestion {
  /** That are read. */
  readonly tables: readonly string[]
  /** The snapshot before, when it stands in this log. */
  readonly previous: Manifest | null
  /** Since the snapshot before, or since the log began. */
  readonly closed: ReadonlySet<string>
  /** Taken before the read, when the log had caught up; null when it could not. */
  readonly horizon: string | null
}

/**
 * Tables whose capture begins anew with this read, while a transaction is open that may have written to them before: the
 * stream tells nothing of what was written before a table was published, and the read does not see it yet (P7).
 */
export function lateTables(visible: string, { tables, previous, closed, horizon }: LateQuestion): Set<string> {
  if (horizon !== null && handsOver(parseVisibility(visible), horizon)) return new Set()
  const followed = new Set(
    previous?.tables.filter(({ resolution }) => resolution === 'transaction').map(({ name }) => name),
  )
  return new Set(tables.filter((name) => closed.has(name) || (previous !== null && !followed.has(name))))
}

/** Watches transactions go by in order of commit, and keeps where the first one was that a read does not have. */
export class Leftovers {
  first: bigint | null = null
  readonly #visibility: Visibility
  readonly #whole: WholeXids

  /** @param first a number near those of the first transactions that go by */
  constructor(visibility: Visibility, first: bigint) {
    this.#visibility = visibility
    this.#whole = new WholeXids(first)
  }

  /** @returns whether the read has it */
  pass(stamp: TransactionStamp): boolean {
    const isThere = isVisible(this.#visibility, this.#whole.of(stamp))
    if (!isThere) this.first ??= stamp.commitLsn
    return isThere
  }
}

export interface PlaceParts {
  readonly log: ChangeLog
  readonly scanFrom: bigint
  /** The newest segment by which the definitions of tables were looked at before or after the read. */
  readonly head: SegmentHead | null
  readonly transactions: TreeRoot | null
}

export async function placeOf({ log, scanFrom, head, transactions }: PlaceParts): Promise<LogPlace> {
  let scanSegment = await log.locate(scanFrom)
  // A transaction that stands in several segments is read from its beginning.
  const newest = (await log.head())?.header.number ?? -1
  while (scanSegment > 0 && scanSegment <= newest && (await log.segment(scanSegment)).header.continues) scanSegment -= 1
  return {
    logId: log.start.logId,
    scanFrom: formatLsn(scanFrom),
    scanSegment,
    head: head && { segment: head.header.number, sha256: head.sha256, end: formatLsn(head.header.end) },
    transactions,
  }
}

/**
 * Of a full read: everything that commits before it is in the read. What was in the log when the read began is in the
 * read too, but for transactions that had written their commit and were not visible yet. The list of those in progress
 * does not name them all: not those that are newer than every transaction that has ended.
 * @param before the log's end before the read began
 * @param from where the log was last known to be contained whole, when numbers of transactions were near `firstXid`
 */
export async function scanFromOf(
  log: ChangeLog,
  visible: string,
  { from, before, firstXid }: { readonly from: bigint; readonly before: bigint; readonly firstXid: bigint },
): Promise<bigint> {
  const visibility = parseVisibility(visible)
  if (before <= from) return before
  const leftovers = new Leftovers(visibility, firstXid)
  let fromSegment = await log.locate(from)
  const newest = (await log.head())?.header.number ?? -1
  while (fromSegment > 0 && fromSegment <= newest && (await log.segment(fromSegment)).header.continues) fromSegment -= 1
  for await (const part of log.transactions({ fromSegment, fromLsn: from, toLsn: before })) {
    if (part.begins) leftovers.pass(part)
  }
  return leftovers.first ?? before
}
