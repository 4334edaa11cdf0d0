/**
 * How well a source is protected now: what could be restored, up to when, and what is in the way. Asks the repository
 * and, where it answers, the database; what could not be asked is named, and is never taken for well.
 */
import { Failure } from '../errors.ts'
import { includedTables, type PatientLayout } from '../intake/table-plan.ts'
import { findLostTail } from '../repository/change-log/lost-tail.ts'
import { type ChangeLog, type LogStart, listLogs, openLog } from '../repository/change-log/reader.ts'
import { CAPTURE_LEASE, leaseHolder, leaseName } from '../repository/lease.ts'
import { formatLsn } from '../repository/lsn.ts'
import type { Manifest } from '../repository/manifest.ts'
import type { Repository } from '../repository/repository.ts'
import { completeUntil } from '../repository/state/log-cut.ts'
import type { SlotState } from '../source/change-contract.ts'
import type { Source } from '../source/contract.ts'
import { slotLimit } from './capture/slot-watch.ts'

export interface StatusRequest {
  readonly repository: Repository
  readonly sourceName: string
  readonly layout: PatientLayout
  /** @throws source-…: then the status says so, and what it knows without the database */
  readonly openSource: () => Promise<Source>
  readonly nowMs: () => number
}

export interface CoarseTable {
  readonly table: string
  readonly reason: string
  readonly remedySql: string | null
}

export interface ProtectionStatus {
  readonly source: string
  /** ISO 8601, by our clock. Ages are by it too. */
  readonly at: string
  readonly snapshot: SnapshotStatus | null
  readonly log: LogStatus | null
  /** Who captures, as far as the lease says; one that died a moment ago is still named. */
  readonly capture: { readonly holder: string; readonly renewedAt: string } | null
  readonly slot: SlotStatus | null
  /** Up to when a state can be had; null when there is none. */
  readonly protectedUntil: string | null
  readonly protectedAgeSeconds: number | null
  /** Tables whose past is known at snapshots only. */
  readonly coarse: readonly CoarseTable[]
  /** Tables without points in time since the last snapshot. */
  readonly closed: readonly { readonly table: string; readonly reason: string; readonly from: string }[]
  readonly gaps: readonly {
    readonly from: string | null
    readonly to: string
    readonly begunAt: string
    readonly reason: string
  }[]
  /** The newest segments were kept and are gone from the store: changes between the two will not be sent again. */
  readonly lostTail: { readonly log: string; readonly slot: string; readonly from: string; readonly to: string } | null
  readonly notAsked: readonly string[]
}

export interface SnapshotStatus {
  readonly snapshot: string
  readonly mode: Manifest['mode']
  readonly position: string
  /** By the database's clock. */
  readonly takenAt: string
  readonly ageSeconds: number
  /** The change log carries on from it. */
  readonly carriesOn: boolean
}

export interface LogStatus {
  readonly logId: string
  readonly segments: number
  readonly end: string
  /** Up to when everything that was committed is kept; null when that is not known. */
  readonly keptUntil: string | null
  readonly ageSeconds: number | null
  /** Commit time of the last change, by the database's clock. */
  readonly lastCommit: string | null
}

export interface SlotStatus {
  readonly slot: string
  readonly active: boolean
  readonly walStatus: string
  readonly retainedBytes: number
  readonly limitBytes: number | null
  readonly catalogXminAge: number
  /** From the log's end to where the database is. */
  readonly lagBytes: number
}

