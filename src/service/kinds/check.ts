import { checkRepository } from '../../verify/check.ts'
import { type Kind, verdictOf } from './contract.ts'
import type { KindWorld } from './world.ts'

export function checkKind({ nowMs }: KindWorld): Kind {
  return {
    deed: 'repository.check',
    perSource: false,
    readsSource: false,
    lane: 'verify',
    run: async ({ repository, signal, onEvent }) => {
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
