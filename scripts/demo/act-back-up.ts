/** A base while the ward works; its signed head put by; more work of the ward; a second snapshot. */
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { startWard } from '../reference/ward.ts'
import { formatBytes, formatCount, formatSeconds, formatShare } from './format.ts'
import { type Shift, type SnapshotResult, shapes } from './result.ts'
import { fromCheckout, type Stage } from './stage.ts'

const WARD_ACTIONS_PER_SECOND = 25

export interface BackUps {
  readonly shifts: { readonly base: Shift; readonly between: Shift }
  readonly base: SnapshotResult
  readonly second: SnapshotResult
  readonly checkpoint: string
}

export async function backUpTwice(stage: Stage): Promise<BackUps> {
  const { story, places, options } = stage
  const command = ['backup', '--config', places.configuration]

  const [base, duringBase] = await whileWardWorks(stage, 1, () =>
    story.asks('base', command, shapes.snapshot, describeSnapshot),
  )
  story.print(`  meanwhile the ward committed ${formatCount(duringBase.report.actions)} transactions`)
  story.expect('base', duringBase.report.actions > 0, 'the ward did nothing while the base was read')

  const checkpointCommand = ['ledger', 'checkpoint', '--config', places.configuration]
  const checkpoint = await story.types('checkpoint', checkpointCommand, { redirection: `> ${places.checkpoint}` })
  await writeFile(fromCheckout(places.checkpoint), checkpoint)

  const [, between] = await whileWardWorks(stage, 2, () =>
    story.does(
      'ward',
      () => sleep(options.wardSeconds * 1000),
      () => `charting, orders, notes, corrections, some deletions for ${options.wardSeconds} s; then it pauses`,
    ),
  )
  story.print(`  ${formatCount(between.report.actions)} transactions committed`)
  story.expect('ward', between.report.actions > 0, 'the ward did nothing between the snapshots')

  const second = await story.asks('second', command, shapes.snapshot, describeSnapshot)
  story.expect('second', second.mode === 'full-read', `the second snapshot was made by ${second.mode}`)
  story.expect('second', second.bytesStored < base.bytesStored, 'the second snapshot stored no less than the base')
  story.print(`  ${formatShare(second.bytesStored, base.bytesStored)} of what the base stored`)
  return { shifts: { base: duringBase, between }, base, second, checkpoint }
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
