/** How old is what is kept, is the log going on, and is the database still the one that it came from? */

import { Failure } from '../../errors.ts'
import { type LogListing, listLogs } from '../../repository/change-log/log-start.ts'
import { findLostTail } from '../../repository/change-log/lost-tail.ts'
import { openLog } from '../../repository/change-log/reader.ts'
import { CAPTURE_LEASE, leaseHolder, leaseName } from '../../repository/lease.ts'
import { formatLsn } from '../../repository/lsn.ts'
import type { Manifest } from '../../repository/manifest.ts'
import type { Repository } from '../../repository/repository.ts'
import { completeUntil } from '../../repository/state/log-cut.ts'
import type { SourceIdentity } from '../../source/contract.ts'
import { isSameDatabase } from '../../source/identity.ts'
import type { RepositoryTopic, Seen } from './check.ts'
import type { Limits } from './limits.ts'

type Found = Seen<RepositoryTopic>[]

export interface Kept {
  readonly newest: Manifest | null
  readonly logs: LogListing
}

/** @throws store-… */
export async function readKept(repository: Repository, sourceName: string): Promise<Kept> {
  const logs = await listLogs(repository, sourceName)
  for (const id of (await repository.snapshotIds()).toReversed()) {
    const read = await repository.tryManifest(id)
    if (!(read instanceof Failure) && read.manifest.sourceName === sourceName) return { newest: read.manifest, logs }
  }
  return { newest: null, logs }
}

export function lookAtSnapshot({ newest }: Kept, sourceName: string, nowMs: number): Found {
  if (newest === null) return [{ topic: 'snapshot-missing', objects: [sourceName], found: '0' }]
  const takenAt = newest.position.sourceTime
  const measure = (nowMs - Date.parse(takenAt)) / 1000
  return [{ topic: 'snapshot-age', objects: [newest.snapshotId], found: takenAt, measure }]
}

export interface LogQuestion {
  readonly repository: Repository
  readonly sourceName: string
  readonly kept: Kept
  readonly nowMs: number
  readonly limits: Limits
}

export async function lookAtLog({ repository, sourceName, kept, nowMs, limits }: LogQuestion): Promise<Found> {
  const { logs, unreadable } = kept.logs
  const start = logs.at(-1)
  const damaged: Found = unreadable.map(({ logId, failure }) => ({
    topic: 'change-log-damaged',
    objects: [logId],
    found: failure.message,
  }))
  if (start === undefined) {
    return damaged.length > 0 ? damaged : [{ topic: 'capture-not-set-up', objects: [sourceName], found: '0' }]
  }
  const holder = await leaseHolder(repository, leaseName(repository.id, CAPTURE_LEASE, sourceName), nowMs)
  const found: Found = [...damaged, ...gaps(kept.logs, nowMs, limits)]
  if (holder === null) found.push({ topic: 'capture-not-running', objects: [start.logId], found: 'lease: –' })
  return [...found, ...(await lookIntoLog(repository, start.logId, kept.newest, nowMs))]
}

async function lookIntoLog(
  repository: Repository,
  logId: string,
  newest: Manifest | null,
  nowMs: number,
): Promise<Found> {
  try {
    const log = await openLog(repository, logId)
    const untilUs = await completeUntil(log)
    const place = newest?.log?.logId === logId ? newest.log : null
    const closed = place === null ? [] : await log.closedTables(place.head ? place.head.segment + 1 : 0)
    return [...ageOf(logId, untilUs, nowMs), ...closed.map(closing)]
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'change-log-gap') throw error
    return [{ topic: 'change-log-damaged', objects: [logId], found: error.message }]
  }
}

function ageOf(logId: string, untilUs: bigint | null, nowMs: number): Found {
  if (untilUs === null) return []
  const untilMs = Number(untilUs / 1000n)
  const measure = (nowMs - untilMs) / 1000
  return [{ topic: 'changes-age', objects: [logId], found: new Date(untilMs).toISOString(), measure }]
}

function closing({ table, reason, from }: { table: string; reason: string; from: bigint }): Seen<RepositoryTopic> {
  return { topic: 'table-closed', objects: [table], found: `${reason}, ${formatLsn(from)}` }
}

function gaps({ logs }: LogListing, nowMs: number, limits: Limits): Found {
  return logs.flatMap(({ logId, previousLog, startLsn, createdAt }) => {
    if (previousLog === null || nowMs - Date.parse(createdAt) > limits.gapShownSeconds * 1000) return []
    const from = previousLog.end === null ? '?' : formatLsn(previousLog.end)
    const found = `${from} … ${formatLsn(startLsn)}, ${createdAt}: ${previousLog.reason}`
    return [{ topic: 'gap-declared', objects: [logId], found }]
  })
}

/** @param slot as it stood before this look */
export async function lookAtTail(
  repository: Repository,
  sourceName: string,
  slot: { readonly name: string; readonly confirmedLsn: bigint | null },
): Promise<Found> {
  const lost = await findLostTail(repository, sourceName, slot)
  if (lost === null) return []
  const found = `${formatLsn(lost.from)} … ${formatLsn(lost.to)}, ${lost.slot}`
  return [{ topic: 'change-log-shortened', objects: [lost.logId], found }]
}

/** The newest snapshot and the newest log, each beside the database as it is now (I6). */
export function lookAtIdentity({ newest, logs }: Kept, identity: SourceIdentity): Found {
  const kept = [
    ...(newest === null ? [] : [{ name: newest.snapshotId, source: newest.source }]),
    ...logs.logs.slice(-1).map(({ logId, source }) => ({ name: logId, source })),
  ]
  return kept.flatMap(({ name, source }): Found => {
    const was = `${source.systemId}/${source.databaseOid}`
    const is = `${identity.systemId}/${identity.databaseOid}`
    if (!isSameDatabase(source, identity))
      return [{ topic: 'history-changed', objects: [name], found: `${was} → ${is}` }]
    if (source.timeline === identity.timeline) return []
    const found = `timeline ${source.timeline} → ${identity.timeline}`
    return [{ topic: 'history-timeline', objects: [name], found }]
  })
}
