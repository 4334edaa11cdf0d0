/**
 * Change logs: is every one there that something names, is every segment there from the first to the newest, and does
 * each continue the one before it? What is lost there is lost between two moments, and that is what a finding says.
 *
 * Every segment is an object of its own, so that looking into one costs what reading it costs. `needed`: those that no
 * snapshot has taken the place of yet are opened. `all`: every one.
 */

import { describeGap } from '../repository/change-log/gap.ts'
import { type LogStart, readLogStart } from '../repository/change-log/log-start.ts'
import { type ChangeLogAnchors, LogWalk, type SegmentTrouble } from '../repository/change-log/log-walk.ts'
import { type LogTrim, readTrim } from '../repository/change-log/trim.ts'
import { LEASE_PREFIX, LOG_PREFIX, logKey, SEGMENT_PREFIX, segmentKey, segmentOf } from '../repository/layout.ts'
import { verifyClaim } from '../repository/lease.ts'
import type { Manifest } from '../repository/manifest.ts'
import type { Repository } from '../repository/repository.ts'
import { damageOf, type Finding, type FindingKind, finding, warning } from './finding.ts'
import type { Listing } from './inventory.ts'

export interface LogRequest {
  readonly repository: Repository
  readonly listing: Listing
  /** Newest first. */
  readonly manifests: readonly Manifest[]
  readonly depth: 'needed' | 'all'
  readonly signal: AbortSignal
}

export interface LogLook {
  logs: number
  segments: number
  segmentsRead: number
}

/** What is known of one log before it is looked into. */
interface KnownLog {
  readonly logId: string
  /** Listed, ascending. */
  readonly numbers: readonly number[]
  /** That have their place in it, newest first. */
  readonly manifests: readonly Manifest[]
}

const KINDS: Readonly<Record<SegmentTrouble['problem'], FindingKind>> = {
  missing: 'segment-missing',
  damaged: 'segment-damaged',
  foreign: 'segment-out-of-chain',
  reordered: 'segment-out-of-chain',
}
const HINT = 'Bring the object back from a copy: until then no moment in between can be restored.'

/** Adds to `findings` and `look` as it goes. @throws store-…, repository-format; the signal's reason */
export async function checkChangeLogs(request: LogRequest, findings: Finding[], look: LogLook): Promise<void> {
  const { repository, listing } = request
  const logs = knownLogs(request, findings)
  const starts = new Map<string, LogStart>()
  for (const log of logs) {
    look.segments += log.numbers.length
    const start = await startOf(request, log, findings)
    if (start) starts.set(log.logId, start)
  }
  look.logs = starts.size
  const successors = new Map<string, LogStart>()
  for (const start of starts.values()) if (start.previousLog) successors.set(start.previousLog.logId, start)
  for (const log of logs) {
    const start = starts.get(log.logId)
    const reaches = successors.get(log.logId)?.previousLog?.end ?? null
    if (start) await checkSegments(request, log, { start, reaches }, findings, look)
  }
  for (const [previous, { logId }] of successors) {
    if (logs.some((log) => log.logId === previous)) continue
    const message = `change log ${previous}, which ${logId} took the place of, is not there`
    findings.push(finding({ kind: 'log-missing', object: logKey(previous), message, patientsComplete: false }))
  }
  await checkLeases(repository, listing, findings)
}

/** Every log that has a start, or a segment, or a snapshot that names it, in order of their ids. */
function knownLogs({ listing, manifests }: LogRequest, findings: Finding[]): KnownLog[] {
  const numbers = new Map<string, number[]>()
  for (const key of listing.keys(LOG_PREFIX)) numbers.set(key.slice(LOG_PREFIX.length), [])
  for (const { log } of manifests) if (log && !numbers.has(log.logId)) numbers.set(log.logId, [])
  for (const key of listing.keys(SEGMENT_PREFIX)) {
    const segment = segmentOf(key)
    if (!segment) {
      const message = `object ${key} has the name of no segment`
      findings.push(warning({ kind: 'unknown-object', object: key, message }))
      continue
    }
    const known = numbers.get(segment.logId)
    if (known) known.push(segment.number)
    else numbers.set(segment.logId, [segment.number])
  }
  return [...numbers].sort().map(([logId, found]) => ({
    logId,
    numbers: found.sort((a, b) => a - b),
    manifests: manifests.filter(({ log }) => log?.logId === logId),
  }))
}

async function startOf(
  { repository }: LogRequest,
  { logId, numbers, manifests }: KnownLog,
  findings: Finding[],
): Promise<LogStart | null> {
  try {
    return await readLogStart(repository, logId)
  } catch (error) {
    const { code, message } = damageOf(error)
    const isMissing = code === 'object-missing'
    const what = isMissing ? `the start of change log ${logId} is not there` : message
    findings.push(
      finding({
        kind: isMissing ? 'log-missing' : 'log-damaged',
        object: logKey(logId),
        message: `${what}: nothing of its ${numbers.length} segments can be told`,
        snapshots: manifests.map(({ snapshotId }) => snapshotId).sort(),
        patientsComplete: false,
        hint: HINT,
      }),
    )
    return null
  }
}

async function checkSegments(
  { repository, depth, signal }: LogRequest,
  { logId, numbers, manifests }: KnownLog,
  { start, reaches }: { readonly start: LogStart; readonly reaches: bigint | null },
  findings: Finding[],
  look: LogLook,
): Promise<void> {
  const anchors: ChangeLogAnchors = new Map(
    manifests.flatMap(({ log }) => (log?.head ? [[log.head.segment, log.head.sha256]] : [])),
  )
  const trim = await trimOf(repository, logId, findings)
  const openFrom = depth === 'all' ? 0 : (manifests[0]?.log?.scanSegment ?? 0)
  const walk = new LogWalk(repository.sealed, start, { listed: numbers, anchors, openFrom, reaches, trim })
  try {
    for await (const trouble of walk.troubles(signal)) {
      const { segment, count } = trouble
      const object = segmentKey(logId, segment)
      const what = count > 1 ? `the run of segments ${segment} to ${segment + count - 1}` : `segment ${segment}`
      const message = `${what} of change log ${logId} (${start.sourceName}) ${describeGap(trouble)}`
      const isIn = (number: number) => number >= segment && number < segment + count
      const snapshots = manifests.filter(({ log }) => isIn(log?.head?.segment ?? -1))
      findings.push(
        finding({
          kind: KINDS[trouble.problem],
          object,
          message,
          snapshots: snapshots.map(({ snapshotId }) => snapshotId).sort(),
          patientsComplete: false,
          hint: HINT,
        }),
      )
    }
  } finally {
    look.segmentsRead += walk.opened
  }
}

/** Of one that cannot be read, what is missing is called missing: nobody says that it was to go. */
async function trimOf(repository: Repository, logId: string, findings: Finding[]): Promise<LogTrim | null> {
  try {
    return await readTrim(repository.sealed, logId)
  } catch (error) {
    const { message, context } = damageOf(error)
    findings.push(finding({ kind: 'log-damaged', object: String(context.object), message, hint: HINT }))
    return null
  }
}

/** Nothing of a patient hangs on them: a damaged claim costs the next writer a wait. */
async function checkLeases(repository: Repository, listing: Listing, findings: Finding[]): Promise<void> {
  for (const name of listing.keys(LEASE_PREFIX)) {
    try {
      await verifyClaim(repository, name)
    } catch (error) {
      const { code, message } = damageOf(error)
      // Holders clear their old claims as they go.
      if (code !== 'object-missing') findings.push(warning({ kind: 'lease-damaged', object: name, message }))
    }
  }
}
