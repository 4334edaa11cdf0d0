/**
 * To which moment a drill goes that is told none: drawn evenly between the first snapshot and the last change kept, or
 * the last change itself. Where no change is kept there are the snapshots.
 */
import { Failure } from '../../errors.ts'
import { formatTimeUs, timeUsOf } from '../../repository/state/moment.ts'
import { isLogged, resolveTarget } from '../../repository/state/target.ts'
import { fill } from '../report/words.ts'
import type { DrillRequest } from './drill-request.ts'
import { drawBelow } from './lost-patient.ts'
import { recoveredUpTo } from './measure.ts'
import { DRILL_SENTENCES } from './sentences.ts'

const DRAWS_MAX = 10

export interface DrawnMoment {
  readonly at: string
  /** Drawn before it, and not kept: gaps are declared, and met with, in a drill, too. Or that there is no log. */
  readonly remarks: readonly string[]
}

/** @throws snapshot-not-found; change-log-gap when none of ten moments is kept */
export async function drawMoment(request: DrillRequest): Promise<DrawnMoment> {
  const { repository, sourceName } = request
  const snapshots = await readableSnapshots(request)
  const [oldest] = snapshots
  if (oldest === undefined) {
    throw new Failure('snapshot-not-found', `the repository has no snapshot of ${sourceName}`, {
      hints: ['Run `chartkeep backup` to take the first one.'],
    })
  }
  if (!snapshots.some((each) => each.isLogged)) {
    return { at: snapshots[drawBelow(request, snapshots.length)]!.id, remarks: [DRILL_SENTENCES.noLog.en] }
  }
  const first = timeUsOf(oldest.sourceTime)
  const { at: until } = await recoveredUpTo(await resolveTarget({ repository, sourceName, at: 'now' }))
  const spanUs = until === null ? 0n : BigInt(Date.parse(until)) * 1000n - first
  const remarks: string[] = []
  for (;;) {
    const at = formatTimeUs(first + BigInt(drawBelow(request, Number(spanUs > 0n ? spanUs : 1n))))
    try {
      await resolveTarget({ repository, sourceName, at })
      return { at, remarks }
    } catch (error) {
      const isGap = error instanceof Failure && error.code === 'change-log-gap'
      if (!isGap || remarks.length + 1 === DRAWS_MAX) throw error
      remarks.push(fill(DRILL_SENTENCES.notKept.en, { at, why: error.message }))
    }
  }
}

/** Whether changes carry on from a snapshot. A log that is damaged is one that is there: the drill has to fail on it. */
export async function hasLoggedSnapshot(request: DrillRequest): Promise<boolean> {
  return (await readableSnapshots(request)).some((each) => each.isLogged)
}

/** Oldest first. Those that cannot be read are findings, and the drill looks for these at its end. */
async function readableSnapshots({ repository, sourceName }: DrillRequest) {
  const snapshots: { readonly id: string; readonly sourceTime: string; readonly isLogged: boolean }[] = []
  for (const id of await repository.snapshotIds()) {
    const read = await repository.tryManifest(id)
    if (read instanceof Failure || read.manifest.sourceName !== sourceName) continue
    snapshots.push({ id, sourceTime: read.manifest.position.sourceTime, isLogged: isLogged(read.manifest) })
  }
  return snapshots
}
