/**
 * Random accidents on the reference database, one patient repaired, and the repair undone, with wards at work beside it in
 * a share of the rounds; judged by an oracle in plain SQL. What `npm test` does with a few seeds
 * (test/restore/patient/accidents.test.ts).
 */
import { playRound } from '../../test/restore/patient/accidents/round.ts'
import { openAccidentSite } from '../../test/restore/patient/accidents/site.ts'
import type { SoakPart, SoakRun, SoakTally } from './part.ts'

export const patients: SoakPart = { name: 'patients', run }

const SITE = { rows: 30_000, moments: 5 }
/** A server and a history serve so many rounds. */
const ROUNDS_AT_ONCE = 500
const BESIDE_WARDS_EVERY = 5
const FAILURES_MAX = 10

async function run({ seed, isOver }: SoakRun): Promise<SoakTally> {
  const failures: string[] = []
  const figures: Record<string, number> = {}
  let tried = 0
  while (!isOver() && failures.length < FAILURES_MAX) {
    await using site = await openAccidentSite({ ...SITE, seed: 1 + Math.floor(tried / ROUNDS_AT_ONCE) })
    for (let round = 0; round < ROUNDS_AT_ONCE && !isOver() && failures.length < FAILURES_MAX; round += 1) {
      const own = (seed + tried) % 2 ** 31
      tried += 1
      const found = await playRound(site, own, own % BESIDE_WARDS_EVERY === 0)
      for (const [name, value] of Object.entries(found.figures)) {
        figures[name] = /slowest/.test(name) ? Math.max(figures[name] ?? 0, value) : (figures[name] ?? 0) + value
      }
      if (found.findings.length > 0) failures.push(`seed ${own}: ${found.findings.join('; ')} (${found.story})`)
    }
  }
  return { tried, failures, figures }
}
