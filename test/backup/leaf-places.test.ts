import { hash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LeafPlaces } from '../../src/backup/leaf-places.ts'

/** Few first bytes, so that slots are fought over. */
const digest = fc
  .tuple(fc.nat(3), fc.nat(65_535))
  .map(([first, last]) => Buffer.from([first, 0, 0, 0, ...new Array(26).fill(7), last >> 8, last & 255]))
const place = fc.record({
  packId: fc.constantFrom('0a'.repeat(16), '0b'.repeat(16), '0c'.repeat(16)),
  offset: fc.nat(2 ** 31 - 1),
  storedBytes: fc.nat(2 ** 31 - 1),
})

test('finds what a Map would find, the first place of each digest, at any size', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(digest, place), { maxLength: 300 }), fc.array(digest), (added, asked) => {
      const places = new LeafPlaces()
      const model = new Map<string, unknown>()
      for (const [key, value] of added) {
        places.add(key, value)
        const name = key.toString('hex')
        if (!model.has(name)) model.set(name, value)
      }

      expect(places.size).toBe(model.size)
      for (const key of [...asked, ...added.map(([key]) => key)]) {
        expect(places.find(key)).toEqual(model.get(key.toString('hex')) ?? null)
      }
    }),
  )
})

test('twenty thousand digests are each found where they were put', () => {
  const places = new LeafPlaces()
  const name = (n: number) => hash('sha256', String(n), 'buffer')
  for (let n = 0; n < 20_000; n += 1) places.add(name(n), { packId: 'ff'.repeat(16), offset: n, storedBytes: 1 })

  const wrong = Array.from({ length: 20_000 }, (_, n) => n).filter((n) => places.find(name(n))?.offset !== n)

  expect(wrong).toEqual([])
})
