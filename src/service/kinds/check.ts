import { announceReading } from '../../repository/readers.ts'
import { checkRepository } from '../../verify/check.ts'
import { type Kind, verdictOf } from './contract.ts'
import type { KindWorld } from './world.ts'

export function checkKind({ nowMs, host }: KindWorld): Kind {
  return {
    deed: 'repository.check',
    perSource: false,
    readsSource: false,
    lane: 'verify',
    run: async ({ repository, signal, onEvent }) => {
      await using _reading = await announceReading(repository, { holder: `a check of ${host}`, nowMs })
      const verification = await checkRepository({
        repository,
        signal,
        nowMs,
        onProgress: ({ treesDone, trees }) =>
          onEvent({ type: 'progress', done: treesDone, total: trees, unit: 'trees', what: '' }),
      })
      return verdictOf(verification)
    },
  }
}
