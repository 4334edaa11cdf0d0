/** One connection, from nothing: the source, its plan, the log to go on with, the stream, and what it must send again. */
import { Failure } from '../../errors.ts'
import { includedTables, type PatientLayout } from '../../intake/table-plan.ts'
import type { LoggedTransaction } from '../../repository/change-log/change.ts'
import { openLog } from '../../repository/change-log/reader.ts'
import { formatLsn } from '../../repository/lsn.ts'
import type { Repository } from '../../repository/repository.ts'
import type { CapturePlan, CatalogFingerprint, ChangeSource } from '../../source/change-contract.ts'
import type { Source } from '../../source/contract.ts'
import { chooseLog } from './choose-log.ts'
import { coverageOf } from './coverage.ts'
import type { CaptureListener } from './events.ts'
import { type Fence, LogTail } from './log-tail.ts'
import { ResumeCheck } from './resume-check.ts'
import { CaptureSession, type SessionEnd } from './session.ts'
import type { CaptureSettings } from './settings.ts'

export interface SessionRequest {
  readonly repository: Repository
  readonly sourceName: string
  /** A new connection each time: the old one may be what broke. */
  readonly openSource: () => Promise<Source>
  readonly layout: Pick<PatientLayout, 'exclude'>
  readonly slot: string
  readonly settings: CaptureSettings
  /** Where large transactions wait, encrypted. */
  readonly spillDirectory: string
  readonly nowMs: () => number
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  readonly random: (bytes: number) => Uint8Array
  readonly onEvent: CaptureListener
}

export interface SessionWorld {
  readonly fence: Fence
  /** See `LogQuestion`. */
  readonly breakReason: string | null
  /** Somebody wants it to end well. */
  readonly stop: AbortSignal
  /** Ends it at once. */
  readonly abandon: AbortSignal
  readonly onConnected: (end: bigint) => void
}

/** @throws cannot-capture, slot-…, history-differs, lease-lost, source-…, store-… */
export async function runSession(request: SessionRequest, world: SessionWorld): Promise<SessionEnd> {
  const { repository, sourceName, slot, settings, onEvent, nowMs, sleep, random } = request
  const { stop, abandon, fence } = world
  const over = new AbortController()
  const signal = AbortSignal.any([stop, abandon, over.signal])
  await using source = await request.openSource()
  const { changes } = source
  if (!changes) throw new Failure('cannot-capture', `changes of source ${sourceName} cannot be followed`)
  const plan = await planCapture(source, changes, request)
  if (plan.dangers.length > 0) onEvent({ kind: 'dangers', dangers: plan.dangers })

  const identity = await source.identify()
  const { writer, begun } = await chooseLog({
    ...{ repository, sourceName, changes, plan, slot, signal, nowMs, random },
    identity,
    breakReason: world.breakReason,
    createSlotTimeoutMs: settings.createSlotTimeoutMs,
  })
  const { logId, startLsn } = writer.start
  if (begun) onEvent({ kind: 'log-begun', logId, start: formatLsn(startLsn), ...begun })

  const tables = plan.tables.filter(({ resolution }) => resolution === 'transaction').map(({ table }) => table)
  const { silenceMaxMs } = settings
  const { spillDirectory } = request
  await using stream = await changes.openStream({ slot, tables, spillDirectory, signal, silenceMaxMs })
  const tail = new LogTail(writer, fence, { nowMs, timeline: stream.identity.timeline })
  const confirmedLsn = await standingOf(changes, slot, tail.end)
  const catalog = await changes.fingerprint()
  const check = await resumeCheck({ request, plan, catalog, tail, confirmedLsn })
  onEvent({ kind: 'connected', logId, end: formatLsn(tail.end), tables: tables.length })
  world.onConnected(tail.end)
  const parts = { changes, plan, stream, tail, check, settings, nowMs, sleep, onEvent }
  return await new CaptureSession({ ...parts, confirmedLsn, catalogDigest: catalog.digest, stop, over, signal }).run()
}

async function planCapture(
  source: Source,
  changes: ChangeSource,
  { layout, settings }: SessionRequest,
): Promise<CapturePlan> {
  const tables = includedTables(await source.introspect(), layout).map(({ name }) => name)
  const plan = await changes.plan(tables, { allowsUnlimitedSlot: settings.allowsUnlimitedSlot })
  if (plan.obstacle === null) return plan
  const { reason, remedySql } = plan.obstacle
  throw new Failure('cannot-capture', `changes cannot be captured: ${reason}`, {
    hints: remedySql === null ? [] : [`Have a DBA run: ${remedySql}`],
  })
}

/** Asked while we hold the slot, when nobody else can move it. @throws history-differs */
async function standingOf(changes: ChangeSource, slot: string, end: bigint): Promise<bigint> {
  const state = await changes.slotState(slot)
  const confirmed = state?.confirmedLsn ?? null
  if (confirmed === null) return end
  if (confirmed <= end) return confirmed
  throw new Failure(
    'history-differs',
    `slot ${slot} stands at ${formatLsn(confirmed)}, and the log ends at ${formatLsn(end)}`,
  )
}

interface ResumeParts {
  readonly request: SessionRequest
  readonly plan: CapturePlan
  readonly catalog: CatalogFingerprint
  readonly tail: LogTail
  readonly confirmedLsn: bigint
}

async function resumeCheck({ request, plan, catalog, tail, confirmedLsn }: ResumeParts): Promise<ResumeCheck> {
  const covered = coverageOf(plan, catalog).tables
  const kept = await findKept(request.repository, tail.logId, { from: confirmedLsn, end: tail.end })
  return new ResumeCheck({
    kept: kept.transactions,
    end: tail.end,
    isComparable: (table) =>
      covered.has(table) && covered.get(table) === tail.fingerprint.get(table) && !kept.closed.has(table),
  })
}

interface Kept {
  readonly transactions: AsyncIterable<LoggedTransaction>
  /** Tables that the log closed in this stretch: what tells of them now may not be what told of them then. */
  readonly closed: ReadonlySet<string>
}

async function findKept(
  repository: Repository,
  logId: string,
  { from, end }: { readonly from: bigint; readonly end: bigint },
): Promise<Kept> {
  if (from >= end) return { transactions: nothing(), closed: new Set() }
  const log = await openLog(repository, logId)
  let segment = await log.locate(from)
  while (segment > 0 && (await log.segment(segment)).header.continues) segment -= 1
  const closed = new Set((await log.closedTables(segment)).map(({ table }) => table))
  return { transactions: log.transactions({ fromSegment: segment, fromLsn: from, toLsn: end }), closed }
}

async function* nothing(): AsyncGenerator<LoggedTransaction> {}
