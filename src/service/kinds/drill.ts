import { BuildPool } from '../../intake/build-pool.ts'
import { announceReading } from '../../repository/readers.ts'
import { findingsOf } from '../../verify/drill/judge.ts'
import { runDrill } from '../../verify/drill/run-drill.ts'
import { type Kind, verdictOf } from './contract.ts'
import { type KindWorld, sourceOf } from './world.ts'

/** A moment that nobody chose, rebuilt on a server of our own, and compared. */
export function drillKind(world: KindWorld): Kind {
  return {
    deed: 'drill',
    perSource: true,
    readsSource: true,
    lane: 'verify',
    run: async ({ repository, source: name, signal, onEvent }) => {
      await using _reading = await announceReading(repository, {
        holder: `a drill of ${world.host}`,
        nowMs: world.nowMs,
      })
      const { temporaryDirectory, random, nowMs, host: actor } = world
      const configured = sourceOf(world, name)
      await using pool = new BuildPool()
      const startedMs = nowMs()
      let steps = 0
      const { report } = await runDrill({
        repository,
        sourceName: configured.name,
        organisation: configured.drill.organisation ?? configured.name,
        actor,
        scenario: 'random-moment',
        at: 'latest',
        table: null,
        patient: null,
        authorisation: null,
        said: {},
        targets: configured.drill.targets,
        questions: configured.drill.questions,
        sourceUrl: configured.url,
        scratch: await world.scratchOf(configured),
        into: null,
        source: await world.connectionOf(configured),
        pool,
        temporaryDirectory,
        random,
        signal,
        nowMs,
        onProgress: (what) => {
          steps += 1
          onEvent({ type: 'progress', done: steps, total: null, unit: 'steps', what })
        },
      })
      const seconds = (nowMs() - startedMs) / 1000
      const { status } = report
      return { ...verdictOf({ status, findings: findingsOf(report), looked: { steps }, seconds }), made: report.id }
    },
  }
}
