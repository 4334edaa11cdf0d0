/** A folded table is the table as it is now, built from scratch: rows, locator, and every change on the way. */
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { propertyRuns, seededRandom } from '../tree/support.ts'
import { SPECS, Table } from './fold-support.ts'
import type { Identity } from './ward-model.ts'

const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 })

describe('a folded table', () => {
  it('has the trees of a build from scratch, and a journal of every change, after random histories', async () => {
    await fc.assert(
      fc.asyncProperty(
        seeds,
        fc.constantFrom(...SPECS),
        fc.constantFrom<Identity>('key', 'full'),
        fc.constantFrom(1, 600, 5000, 1_000_000),
        fc.boolean(),
        async (seed, spec, identity, memoryBytes, changeTree) => {
          const table = new Table(spec, identity, seededRandom(seed))
          for (let row = 0; row < 120; row += 1) table.model.insert()
          await table.begin()
          for (let fold = 0; fold < 3; fold += 1) {
            for (let step = table.model.upTo(90); step >= 0; step -= 1) table.model.step()
            await table.fold({ changeTree, memoryBytes })
            await table.expectAsModel()
            if (changeTree) await table.expectJournal()
          }
        },
      ),
      propertyRuns(12),
    )
  })
})
