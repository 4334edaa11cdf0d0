import fc from 'fast-check'
import { expect, test } from 'vitest'
import { packLeaves, unpackLeaves } from '../../../src/repository/build/leaf-batch.ts'
import type { BuiltLeaf } from '../../../src/repository/tree/tree-writer.ts'

const place = fc.record({
  packId: fc.constantFrom('00'.repeat(16), 'ab'.repeat(16)),
  offset: fc.nat(2 ** 40),
  storedBytes: fc.nat(),
})

const leaf: fc.Arbitrary<BuiltLeaf> = fc
  .record({
    digest: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    lastKey: fc.uint8Array({ maxLength: 40 }),
    rows: fc.nat(),
    textBytes: fc.nat(2 ** 40),
    payload: fc.uint8Array({ maxLength: 50 }),
    place,
    kind: fc.constantFrom('new', 'stored', 'digest'),
  })
  .map(({ kind, payload, place, ...rest }) => ({
    ...rest,
    payload: kind === 'new' ? payload : null,
    place: kind === 'stored' ? place : null,
  }))

test('leaves of every kind come out of a batch as they went in, an empty payload being one', () => {
  fc.assert(
    fc.property(fc.array(leaf, { maxLength: 20 }), (leaves) => {
      expect([...unpackLeaves(structuredClone(packLeaves(leaves)))]).toEqual(leaves)
    }),
    { numRuns: 200 },
  )
})
