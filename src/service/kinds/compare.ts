import { BuildPool } from '../../intake/build-pool.ts'
import { announceReading } from '../../repository/readers.ts'
import { stateAt } from '../../repository/state/state.ts'
import { resolveTarget } from '../../repository/state/target.ts'
import { compareDatabase } from '../../verify/compare.ts'
import { type Kind, verdictOf } from './contract.ts'
import { type KindWorld, sourceOf } from './world.ts'

export function compareKind(world: KindWorld): Kind {
  return {
    deed: 'source.compare',
    perSource: true,
    readsSource: true,
    lane: 'verify',
    run: async ({ repository, source: name, signal, onEvent }) => {
      await using _reading = await announceReading(repository, {
        holder: `a compare of ${world.host}`,
        nowMs: world.nowMs,
      })
      const { temporaryDirectory, random, nowMs, sleep } = world
      const configured = sourceOf(world, name)
      await using source = await world.openSource(configured)
      const target = await resolveTarget({ repository, sourceName: configured.name, at: 'latest' })
      await using state = await stateAt(repository, target, { temporaryDirectory, random, signal })
      await using pool = new BuildPool()
      let bytes = 0
      const comparison = await compareDatabase({
        repository,
        source,
        state,
        expectSameHistory: true,
        pool,
        signal,
        nowMs,
        sleep: (ms) => sleep(ms, signal),
        onProgress: (bytesRead) => {
          bytes = bytesRead
          onEvent({ type: 'progress', done: bytes, total: null, unit: 'bytes', what: '' })
        },
      })
      const { advancedBy, snapshot } = comparison
      const along = advancedBy === null ? 'as it is' : `advanced by ${advancedBy} transactions`
      return { ...verdictOf(comparison), remarks: [`compared with snapshot ${snapshot}, ${along}`] }
    },
  }
}
