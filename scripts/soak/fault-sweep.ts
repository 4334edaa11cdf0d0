/** Every call of a backup to its store, in every way that it can fail, in random order: all that `npm test` samples. */

import { seededRandom } from '../../test/repository/tree/support.ts'
import { casesOf, prepareSweep, runCase } from '../../test/support/fault-sweep.ts'
import type { SoakPart, SoakRun, SoakTally } from './part.ts'

export const faultSweep: SoakPart = { name: 'fault-sweep', run }

async function run({ seed, isOver }: SoakRun): Promise<SoakTally> {
  const random = seededRandom(seed)
  const failures: string[] = []
  let tried = 0
  let calls = 0
  for (let vitals = 300; !isOver() && failures.length === 0; vitals = 100 + Math.floor(random() * 4000)) {
    const sweep = await prepareSweep({ vitals, retried: random() < 0.3 })
    calls = sweep.calls.length
    const cases = casesOf(sweep.calls)
    while (!isOver() && cases.length > 0) {
      const [fault] = cases.splice(Math.floor(random() * cases.length), 1)
      // What is tried again may never come to the planned call; what is planned for every call after it will.
      if (!fault || (sweep.options.retried && !fault.onward)) continue
      tried += 1
      await runCase(sweep, fault).catch((error: unknown) => {
        const why = error instanceof Error ? error.message : 'of no known kind'
        failures.push(`${fault.outcome} at call ${fault.call} of ${calls}, ${vitals} rows: ${why}`)
      })
    }
  }
  return { tried, failures, figures: { calls } }
}
