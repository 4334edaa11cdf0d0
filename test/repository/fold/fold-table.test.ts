/** A folded table is the table as it is now, built from scratch: rows, locator, and every change on the way. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { propertyRuns, seededRandom } from '../tree/support.ts'
import { playFolds } from './fold-support.ts'

it('a folded table has the trees of a build from scratch, and a journal of every change', async () => {
  expect.hasAssertions()
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 - 1 }), async (seed) => {
      await playFolds(seededRandom(seed))
    }),
    propertyRuns(16),
  )
})
