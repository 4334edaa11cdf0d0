/** A moment between the first snapshot and the last change kept, drawn evenly. */
import { Failure } from '../../errors.ts'
import type { Manifest } from '../../repository/manifest.ts'
import { formatTimeUs, timeUsOf } from '../../repository/state/moment.ts'
import { resolveTarget } from '../../repository/state/target.ts'
import type { DrillRequest } from './drill-request.ts'
import { drawBelow } from './lost-patient.ts'
import { recoveredUpTo } from './measure.ts'

const DRAWS_MAX = 10

export interface DrawnMoment {
  readonly at: string
  /** Drawn before it, and not kept: gaps are declared, and met with, in a drill, too. */
  readonly notKept: readonly string[]
}

/** @throws snapshot-not-found; change-log-gap when none of ten moments is kept */
export async function drawMoment(request: DrillRequest): Promise<DrawnMoment> {
  const { repository, sourceName } = request
  const first = timeUsOf((await oldest(request)).position.sourceTime)
  const { at: until } = await recoveredUpTo(await resolveTarget({ repository, sourceName, at: 'now' }))
  const spanUs = until === null ? 0n : BigInt(Date.parse(until)) * 1000n - first
  const notKept: string[] = []
  for (;;) {
    const at = formatTimeUs(first + BigInt(drawBelow(request, Number(spanUs > 0n ? spanUs : 1n))))
    try {
      await resolveTarget({ repository, sourceName, at })
      return { at, notKept }
    } catch (error) {
      const isGap = error instanceof Failure && error.code === 'change-log-gap'
      if (!isGap || notKept.length + 1 === DRAWS_MAX) throw error
      notKept.push(`${at} is not kept: ${error.message}`)
    }
  }
}

async function oldest({ repository, sourceName }: DrillRequest): Promise<Manifest> {
  for (const id of await repository.snapshotIds()) {
    const read = await repository.tryManifest(id)
    if (!(read instanceof Failure) && read.manifest.sourceName === sourceName) return read.manifest
  }
  throw new Failure('snapshot-not-found', `the repository has no snapshot of ${sourceName}`, {
    hints: ['Run `chartkeep backup` to take the first one.'],
  })
}
