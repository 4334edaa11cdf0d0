import type { ProgressEvent } from '../../backup/progress.ts'
import { type SnapshotReport, takeSnapshot } from '../../backup/snapshot.ts'
import { BuildPool } from '../../intake/build-pool.ts'
import { type Finding, finding } from '../../verify/finding.ts'
import type { JobResult } from '../contract.ts'
import type { Kind, KindEvent } from './contract.ts'
import { type KindWorld, sourceOf } from './world.ts'

export function snapshotKind(world: KindWorld): Kind {
  return {
    deed: 'snapshot.take',
    perSource: true,
    readsSource: true,
    lane: 'backup',
    run: async ({ repository, source: name, signal, onEvent }) => {
      const configured = sourceOf(world, name)
      await using source = await world.openSource(configured)
      await using pool = new BuildPool()
      const report = await takeSnapshot({
        sourceName: configured.name,
        source,
        layout: configured,
        repository,
        pool,
        signal,
        nowMs: world.nowMs,
        sleep: (ms) => world.sleep(ms, signal),
        holder: world.host,
        onProgress: (event) => {
          const shown = eventOf(event)
          if (shown) onEvent(shown)
        },
      })
      return resultOf(report)
    },
  }
}

function eventOf(event: ProgressEvent): KindEvent | null {
  switch (event.kind) {
    case 'progress':
      return { type: 'progress', done: event.tablesDone, total: event.tables, unit: 'tables', what: event.table }
    case 'folded':
      return { type: 'note', text: `${event.table} carried on` }
    case 'yielded':
      return { type: 'note', text: `the application waited for us: trying again in ${event.pauseMs / 1000} s` }
    case 'reads-in-full':
      return { type: 'note', text: `not along the change log, every row is read: ${event.reason}` }
    default:
      return null
  }
}

/**
 * The mode stands beside the result: a silent fall-back to reading in full is a defect (F30). What is wrong with earlier
 * snapshots is an alarm.
 */
export function resultOf(report: SnapshotReport): JobResult {
  const figures = Object.entries(report).filter((entry): entry is [string, number] => typeof entry[1] === 'number')
  const findings = findingsOf(report)
  return {
    verdict: findings.length > 0 ? 'failed' : 'done',
    made: report.snapshot,
    figures: Object.fromEntries(figures),
    findings,
    findingCount: findings.length,
    remarks: [`${report.mode}: ${report.modeReason}`],
  }
}

/** Which of the earlier ones, and whose rows, is not known here: no snapshot and no patient is named. */
function findingsOf({ tablesHealed, changesLeftOut }: SnapshotReport): Finding[] {
  const leftOut = changesLeftOut.map(({ table, since }) =>
    finding({
      kind: 'changes-left-out',
      message: `snapshots after ${since} may lack changes of ${table} that the database did not tell; the one just taken has them`,
      tables: [table],
      patientsComplete: false,
      hint: 'Keep the snapshot just taken: `chartkeep hold`. Until the reason is known, take the table out of change tracking: every row of it is read then.',
    }),
  )
  if (tablesHealed.length === 0) return leftOut
  const message = `earlier snapshots are damaged in ${tablesHealed.length} tables; the one just taken stored them again`
  const hint = 'What is damaged, and since when: `chartkeep check`, then `chartkeep scrub`.'
  const parts = { tables: tablesHealed, patientsComplete: false, hint }
  return [...leftOut, finding({ kind: 'earlier-snapshots-damaged', message, ...parts })]
}
