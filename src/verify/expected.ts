/**
 * What a live database is expected to hold: the snapshot's rows, advanced by the change log to the position of the read
 * that looks at the database. What is in that read and not in the snapshot, by their visibilities (P3), is applied to the
 * snapshot's trees; whatever then differs was changed past capture.
 *
 *     snapshot ── scanFrom ── transactions not visible in the snapshot, visible in the read ── log reaches the read ─┐
 *     database ── read ───────────────────────────────────────────────────────────────────────────────────────────┴─ equal?
 *
 * Tables whose past the log cannot tell stay as they are in the snapshot: a difference there proves nothing.
 */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { Failure } from '../errors.ts'
import { isFollowed } from '../repository/capture-watch.ts'
import { type ChangeLog, listLogs, openLog } from '../repository/change-log/reader.ts'
import type { SegmentHead } from '../repository/change-log/segment-store.ts'
import { isDamage } from '../repository/damage.ts'
import { LOG_PREFIX } from '../repository/layout.ts'
import { formatLsn, parseLsn } from '../repository/lsn.ts'
import type { Manifest } from '../repository/manifest.ts'
import type { Repository } from '../repository/repository.ts'
import { advance, type State, theSnapshotItself } from '../repository/state/state.ts'
import { firstSegmentAfter, isLogged, type LoggedManifest, sortClosings } from '../repository/state/target.ts'
import { isUntold, isVisible, parseVisibility, WholeXids } from '../repository/visibility.ts'
import type { ChangeSource } from '../source/change-contract.ts'
import type { ReadPosition, Source } from '../source/contract.ts'
import { type Finding, finding } from './finding.ts'

export interface ExpectedRequest {
  readonly repository: Repository
  readonly source: Source
  readonly nowMs: () => number
  readonly signal: AbortSignal
  /** Default: the real one. */
  readonly sleep?: (ms: number) => Promise<void>
  /** How long the log may stand still before it is given up. Default: 30 s. */
  readonly stallMs?: number
}

export interface Expected extends AsyncDisposable {
  readonly state: State
  /** By table: why a difference there may be the application's. */
  readonly doubts: ReadonlyMap<string, string>
  /** Why the snapshot could not be advanced to the read; null when it was, or stands there already. */
  readonly notAdvanced: string | null
  /** What is wrong with the change log. */
  readonly findings: readonly Finding[]
}

const STALL_MS = 30_000
const LOOK_EVERY_MS = 100

/** The snapshot as it is; nothing but its rows may be there. */
export function expectExactly(state: State): Expected {
  const nothing = { doubts: new Map<string, string>(), notAdvanced: null, findings: [] }
  return { state, ...nothing, [Symbol.asyncDispose]: async () => {} }
}

/** @throws the signal's reason; source-…, store-…, local-disk-full */
export async function expectAt(
  request: ExpectedRequest,
  manifest: Manifest,
  at: ReadPosition | null,
): Promise<Expected> {
  if (at === null) return unadvanced(request, manifest, 'no table of the snapshot is there to be read')
  if (at.visible === manifest.position.visible) return expectExactly(theSnapshotItself(request.repository, manifest))
  const { changes } = request.source
  if (changes === null) return unadvanced(request, manifest, 'changes of this kind of database cannot be followed')
  if (isUntold(at.visible)) return unadvanced(request, manifest, 'where the read stands in the log is not known')
  if (!isLogged(manifest)) return unadvanced(request, manifest, 'no captured changes carry on from this snapshot')
  try {
    const { logs } = await listLogs(request.repository, manifest.sourceName)
    if (logs.some(({ logId }) => logId > manifest.log.logId)) {
      return unadvanced(request, manifest, `change log ${manifest.log.logId} has ended, and another one begun`)
    }
    const log = await openLog(request.repository, manifest.log.logId, manifest.log.head?.segment)
    const head = await reach(request, { changes, log, lsn: parseLsn(at.lsn) })
    if (typeof head === 'string') return unadvanced(request, manifest, head)
    return await advanced(request, { manifest, at, log, head })
  } catch (error) {
    if (!isDamaged(error)) throw error
    return unadvanced(request, manifest, 'the snapshot could not be advanced to it', [broken(manifest, error)])
  }
}

