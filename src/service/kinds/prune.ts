import { forget } from '../../backup/retention/forget.ts'
import { prune } from '../../backup/retention/prune.ts'
import { type Kind, NOTHING_FOUND } from './contract.ts'
import type { KindWorld } from './world.ts'

/** Forgets the snapshots that no rule keeps, of every source that has rules, and deletes what nothing needs any more. */
export function pruneKind(world: KindWorld): Kind {
  return {
    deed: 'repository.retain',
    perSource: false,
    readsSource: false,
    lane: 'verify',
    run: async ({ repository, signal, onEvent }) => {
      const { nowMs, random, sleep, host: actor, sources, retention } = world
      const request = { repository, actor, nowMs, random, signal }
      let forgotten = 0
      for (const { name: sourceName } of sources) {
        const rules = retention.rules.get(sourceName)
        if (rules === undefined) continue
        const { snapshots } = await forget({ ...request, sourceName, rules })
        forgotten += snapshots.filter(({ fate }) => fate.kind === 'goes').length
        onEvent({ type: 'note', text: `${sourceName}: ${forgotten} snapshots forgotten` })
      }
      const plan = await prune({
        ...request,
        ...retention,
        sleep: (ms) => sleep(ms, signal),
        onProgress: ({ deleted, of }) =>
          onEvent({ type: 'progress', done: deleted, total: of, unit: 'steps', what: 'objects deleted' }),
      })
      const { removes, marks, waits, bytesFreed, readers } = plan
      const counts = { removed: removes.length, marked: marks.length, waiting: waits.length }
      const remarks = readers.map(({ holder, since }) => `nothing is deleted while ${holder} reads, since ${since}`)
      return {
        ...NOTHING_FOUND,
        verdict: 'done',
        made: null,
        figures: { forgotten, bytesFreed, ...counts },
        remarks,
      }
    },
  }
}
