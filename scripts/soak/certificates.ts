/**
 * The reference ward at work by the thousand, with losses planted past its application: a certificate names exactly these.
 * What `npm test` does with two seeds (test/verify/certificate/ward.test.ts).
 */

import { makeRepository } from '../../test/support/repository.ts'
import { openWardSite } from '../../test/verify/certificate/ward-round.ts'
import { startPostgres } from '../support/postgres-server.ts'
import type { SoakPart, SoakRun, SoakTally } from './part.ts'

export const certificates: SoakPart = { name: 'certificates', run }

const TURNS = 120
/** A database and a repository serve so many rounds. */
const ROUNDS_AT_ONCE = 100

async function run({ seed, isOver }: SoakRun): Promise<SoakTally> {
  const failures: string[] = []
  const figures = { 'deeds of the ward': 0, changes: 0, planted: 0 }
  let tried = 0
  while (!isOver() && failures.length === 0) {
    await using server = await startPostgres()
    await using made = await makeRepository()
    await using site = await openWardSite(server, made, 12_000)
    for (let round = 0; round < ROUNDS_AT_ONCE && !isOver() && failures.length === 0; round += 1) {
      const own = (seed + tried) % 2 ** 31
      tried += 1
      const found = await site.round(own, TURNS)
      figures['deeds of the ward'] += found.actions
      figures.changes += found.changes
      figures.planted += found.planted.length
      const [planted, accused] = [found.planted.join(', '), found.accused.join(', ')]
      if (planted !== accused)
        failures.push(`seed ${own}: planted ${planted || 'nothing'}, accused ${accused || 'nothing'}`)
      if (!found.balanceCloses) failures.push(`seed ${own}: the rows do not add up`)
    }
  }
  return { tried, failures, figures }
}