/** @throws store-… and what is wrong with the repository as a whole */
export async function protectionStatus(request: StatusRequest): Promise<ProtectionStatus> {
  const { repository, sourceName, nowMs } = request
  const notAsked: string[] = []
  const newest = await newestSnapshot(request, notAsked)
  const { logs, unreadable } = await listLogs(repository, sourceName)
  for (const { logId, failure } of unreadable) notAsked.push(`change log ${logId}: ${failure.message}`)
  const start = logs.at(-1) ?? null
  const carriesOn = start !== null && newest?.log?.logId === start.logId
  // The slot before the log: what is confirmed in between is then no loss.
  const asked = await askDatabase(request, { start, newest }, notAsked)
  const looked = start ? await lookAtLog(request, { start, newest: carriesOn ? newest : null }, notAsked) : null

  const holder = await leaseHolder(repository, leaseName(repository.id, CAPTURE_LEASE, sourceName), nowMs())
  const protectedMs = latest(
    newest && Date.parse(newest.position.sourceTime),
    carriesOn && looked?.log.keptUntil ? Date.parse(looked.log.keptUntil) : null,
  )
  const ageSeconds = (ms: number) => Math.max(0, (nowMs() - ms) / 1000)
  return {
    source: sourceName,
    at: iso(nowMs()),
    snapshot: newest && {
      snapshot: newest.snapshotId,
      mode: newest.mode,
      position: newest.position.lsn,
      takenAt: newest.position.sourceTime,
      ageSeconds: ageSeconds(Date.parse(newest.position.sourceTime)),
      carriesOn,
    },
    log: looked?.log ?? null,
    capture: holder && { holder: holder.holder, renewedAt: holder.madeAt },
    slot: asked.slot && slotOf(asked.slot, looked?.end ?? null),
    protectedUntil: protectedMs === null ? null : iso(protectedMs),
    protectedAgeSeconds: protectedMs === null ? null : ageSeconds(protectedMs),
    coarse: asked.coarse,
    closed: looked?.closed ?? [],
    gaps: logs.flatMap(gapOf),
    lostTail: await lostTailOf(request, asked, looked),
    notAsked,
  }
}

/** Looked at once more where it seems so: a log that was begun in between has a slot of the same name. */
async function lostTailOf(
  { repository, sourceName }: StatusRequest,
  { slot }: Asked,
  looked: LookedAt | null,
): Promise<ProtectionStatus['lostTail']> {
  if (!slot || !looked || (slot.state.confirmedLsn ?? 0n) <= looked.end) return null
  const { confirmedLsn } = slot.state
  const lost = await findLostTail(repository, sourceName, { name: slot.name, confirmedLsn })
  return lost && { log: lost.logId, slot: lost.slot, from: formatLsn(lost.from), to: formatLsn(lost.to) }
}

async function newestSnapshot({ repository, sourceName }: StatusRequest, notAsked: string[]): Promise<Manifest | null> {
  for (const id of (await repository.snapshotIds()).toReversed()) {
    const read = await repository.tryManifest(id)
    if (read instanceof Failure) notAsked.push(`snapshot ${id}: ${read.message}`)
    else if (read.manifest.sourceName === sourceName) return read.manifest
  }
  return null
}

interface LookedAt {
  readonly log: LogStatus
  readonly end: bigint
  readonly closed: ProtectionStatus['closed']
}

/** A log that does not hold is said to be so, and nothing of it counts. */
async function lookAtLog(
  { repository, nowMs }: StatusRequest,
  { start, newest }: { readonly start: LogStart; readonly newest: Manifest | null },
  notAsked: string[],
): Promise<LookedAt | null> {
  try {
    const log = await openLog(repository, start.logId)
    const head = await log.head()
    const untilUs = await completeUntil(log)
    const untilMs = untilUs === null ? null : Number(untilUs / 1000n)
    const lastUs = head?.header.maxCommitTimeUs ?? null
    return {
      end: head?.header.end ?? start.startLsn,
      log: {
        logId: start.logId,
        segments: (head?.header.number ?? -1) + 1,
        end: formatLsn(head?.header.end ?? start.startLsn),
        keptUntil: untilMs === null ? null : iso(untilMs),
        ageSeconds: untilMs === null ? null : Math.max(0, (nowMs() - untilMs) / 1000),
        lastCommit: lastUs === null ? null : iso(Number(lastUs / 1000n)),
      },
      closed: newest === null ? [] : await closedSince(log, newest),
    }
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'change-log-gap') throw error
    notAsked.push(`change log ${start.logId}: ${error.message}`)
    return null
  }
}

