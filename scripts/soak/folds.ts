/** Trees edited and tables folded by histories at random, each held against a build from scratch. */
import { playFolds } from '../../test/repository/fold/fold-support.ts'
import { playEdits } from '../../test/repository/tree/edit-model.ts'
import { seededRandom } from '../../test/repository/tree/support.ts'
import type { SoakPart, SoakRun, SoakTally } from './part.ts'

const STEPS = 20

export const folds: SoakPart = { name: 'folds', run }

/** History `n` of a run has the seed `seed + n`, whichever seed the run began with. */
async function run({ seed, isOver }: SoakRun): Promise<SoakTally> {
  const failures: string[] = []
  let tried = 0
  for (; !isOver() && failures.length === 0; tried += 1) {
    const history = seed + tried
    try {
      await playEdits(seededRandom(history), STEPS)
      await playFolds(seededRandom(history))
    } catch (error) {
      failures.push(`--seed ${history}: ${error instanceof Error ? error.message.split('\n')[0] : 'no error'}`)
    }
  }
  return { tried, failures, figures: {} }
}
