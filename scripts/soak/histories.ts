/**
 * Random histories on real servers of several versions, captured while connections break, and judged at every snapshot
 * and at many commits, by what is told of the past, by a database rebuilt and by a comparison: what `npm test` does with a
 * seed or two (test/sim/history).
 */
import { runHistory } from '../../test/sim/history/run-history.ts'
import { startHistoryServer } from '../../test/sim/history/site.ts'
import { makeRepository } from '../../test/support/repository.ts'
import { availablePostgresVersions, type PostgresServer } from '../support/postgres-server.ts'
import type { SoakPart, SoakRun, SoakTally } from './part.ts'

export const histories: SoakPart = { name: 'histories', run }

/** Half a minute each on a busy machine, most of it a fixed cost: longer ones judge fewer tables in a minute, shorter ones, too. */
const TURNS = 120
const ROUNDS = 3
const LOOKS = 6
/** A server and a repository serve so many histories; then the next version has its turn. */
const HISTORIES_AT_ONCE = 5

async function run({ seed, isOver }: SoakRun): Promise<SoakTally> {
  const versions = availablePostgresVersions()
  const failures: string[] = []
  const figures = { commits: 0, 'tables compared': 0, 'events of the past': 0, connections: 0, kills: 0 }
  let tried = 0
  while (!isOver() && failures.length === 0) {
    const version = versions[Math.floor(tried / HISTORIES_AT_ONCE) % versions.length]!
    await using server = await startHistoryServer(version)
    await using made = await makeRepository()
    for (let round = 0; round < HISTORIES_AT_ONCE && !isOver() && failures.length === 0; round += 1) {
      const own = (seed + tried) % 2 ** 31
      tried += 1
      const report = await runHistory({
        server,
        made,
        seed: own,
        turns: TURNS,
        rounds: ROUNDS,
        looks: LOOKS,
        ddl: tried % 2 === 0,
        kills: tried % 3 === 0,
        losesSlot: tried % 4 === 1,
      }).catch((error) => {
        failures.push(`seed ${own} on PostgreSQL ${version}: ${thrown(error, server)}`)
        return null
      })
      if (!report) continue
      for (const finding of report.findings) failures.push(`seed ${own} on PostgreSQL ${version}: ${finding}`)
      figures.commits += report.commits
      figures['tables compared'] += report.tablesJudged
      figures['events of the past'] += report.events
      figures.kills += report.kills
      figures.connections += report.connections
    }
  }
  return { tried, failures, figures }
}

function thrown(error: unknown, server: PostgresServer): string {
  const what = error instanceof Error ? (error.stack ?? error.message) : 'something of no known kind'
  return `${what}\n${server.log().split('\n').slice(-5).join('\n')}`
}
