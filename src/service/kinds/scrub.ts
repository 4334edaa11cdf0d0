import { announceReading } from '../../repository/readers.ts'
import { scrubRepository } from '../../verify/scrub.ts'
import { ScrubPool } from '../../verify/scrub-pool.ts'
import { type Kind, verdictOf } from './contract.ts'
import type { KindWorld } from './world.ts'

/** In slices, where a limit is set: the packs that were proved longest ago, night after night. */
export function scrubKind({ nowMs, random, host, scrubBytesMax }: KindWorld): Kind {
  return {
    deed: 'repository.scrub',
    perSource: false,
    readsSource: false,
    lane: 'verify',
    run: async ({ repository, signal, onEvent }) => {
      await using _reading = await announceReading(repository, { holder: `a scrub of ${host}`, nowMs })
      await using pool = new ScrubPool()
      const result = await scrubRepository({
        repository,
        ...(scrubBytesMax !== null && { bytesMax: scrubBytesMax }),
        lanes: pool.threads,
        scrubPack: (...task) => pool.scrubPack(...task),
        random,
        signal,
        nowMs,
        onProgress: ({ bytesDone, bytes }) =>
          onEvent({ type: 'progress', done: bytesDone, total: bytes, unit: 'bytes', what: '' }),
      })
      const { age, proof } = result
      const remarks =
        age === null
          ? ['nothing was proved']
          : age.oldest === null
            ? [`${age.neverProved} packs were never proved yet`]
            : [`every pack was proved since ${age.oldest}`]
      return { ...verdictOf(result), made: proof, remarks }
    },
  }
}
