/**
 * From a moment to what gives the database's rows at it: a snapshot, and a stretch of the change log behind it.
 *
 *     snapshot k ──┐ what it holds is decided by its visibility (P3)
 *     change log ──┴── scanFrom ─── transactions not visible in k ───┆ cut
 *
 * Where no such stretch is kept, the answer is an error that says from when to when, and which moments next to it can be
 * had. Only a source whose changes were not captured yet at that time is answered with the newest snapshot before it.
 */
import type { Failure } from '../../errors.ts'
import type { TransactionStamp } from '../change-log/change.ts'
import type { ClosedTable } from '../change-log/closed-tables.ts'
import { type ChangeLog, listLogs, openLog } from '../change-log/reader.ts'
import { type ChangeId, logSuffix } from '../history/change-id.ts'
import { formatLsn, parseLsn } from '../lsn.ts'
import type { Manifest } from '../manifest.ts'
import type { Repository } from '../repository.ts'
import { KeptSnapshots } from './kept-snapshots.ts'
import {
  type ClockNote,
  completeUntil,
  cutAtEnd,
  cutAtPosition,
  cutAtTime,
  type LogCut,
  lastBefore,
} from './log-cut.ts'
import { type Moment, parseMoment, timeUsOf } from './moment.ts'
import { afterTheEnd, beforeTheFirst, inTheGap, noLog, noSuchChange, tablesClosed } from './not-kept.ts'

/** A manifest that changes carry on from. */
export type LoggedManifest = Manifest & { readonly log: NonNullable<Manifest['log']> }

/** Of a log: what lies between a snapshot and a state. */
export interface LogStretch {
  readonly log: ChangeLog
  readonly fromSegment: number
  /** Inclusive; below `fromSegment` when nothing has to be read. */
  readonly toSegment: number
  /** Transactions that end at or before it belong to the state. */
  readonly bound: bigint
}

export interface CoarseTable {
  readonly table: string
  readonly reason: string
}

export interface StateTarget {
  readonly moment: Moment
  readonly base: Manifest
  /** Null: the snapshot itself is the state. */
  readonly along: LogStretch | null
  /** The last transaction of the state, if one since the base is; null also where the snapshot itself is the state. */
  readonly transaction: TransactionStamp | null
  /** From there, or from the snapshot, to the time asked for; null when no time was. */
  readonly secondsBefore: number | null
  readonly clock: ClockNote | null
  /** Tables that stand as of the base. */
  readonly coarse: readonly CoarseTable[]
  /** Tables whose rows are not known at this moment, of which none is wanted. */
  readonly closed: readonly ClosedTable[]
  /** Tables that appeared after the base: the state does not have them. */
  readonly added: readonly string[]
  /** A newer snapshot that cannot be read, and was not needed. */
  readonly passedOver: Failure | null
  /** What must be told of how the moment was found; null when nothing. */
  readonly remark: string | null
}

export interface TargetRequest {
  readonly repository: Repository
  readonly sourceName: string
  /** As `parseMoment` takes it. */
  readonly at: string
  /** Tables that must be known at the moment; all of the snapshot's when not given. */
  readonly wanted?: ReadonlySet<string>
}

/**
 * @throws bad-usage, snapshot-not-found; change-log-gap where the moment, or a wanted table at it, is not kept; what is
 * wrong with the snapshot that was meant
 */
export async function resolveTarget(request: TargetRequest): Promise<StateTarget> {
  const moment = parseMoment(request.at)
  const { repository, sourceName } = request
  const snapshots = await KeptSnapshots.list(repository, sourceName)
  if (moment.kind === 'snapshot') return asItIs(moment, await snapshots.named(moment.snapshotId))
  if (moment.kind === 'latest') return asItIs(moment, await snapshots.newest())
  if (moment.kind === 'before') return await justBefore(moment, moment.change, request, snapshots)

  const found =
    moment.kind === 'now' ? await findNow(repository, snapshots) : await findBefore(moment, repository, snapshots)
  if (found !== null) return await along(moment, found, request.wanted ?? null)
  // Before anything was captured, or behind it.
  return asItIs(moment, await snapshots.newest(moment.kind === 'time' ? moment.timeUs : null))
}

const BETWEEN =
  'the change is known from two snapshots only, or from a position and a snapshot: this is the older of both, and the ' +
  'change may have come any time later'

/**
 * The longest prefix of the log that ends in front of the transaction. What is known from a comparison of two places only
 * gives the older of them.
 */
