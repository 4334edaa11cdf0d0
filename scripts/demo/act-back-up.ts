/**
 * A base while the ward works; its signed head put by; more work of the ward, with a moment in it that is looked at; a
 * second snapshot, which costs what has changed.
 */
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { startWard } from '../reference/ward.ts'
import { chooseMoment } from './act-moment.ts'
import type { DatabaseLook } from './databases.ts'
import { formatBytes, formatCount, formatSeconds, formatShare } from './format.ts'
import { type DemoResult, type Shift, type SnapshotResult, shapes } from './result.ts'
import { fromCheckout, type Stage } from './stage.ts'

const WARD_ACTIONS_PER_SECOND = 25

export interface BackUps {
  readonly shifts: DemoResult['shifts']
  readonly base: SnapshotResult
  readonly second: SnapshotResult
  readonly checkpoint: string
  /** The chosen moment. */
  readonly then: DatabaseLook
}

export async function backUpTwice(stage: Stage): Promise<BackUps> {
  const { story, places } = stage
  const command = ['backup', '--config', places.configuration]

  const [base, duringBase] = await whileWardWorks(stage, 1, () =>
    story.asks('base', command, shapes.snapshot, describeSnapshot),
  )
  story.print(`  meanwhile the ward committed ${formatCount(duringBase.report.actions)} transactions`)
  story.expect('base', duringBase.report.actions > 0, 'the ward did nothing while the base was read')

  const checkpointCommand = ['ledger', 'checkpoint', '--config', places.configuration]
  const checkpoint = await story.types('checkpoint', checkpointCommand, { redirection: `> ${places.checkpoint}` })
  await writeFile(fromCheckout(places.checkpoint), checkpoint)

  const before = await letWardWork(stage, 'ward', 2)
  const then = await chooseMoment(stage)
  const behind = await letWardWork(stage, 'ward-on', 3)

  const second = await story.asks('second', command, shapes.snapshot, describeSnapshot)
  story.expect('second', second.mode === 'incremental', `the second snapshot was made by ${second.mode}`)
  story.expect('second', second.bytesStored < base.bytesStored, 'the second snapshot stored no less than the base')
  story.print(`  ${formatShare(second.bytesRead, base.bytesRead)} of what the base read`)
  return { shifts: { base: duringBase, before, behind }, base, second, checkpoint, then }
}

async function letWardWork(stage: Stage, step: 'ward' | 'ward-on', seed: number): Promise<Shift> {
  const { story, options } = stage
  const seconds = options.wardSeconds / 2
  const [, shift] = await whileWardWorks(stage, seed, () =>
    story.does(
      step,
      () => sleep(seconds * 1000),
      () => `charting, orders, notes, corrections, some deletions for ${formatSeconds(seconds)}; then it pauses`,
    ),
  )
  story.print(`  ${formatCount(shift.report.actions)} transactions committed`)
  story.expect(step, shift.report.actions > 0, 'the ward did nothing')
  return shift
}

async function whileWardWorks<T>(
  { story, sourceUrl }: Stage,
  seed: number,
  work: () => Promise<T>,
): Promise<[T, Shift]> {
  const ward = await startWard({ url: sourceUrl, seed, actionsPerSecond: WARD_ACTIONS_PER_SECOND, connections: 2 })
  const startSeconds = story.nowSeconds()
  try {
    const result = await work()
    const endSeconds = story.nowSeconds()
    return [result, { startSeconds, endSeconds, report: await ward.stop() }]
  } finally {
    await ward.stop()
  }
}

function describeSnapshot(taken: SnapshotResult): string {
  return [
    `snapshot ${taken.snapshot}, ${taken.mode}: ${taken.modeReason}`,
    `${formatCount(taken.rows)} rows in ${taken.tables} tables, ${formatBytes(taken.bytesRead)} read in ${formatSeconds(taken.seconds)}`,
    `${formatBytes(taken.bytesStored)} stored; ${taken.leavesStored} leaves new, ${taken.leavesReused} shared with the snapshot before`,
  ].join('\n')
}