async function closedSince(log: ChangeLog, { log: place }: Manifest): Promise<ProtectionStatus['closed']> {
  const closed = await log.closedTables(place?.head ? place.head.segment + 1 : 0)
  return closed.map(({ table, reason, from }) => ({ table, reason, from: formatLsn(from) }))
}

interface AskedFor {
  readonly start: LogStart | null
  readonly newest: Manifest | null
}

interface AskedSlot {
  readonly name: string
  readonly state: SlotState
  /** Where the database is. */
  readonly lsn: bigint
}

interface Asked {
  readonly slot: AskedSlot | null
  readonly coarse: readonly CoarseTable[]
}

/** What only the database knows; of the tables, what the last snapshot says where it does not answer. */
async function askDatabase(request: StatusRequest, { start, newest }: AskedFor, notAsked: string[]): Promise<Asked> {
  try {
    await using source = await request.openSource()
    const { changes } = source
    if (!changes) return { slot: null, coarse: fromManifest(newest) }
    const tables = includedTables(await source.introspect(), request.layout).map(({ name }) => name)
    const { tables: planned } = await changes.plan(tables, { allowsUnlimitedSlot: true })
    const coarse = planned
      .filter(({ resolution }) => resolution === 'snapshot')
      .map(({ table, reason, remedySql }) => ({ table, reason: reason ?? 'unknown', remedySql }))
    const state = start ? await changes.slotState(start.slot) : null
    if (!start || !state) return { slot: null, coarse }
    const { lsn } = await changes.fingerprint()
    return { slot: { name: start.slot, state, lsn }, coarse }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    notAsked.push(`the database: ${error.message}`)
    return { slot: null, coarse: fromManifest(newest) }
  }
}

/** `end`: of the log, or null. */
function slotOf({ name, state, lsn }: AskedSlot, end: bigint | null): SlotStatus {
  const { active, walStatus, catalogXminAge } = state
  const lagBytes = Number(end === null || lsn < end ? 0n : lsn - end)
  const sizes = { retainedBytes: Number(state.retainedBytes), limitBytes: slotLimit(state) }
  return { slot: name, active, walStatus, catalogXminAge, lagBytes, ...sizes }
}

function fromManifest(manifest: Manifest | null): CoarseTable[] {
  return (manifest?.tables ?? [])
    .filter(({ resolution }) => resolution !== 'transaction')
    .map(({ name, resolutionReason }) => ({
      table: name,
      reason: resolutionReason ?? 'its changes are not captured',
      remedySql: null,
    }))
}

function gapOf({ previousLog, startLsn, createdAt }: LogStart): ProtectionStatus['gaps'][number][] {
  if (previousLog === null) return []
  const from = previousLog.end === null ? null : formatLsn(previousLog.end)
  return [{ from, to: formatLsn(startLsn), begunAt: createdAt, reason: previousLog.reason }]
}

function latest(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b
  return Math.max(a, b)
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

/** In words, why the source counts as badly protected; null when it does not. */
export function lateness(
  { protectedUntil, protectedAgeSeconds, snapshot, lostTail }: ProtectionStatus,
  maxAgeSeconds: number,
): string | null {
  if (snapshot === null || protectedAgeSeconds === null) return 'there is no snapshot'
  if (lostTail !== null) return `changes from ${lostTail.from} to ${lostTail.to} were kept and are gone from the store`
  if (protectedAgeSeconds <= maxAgeSeconds) return null
  return `nothing later than ${protectedUntil} is kept, which is ${Math.round(protectedAgeSeconds)} s ago, ${maxAgeSeconds} s are allowed`
}
