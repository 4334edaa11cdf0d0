/**
 * Random histories on real servers of several versions, captured while connections break, and judged at every snapshot
 * and at many commits, by what is told of the past, by a database rebuilt and by a comparison: what `npm test` does with a
 * seed or two (test/sim/history).
 *
 * The seed says everything of a history, also its version; what its connections do at the same time, it cannot say.
 */
import { availableParallelism } from 'node:os'
import { BuildPool } from '../../src/intake/build-pool.ts'
import { Dice } from '../../test/sim/history/dice.ts'
import { type HistoryReport, type HistoryRequest, runHistory } from '../../test/sim/history/run-history.ts'
import { startHistoryServer } from '../../test/sim/history/site.ts'
import { makeRepository } from '../../test/support/repository.ts'
import { availablePostgresVersions, type PostgresServer } from '../support/postgres-server.ts'
import type { SoakPart, SoakRun, SoakTally } from './part.ts'

export const histories: SoakPart = { name: 'histories', run }

/** Longer ones judge fewer tables in a minute, shorter ones, too. */
const SIZE = { turns: 120, rounds: 3, looks: 6 }
/** Seeds that follow each other share a server and a repository; then the next version has its turn. */
const BLOCK = 5
/** A history waits now and then: for a lease, for a segment to be sealed. */
const LANES = availableParallelism() + 1

async function run({ seed, isOver }: SoakRun): Promise<SoakTally> {
  const soak = new Soak()
  let next = seed
  const lane = async (): Promise<void> => {
    await using pool = new BuildPool(1)
    while (!isOver() && soak.failures.length === 0) {
      const first = next
      next = first - (first % BLOCK) + BLOCK
      await soak.block(
        Array.from({ length: next - first }, (_, index) => first + index),
        pool,
        isOver,
      )
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  return { tried: soak.tried, failures: soak.failures, figures: soak.figures }
}

class Soak {
  readonly failures: string[] = []
  readonly figures = { commits: 0, 'tables compared': 0, 'events of the past': 0, connections: 0, kills: 0 }
  tried = 0

  async block(seeds: readonly number[], pool: BuildPool, isOver: () => boolean): Promise<void> {
    const versions = availablePostgresVersions()
    const version = versions[Math.floor(seeds[0]! / BLOCK) % versions.length]!
    await using server = await startHistoryServer(version)
    await using repository = await makeRepository()
    const made = { ...repository, pool }
    for (const seed of seeds) {
      if (isOver() || this.failures.length > 0) return
      const failed = (what: string) => this.failures.push(`seed ${seed} on PostgreSQL ${version}: ${what}`)
      await runHistory({ server, made, seed, ...SIZE, ...kindOf(seed) })
        .then((report) => {
          report.findings.forEach(failed)
          this.#count(report)
        })
        .catch((error) => failed(thrown(error, server)))
      this.tried += 1
    }
  }

  #count(report: HistoryReport): void {
    this.figures.commits += report.commits
    this.figures['tables compared'] += report.tablesJudged
    this.figures['events of the past'] += report.events
    this.figures.kills += report.kills
    this.figures.connections += report.connections
  }
}

function kindOf(seed: number): Pick<HistoryRequest, 'ddl' | 'kills' | 'losesSlot' | 'forgets'> {
  const dice = new Dice(seed + 1)
  return {
    ddl: dice.chance(1 / 2),
    kills: dice.chance(1 / 3),
    losesSlot: dice.chance(1 / 4),
    forgets: dice.chance(1 / 3),
  }
}

function thrown(error: unknown, server: PostgresServer): string {
  const what = error instanceof Error ? (error.stack ?? error.message) : 'something of no known kind'
  return `${what}\n${server.log().split('\n').slice(-5).join('\n')}`
}