async function justBefore(
  moment: Moment,
  change: ChangeId,
  { repository, sourceName, wanted }: TargetRequest,
  snapshots: KeptSnapshots,
): Promise<StateTarget> {
  if (change.kind === 'snapshot') {
    return { ...asItIs(moment, await snapshots.named(change.snapshotId)), remark: BETWEEN }
  }
  const { logs } = await listLogs(repository, sourceName)
  const starts = logs.filter(({ logId }) => logSuffix(logId) === change.log)
  const [start] = starts
  if (start === undefined || starts.length > 1)
    throw noSuchChange(change, `${starts.length} change logs have that name`)
  if (change.kind === 'transaction') {
    const found = await (await openLog(repository, start.logId)).findTransaction(change.lsn)
    if (found?.stamp.xid !== change.xid) throw noSuchChange(change, `the log has no transaction ${change.xid} there`)
  }
  const position = { kind: 'position', lsn: change.lsn } as const
  const found = await findBefore(position, repository, snapshots, start.logId)
  if (found === null) throw noSuchChange(change, `no snapshot precedes ${formatLsn(change.lsn)}`)
  return { ...(await along(moment, found, wanted ?? null)), remark: change.kind === 'position' ? BETWEEN : null }
}

/** A log, and those of its snapshots that were looked at, newest first. */
interface KeptLog {
  readonly log: ChangeLog
  readonly cut: LogCut
  readonly bases: LoggedManifest[]
}

interface Found {
  readonly kept: KeptLog
  readonly base: LoggedManifest
  readonly passedOver: Failure | null
}

/** Null when the newest snapshot is newer than everything that was captured, or of another history. */
async function findNow(repository: Repository, snapshots: KeptSnapshots): Promise<Found | null> {
  let newest: Manifest | null = null
  let kept: KeptLog | null = null
  for await (const { manifest, passedOver } of snapshots.newestFirst(false)) {
    newest ??= manifest
    if (!isLogged(manifest)) continue
    kept ??= await openKept(repository, manifest, cutAtEnd)
    const isOfLog = kept.log.start.logId === manifest.log.logId && isSameDatabase(kept.log, newest)
    if (!isOfLog || lsnOf(newest) > kept.cut.bound) return null
    kept.bases.push(manifest)
    if (lsnOf(manifest) <= kept.cut.bound) return { kept, base: manifest, passedOver }
  }
  if (newest !== null) throw noLog(snapshots.sourceName)
  return null
}

/**
 * Null when a time lies before everything that was captured. `only`: the log of which the position is meant; positions of
 * two histories do not compare (I6).
 */
async function findBefore(
  moment: Moment & { readonly kind: 'time' | 'position' },
  repository: Repository,
  snapshots: KeptSnapshots,
  only: string | null = null,
): Promise<Found | null> {
  let kept: KeptLog | null = null
  let later: KeptLog | null = null
  for await (const { manifest, passedOver } of snapshots.newestFirst(false)) {
    if (!isLogged(manifest) || (only !== null && manifest.log.logId !== only)) continue
    if (kept?.log.start.logId !== manifest.log.logId) {
      later = kept
      kept = await openKept(repository, manifest, (log) => cutAt(log, moment))
    }
    kept.bases.push(manifest)
    if (!isNotAfter(manifest, moment)) continue
    if (await endsBefore(kept, moment)) throw await notReached(moment, kept, later)
    // A clock that was set back: the snapshot has something that is stamped later than the moment.
    if (lsnOf(manifest) > kept.cut.bound) continue
    return { kept, base: manifest, passedOver }
  }
  if (moment.kind === 'position') throw beforeTheFirst(moment.lsn, kept && firstBase(kept))
  return null
}

async function openKept(
  repository: Repository,
  manifest: LoggedManifest,
  cut: (log: ChangeLog) => Promise<LogCut>,
): Promise<KeptLog> {
  const log = await openLog(repository, manifest.log.logId, manifest.log.head?.segment)
  return { log, cut: await cut(log), bases: [] }
}

async function cutAt(log: ChangeLog, moment: Moment & { readonly kind: 'time' | 'position' }): Promise<LogCut> {
  if (moment.kind === 'time') return await cutAtTime(log, moment.timeUs)
  const isWithin = moment.lsn >= log.start.startLsn && moment.lsn <= (await log.end())
  return isWithin ? await cutAtPosition(log, moment.lsn) : await cutAtEnd(log)
}

/** Of a snapshot's rows and definitions. */
function isNotAfter(manifest: Manifest, moment: Moment & { readonly kind: 'time' | 'position' }): boolean {
  if (moment.kind === 'position') return lsnOf(manifest) <= moment.lsn
  return timeUsOf(manifest.position.sourceTime) <= moment.timeUs
}

/** Whether something may have been committed up to the moment that the log does not have. */
async function endsBefore(kept: KeptLog, moment: Moment & { readonly kind: 'time' | 'position' }): Promise<boolean> {
  if (moment.kind === 'position') return moment.lsn > (await kept.log.end())
  // A commit that is stamped later ends the prefix, whatever else is known.
  if (kept.cut.next !== null) return false
  const known = await knownUntil(kept)
  return known === null || moment.timeUs > known
}