interface Reached {
  readonly manifest: LoggedManifest
  readonly at: ReadPosition
  readonly log: ChangeLog
  /** Whose end the read lies at or before. */
  readonly head: SegmentHead
}

async function advanced(request: ExpectedRequest, { manifest, at, log, head }: Reached): Promise<Expected> {
  const { number, end } = head.header
  const before = parseVisibility(manifest.position.visible)
  const now = parseVisibility(at.visible)
  const whole = new WholeXids(before.xmax)
  const closings = await log.closedTables(firstSegmentAfter(manifest), number + 1)
  const { closed, coarse } = sortClosings(manifest, closings)
  const doubts = new Map([
    ...coarse.map(({ table, reason }) => [table, `it is read at snapshots only (${reason})`] as const),
    ...closed.map(({ table, reason, from }) => [table, `${reason}, behind ${formatLsn(from)}`] as const),
  ])
  const world = { temporaryDirectory: tmpdir(), random: randomBytes, signal: request.signal }
  const state = await advance(request.repository, world, {
    base: manifest,
    stretch: { log, fromSegment: manifest.log.scanSegment, toSegment: number, bound: end },
    accept: (stamp) => {
      const xid = whole.of(stamp)
      return isVisible(now, xid) && !isVisible(before, xid)
    },
    isFolded: ({ name }) => !doubts.has(name),
  })
  return { state, doubts, notAdvanced: null, findings: [], [Symbol.asyncDispose]: () => state[Symbol.asyncDispose]() }
}

function unadvanced(
  { repository }: ExpectedRequest,
  manifest: Manifest,
  notAdvanced: string,
  findings: readonly Finding[] = [],
): Expected {
  const doubts = new Map(manifest.tables.map(({ name }) => [name, notAdvanced]))
  return { ...expectExactly(theSnapshotItself(repository, manifest)), doubts, notAdvanced, findings }
}

/** Waits until the log has got to `lsn`, as long as it moves. @returns why it does not, in words */
async function reach(
  { repository, nowMs, sleep = pause, stallMs = STALL_MS, signal }: ExpectedRequest,
  { changes, log, lsn }: { readonly changes: ChangeSource; readonly log: ChangeLog; readonly lsn: bigint },
): Promise<SegmentHead | string> {
  let head = await log.head()
  if (head && head.header.end >= lsn) return head
  const refused = await changes.requestSeal().then(
    () => null,
    (error) => reasonOf(error),
  )
  if (refused !== null) return refused
  const { slot, sourceName } = log.start
  const capture = { repository, sourceName, slotState: () => changes.slotState(slot), nowMs, sleep, signal }
  let stillMs = 0
  while (stillMs < stallMs) {
    if (!(await isFollowed(capture))) return `capture is not running: the change log ends at ${endOf(log, head)}`
    await sleep(LOOK_EVERY_MS)
    const next = await log.head()
    if (next && next.header.end >= lsn) return next
    stillMs = next?.header.number === head?.header.number ? stillMs + LOOK_EVERY_MS : 0
    head = next
  }
  return `capture does not keep up: the change log stands at ${endOf(log, head)}, the database at ${formatLsn(lsn)}`
}

function endOf(log: ChangeLog, head: SegmentHead | null): string {
  return formatLsn(head?.header.end ?? log.start.startLsn)
}

/** A right that is missing, a standby: capture cannot be asked, and the look goes on without it. */
function reasonOf(error: unknown): string {
  if (error instanceof Failure && !error.isTransient) return `capture could not be asked to catch up: ${error.message}`
  throw error
}

function isDamaged(error: unknown): error is Failure {
  return isDamage(error) || (error instanceof Failure && error.code === 'change-log-gap')
}

function broken({ snapshotId }: LoggedManifest, { code, message, hints, context }: Failure): Finding {
  const name = String(context.object ?? context.key ?? '')
  const isLog = code === 'change-log-gap' || name.startsWith(LOG_PREFIX)
  const hint = hints[0] ?? 'Run `chartkeep check` to see what is damaged in the repository.'
  return finding({
    kind: isLog ? 'log-broken' : 'chunk-damaged',
    message,
    hint,
    tables: typeof context.tree === 'string' ? [context.tree] : [],
    snapshots: [snapshotId],
    patientsComplete: false,
  })
}

async function pause(ms: number): Promise<void> {
  await setTimeout(ms)
}
