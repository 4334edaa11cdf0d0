/**
 * Random accidents on a database, one patient repaired, and the repair undone, with wards at work beside it in a share of
 * the rounds; judged by an oracle in plain SQL. What `npm test` does with a few seeds
 * (test/restore/patient/accidents.test.ts).
 *
 *     patients         the reference database
 *     patients-mimic   a real one: MIMIC-IV demo 2.2 as a pg_dump archive, CHARTKEEP_SOAK_DUMP=FILE, or where it usually lies
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { mimicPlace } from '../../test/restore/patient/accidents/mimic-place.ts'
import { REFERENCE_PLACE } from '../../test/restore/patient/accidents/reference-place.ts'
import { playRound } from '../../test/restore/patient/accidents/round.ts'
import { openAccidentSite } from '../../test/restore/patient/accidents/site.ts'
import type { AccidentPlace } from '../../test/restore/patient/accidents/world.ts'
import type { SoakPart, SoakRun, SoakTally } from './part.ts'

const SITE = { rows: 30_000, moments: 5 }
/** A server and a history serve so many rounds. */
const ROUNDS_AT_ONCE = 500
const BESIDE_WARDS_EVERY = 5
const FAILURES_MAX = 10
const USUAL_ARCHIVE = new URL('../../../shared/data/mimic-iv-demo-2.2.dump', import.meta.url)

export const patients: SoakPart = { name: 'patients', run: async (run) => await rounds(REFERENCE_PLACE, run) }

export const patientsMimic: SoakPart = {
  name: 'patients-mimic',
  run: async (run) => {
    const archive = process.env.CHARTKEEP_SOAK_DUMP ?? fileURLToPath(USUAL_ARCHIVE)
    if (existsSync(archive)) return await rounds(mimicPlace(archive), run)
    return { tried: 0, failures: [], figures: { 'archives found (it is named by CHARTKEEP_SOAK_DUMP)': 0 } }
  },
}

async function rounds(place: AccidentPlace, { seed, isOver }: SoakRun): Promise<SoakTally> {
  const failures: string[] = []
  const figures: Record<string, number> = {}
  let tried = 0
  while (!isOver() && failures.length < FAILURES_MAX) {
    await using site = await openAccidentSite(place, { ...SITE, seed: 1 + Math.floor(tried / ROUNDS_AT_ONCE) })
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