async function notReached(moment: Moment, kept: KeptLog, later: KeptLog | null): Promise<Failure> {
  const end = { log: kept.log, end: await kept.log.end(), completeUntil: await knownUntil(kept) }
  return later ? inTheGap(moment, end, firstBase(later)) : afterTheEnd(moment, end)
}

/** Until when nothing can have been committed that the log does not have, or null. */
async function knownUntil({ log, bases }: KeptLog): Promise<bigint | null> {
  const head = await log.head()
  const end = head?.header.end ?? log.start.startLsn
  const snapshot = bases.find((base) => lsnOf(base) <= end)
  const times = [
    head?.header.maxCommitTimeUs ?? null,
    await completeUntil(log),
    snapshot ? timeUsOf(snapshot.position.sourceTime) : null,
  ]
  return times.reduce((most, time) => (most === null || (time !== null && time > most) ? time : most), null)
}

function asItIs(moment: Moment, base: Manifest): StateTarget {
  const takenUs = timeUsOf(base.position.sourceTime)
  const secondsBefore = moment.kind === 'time' ? Number(moment.timeUs - takenUs) / 1e6 : null
  const nothing = { transaction: null, clock: null, coarse: [], closed: [], added: [], passedOver: null, remark: null }
  return { moment, base, along: null, secondsBefore, ...nothing }
}

async function along(moment: Moment, found: Found, wanted: ReadonlySet<string> | null): Promise<StateTarget> {
  const { kept, base, passedOver } = found
  const { log, cut } = kept
  const closings = await closingsSince(log, base, cut)
  const { closed, added, coarse } = sortClosings(base, closings)
  const refused = closed.filter(({ table }) => wanted === null || wanted.has(table))
  if (refused.length > 0) throw tablesClosed(refused, nextBase(kept, base))
  const fromSegment = base.log.scanSegment
  const transaction = await lastBefore(log, cut, fromSegment)
  const reachedUs = transaction?.commitTimeUs ?? timeUsOf(base.position.sourceTime)
  return {
    moment,
    base,
    along: { log, fromSegment, toSegment: cut.segment, bound: cut.bound },
    transaction,
    secondsBefore: moment.kind === 'time' ? Number(moment.timeUs - reachedUs) / 1e6 : null,
    clock: cut.clock,
    coarse,
    closed,
    added,
    passedOver,
    remark: null,
  }
}

/** What closes tables between what the snapshot read and the cut. */
async function closingsSince(log: ChangeLog, base: LoggedManifest, cut: LogCut): Promise<ClosedTable[]> {
  const fromSegment = firstSegmentAfter(base)
  const closings = await log.closedTables(fromSegment, cut.segment + 1)
  return closings.filter(({ from }) => from < cut.bound)
}

/** While a snapshot is taken its tables are locked: up to the segment that it saw as the newest, they are what it read. */
export function firstSegmentAfter({ log }: LoggedManifest): number {
  return log.head === null ? 0 : log.head.segment + 1
}

export interface SortedClosings {
  /** Of tables that the snapshot has at transaction resolution. */
  readonly closed: readonly ClosedTable[]
  readonly added: readonly string[]
  readonly coarse: readonly CoarseTable[]
}

export function sortClosings(base: Manifest, closings: readonly ClosedTable[]): SortedClosings {
  const known = new Map(base.tables.map((table) => [table.name, table]))
  const isFine = (name: string) => known.get(name)?.resolution === 'transaction'
  return {
    closed: closings.filter(({ table }) => isFine(table)),
    added: [...new Set(closings.filter(({ table }) => !known.has(table)).map(({ table }) => table))].sort(),
    coarse: base.tables
      .filter(({ name }) => !isFine(name))
      .map(({ name, resolutionReason }) => ({
        table: name,
        reason: resolutionReason ?? 'its changes are not captured',
      })),
  }
}

/** The snapshot that follows `base` on its log, or null. */
function nextBase({ bases }: KeptLog, base: Manifest): Manifest | null {
  return bases[bases.findIndex(({ snapshotId }) => snapshotId === base.snapshotId) - 1] ?? null
}

/** Of those looked at. */
function firstBase({ bases }: KeptLog): Manifest {
  return bases.at(-1)!
}

function lsnOf({ position }: Manifest): bigint {
  return parseLsn(position.lsn)
}

/** A log may go on over a failover, when nothing of it was lost there. */
function isSameDatabase({ start }: ChangeLog, { source }: Manifest): boolean {
  const { systemId, databaseOid } = start.source
  return source.systemId === systemId && source.databaseOid === databaseOid
}

export function isLogged(manifest: Manifest): manifest is LoggedManifest {
  return manifest.log !== undefined && manifest.log !== null
}
