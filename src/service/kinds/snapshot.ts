import type { ProgressEvent } from '../../backup/progress.ts'
import { type SnapshotReport, takeSnapshot } from '../../backup/snapshot.ts'
import { BuildPool } from '../../intake/build-pool.ts'
import type { JobResult } from '../contract.ts'
import { type Kind, type KindEvent, NOTHING_FOUND } from './contract.ts'
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

/** The mode stands beside the result: a silent fall-back to reading in full is a defect (F30). */
function resultOf(report: SnapshotReport): JobResult {
  const { mode, modeReason, tablesHealed } = report
  const figures = Object.entries(report).filter((entry): entry is [string, number] => typeof entry[1] === 'number')
  const healed =
    tablesHealed.length > 0 ? [`stored again, because earlier snapshots are damaged: ${tablesHealed.join(', ')}`] : []
  return {
    ...NOTHING_FOUND,
    verdict: 'done',
    made: report.snapshot,
    figures: Object.fromEntries(figures),
    remarks: [`${mode}: ${modeReason}`, ...healed],
  }
}
