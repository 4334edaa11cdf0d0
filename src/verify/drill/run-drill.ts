/**
 * A drill, from the fault to the proof that nothing of it is left:
 *
 *     T0 fault … T3 authorised ─→ T4 begun ─→ T6 changes folded ─→ T5 rows, keys and indexes there ─→ T7 every root proved
 *        ─→ T8 the ward's questions answered ─→ (source read for what is lost, repository checked) ─→ T9 cleaned up
 *
 * Changes are folded in before rows are loaded, so that T6 comes before T5. What is measured behind T8 belongs to no
 * recovery, and does not count. A drill that finds damage has done its work: it ends with a report that says so. It has
 * no report only where it was cancelled, or could not be recorded.
 */
import { Failure } from '../../errors.ts'
import { timedId } from '../../repository/layout.ts'
import { type State, stateAt } from '../../repository/state/state.ts'
import { resolveTarget, type StateTarget } from '../../repository/state/target.ts'
import { tool } from '../../tool.ts'
import { checkRepository } from '../check.ts'
import { type SignedReport, writeReport } from '../report/signed-report.ts'
import { fill } from '../report/words.ts'
import { drawMoment, hasLoggedSnapshot } from './draw-moment.ts'
import { type Cleanup, DRILLS, type DrillReport, type DrillTable, type ReportedFinding } from './drill-report.ts'
import type { DrillRequest } from './drill-request.ts'
import { failureFinding, findingsOf, judge, reported } from './judge.ts'
import { lostRows, measured, Questions, reasonNotMeasured, recoveredUpTo } from './measure.ts'
import { recover, tablesFound } from './recover.ts'
import { openPlace, type ScratchPlace } from './scratch-place.ts'
import { DRILL_SENTENCES } from './sentences.ts'
import { StepTimes } from './step-times.ts'
import { askSlot, lookAtTail, type StandingSlot } from './tail-of-log.ts'

/** What is known so far; the report is made of it, however far the drill came. */
interface Course {
  times: StepTimes
  asked: string
  target: StateTarget | null
  manifestSha256: string
  environment: DrillReport['environment']
  table: string | null
  patient: string | null
  segments: number
  transactions: number
  recoveredUpTo: Awaited<ReturnType<typeof recoveredUpTo>>
  tables: readonly DrillTable[]
  notRebuilt: DrillReport['notRebuilt']
  checks: DrillReport['checks']
  lost: DrillReport['rpo']['lost']
  lostReadAt: string | null
  cleanup: Cleanup | null
  readonly findings: ReportedFinding[]
  readonly deviations: string[]
}

/** @throws bad-usage, cancelled, and what keeps the report from being written */
export async function runDrill(request: DrillRequest): Promise<SignedReport<DrillReport>> {
  const startedMs = request.nowMs()
  const course = begin(request, new StepTimes(request.said, startedMs))
  try {
    await hold(request, course)
  } catch (error) {
    if (request.signal.aborted || !isFinding(error)) throw error
    course.findings.push(reported(failureFinding(error)))
  }
  await inspectRepository(request, course)
  course.findings.push(...findingsOf(reportOf(request, course, startedMs)).map(reported))
  return await writeReport(request.repository, DRILLS, reportOf(request, course, startedMs))
}

function begin(request: DrillRequest, times: StepTimes): Course {
  return {
    times,
    asked: request.at ?? 'now',
    target: null,
    manifestSha256: '',
    environment: {
      kind: request.into !== null ? 'given' : request.scratch !== null ? 'made' : 'embedded',
      server: '',
      tool: `${tool.name} ${tool.version}`,
      runtime: `Node.js ${tool.node}`,
    },
    table: null,
    patient: null,
    segments: 0,
    transactions: 0,
    recoveredUpTo: { at: null, basis: null },
    tables: [],
    notRebuilt: [],
    checks: [],
    lost: null,
    lostReadAt: null,
    cleanup: null,
    findings: [],
    deviations: [],
  }
}

/** What the world did is a finding; what the caller did wrong is his to know at once. */
function isFinding(error: unknown): error is Failure {
  return error instanceof Failure && !['bad-usage', 'bad-configuration', 'cancelled', 'defect'].includes(error.code)
}

async function hold(request: DrillRequest, course: Course): Promise<void> {
  const { repository, sourceName } = request
  if (request.scenario === 'random-moment') {
    const drawn = await drawMoment(request)
    course.asked = drawn.at
    course.deviations.push(...drawn.remarks)
  } else if (request.at === null && !(await hasLoggedSnapshot(request))) {
    course.asked = 'latest'
    course.deviations.push(DRILL_SENTENCES.noLog.en)
  }
  const slot = await askWhetherPresent(request, course)
  request.onProgress('finding the moment')
  const target = await resolveTarget({ repository, sourceName, at: course.asked })
  course.target = target
  course.manifestSha256 = (await repository.readManifest(target.base.snapshotId)).sha256
  course.recoveredUpTo = await recoveredUpTo(target)
  if (slot !== null) course.findings.push(...(await lookAtTail(request, slot)).map(reported))
  await using place = await openPlace(request, target.base.source)
  course.environment = { ...course.environment, server: place.server }
  try {
    await recoverAndMeasure(request, course, target, place)
  } finally {
    await cleanUp(request, course, place)
  }
}

/** Only of this moment can the database say what must be kept. */
async function askWhetherPresent(request: DrillRequest, course: Course): Promise<StandingSlot | null> {
  if (course.asked !== 'now') return null
  try {
    return await askSlot(request)
  } catch (error) {
    course.deviations.push(fill(DRILL_SENTENCES.tailNotCompared.en, { why: reasonNotMeasured(error) }))
    return null
  }
}

async function recoverAndMeasure(
  request: DrillRequest,
  course: Course,
  target: StateTarget,
  place: ScratchPlace,
): Promise<void> {
  const { temporaryDirectory, random, signal } = request
  await using state = await stateAt(request.repository, target, {
    temporaryDirectory,
    random,
    signal,
    onProgress: () => request.onProgress('changes'),
  })
  course.times.mark('T6', request.nowMs())
  course.segments = state.folded?.segments ?? 0
  course.transactions = state.folded?.transactions ?? 0
  try {
    const { recovery, times } = await recover(request, state, place, course.times)
    Object.assign(course, { ...recovery, times })
  } catch (error) {
    if (error instanceof Failure && error.code === 'restore-unproved') await lookAtCopy(request, course, state, place)
    throw error
  }
  const questions = new Questions(request)
  if (request.scenario !== 'table') {
    request.onProgress('questions')
    await questions.askCopy(place.connection)
  }
  course.times.mark('T8', request.nowMs())
  await compareWithSource(request, course, state, questions)
}

/** The copy is not what it should be: which tables, is worth knowing; a copy that cannot be read says no more. */
async function lookAtCopy(request: DrillRequest, course: Course, state: State, place: ScratchPlace): Promise<void> {
  course.tables = await tablesFound(request, state, place).catch(() => [])
}

async function compareWithSource(
  request: DrillRequest,
  course: Course,
  state: State,
  questions: Questions,
): Promise<void> {
  const isPresent = course.asked === 'now' || course.asked === 'latest'
  if (request.scenario === 'table') return
  if (request.source === null || !isPresent) {
    course.checks = questions.copyOnly()
    return
  }
  try {
    request.onProgress('the source')
    course.lostReadAt = new Date(request.nowMs()).toISOString()
    const lost = await lostRows(request, state)
    course.lost = lost
    const movedOn = lost.some((table) => table.notRecovered + table.changedSince + table.deletedSince > 0)
    course.checks = await questions.compare(movedOn)
  } catch (error) {
    course.checks = questions.copyOnly()
    course.deviations.push(fill(DRILL_SENTENCES.sourceNotCompared.en, { why: reasonNotMeasured(error) }))
  }
}

async function cleanUp(request: DrillRequest, course: Course, place: ScratchPlace): Promise<void> {
  request.onProgress('cleaning up')
  try {
    course.cleanup = await place.cleanUp()
    course.times.mark('T9', request.nowMs())
  } catch (error) {
    if (!isFinding(error)) throw error
    course.deviations.push(fill(DRILL_SENTENCES.copyNotCleared.en, { why: error.message }))
  }
}

/** Behind the recovery: what it did not touch may be damaged all the same (F1, F2). */
async function inspectRepository(request: DrillRequest, course: Course): Promise<void> {
  request.onProgress('the repository')
  const { repository, signal, nowMs } = request
  const { findings } = await checkRepository({ repository, signal, nowMs })
  course.findings.push(...findings.filter(({ severity }) => severity === 'error').map(reported))
}

function reportOf(request: DrillRequest, course: Course, startedMs: number): DrillReport {
  const { times, target } = course
  const id = timedId(startedMs, request.random(4))
  // A patient is lost from a copy that was made before: what the copy lacks, it lacked when the drill was begun.
  const faultMs = request.scenario === 'patient' ? startedMs : times.ms('T0')
  const upToMs = course.recoveredUpTo.at === null ? null : Date.parse(course.recoveredUpTo.at)
  // Of a moment in the past: how far the state falls short of it. A state cannot be younger than what it was asked for.
  const asOfMs = target?.moment.kind === 'time' ? Number(target.moment.timeUs / 1000n) : faultMs
  const lossMs = upToMs === null || asOfMs === null ? null : Math.max(0, asOfMs - upToMs)
  return {
    format: 1,
    id,
    number: `DR-${id}`,
    repositoryId: request.repository.id,
    sourceName: request.sourceName,
    organisation: request.organisation,
    createdAt: new Date(startedMs).toISOString(),
    actor: request.actor,
    scenario: request.scenario,
    table: course.table,
    patient: course.patient,
    asked: course.asked,
    authorisation: request.authorisation,
    environment: course.environment,
    backup: target && backupOf(course, target),
    timeline: times.timeline(),
    rto: {
      fromFault: measured(times.between('T0', 'T8'), request.targets.rtoMs),
      fromAuthorisation: measured(times.between('T3', 'T8'), null),
    },
    rpo: {
      measured: measured(lossMs, request.targets.rpoMs),
      recoveredUpTo: course.recoveredUpTo.at,
      basis: course.recoveredUpTo.basis,
      lost: course.lost,
      lostReadAt: course.lostReadAt,
    },
    tables: [...course.tables],
    checks: course.checks,
    findings: course.findings,
    deviations: course.deviations,
    notRebuilt: course.notRebuilt,
    cleanup: course.cleanup,
    status: judge(course.findings),
  }
}

function backupOf(course: Course, { base, transaction, coarse }: StateTarget): DrillReport['backup'] {
  return {
    snapshot: base.snapshotId,
    manifestSha256: course.manifestSha256,
    sourceVersion: base.source.serverVersion,
    position: base.position.lsn,
    stateAt: transaction
      ? new Date(Number(transaction.commitTimeUs / 1000n)).toISOString()
      : new Date(Date.parse(base.position.sourceTime)).toISOString(),
    segments: course.segments,
    transactions: course.transactions,
    tablesAtSnapshotOnly: coarse.map(({ table }) => table),
  }
}
