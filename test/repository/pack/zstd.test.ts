/** One context for many pieces gives what a context for each gives, also after pieces that were damaged. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compress, decompress } from '../../../src/repository/pack/zstd.ts'
import { propertyRuns } from '../tree/support.ts'

const LEVEL_1 = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

/** Text that compresses, noise that does not, and nothing. */
const piece = fc.oneof(
  fc
    .tuple(fc.string({ maxLength: 30 }), fc.integer({ min: 0, max: 20_000 }))
    .map(([text, times]) => Buffer.from(text.repeat(times % 900))),
  fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
)

describe('zstd with a context that is kept', () => {
  it('compresses to the bytes that a new context gives, and decompresses to the piece', () => {
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), (pieces) => {
        for (const plain of pieces) {
          const compressed = compress(plain)

          expect(Buffer.from(compressed).equals(zstdCompressSync(plain, LEVEL_1))).toBe(true)
          expect(Buffer.from(decompress(compressed, plain.length)).equals(plain)).toBe(true)
        }
      }),
      propertyRuns(150),
    )
  })

  it('refuses what is damaged, cut short or of another length, and is none the worse for it', () => {
    const damage = fc.record({
      at: fc.nat(),
      bit: fc.nat({ max: 7 }),
      kind: fc.constantFrom('flip', 'cut', 'length', 'twice'),
    })
    fc.assert(
      fc.property(piece, damage, (plain, { at, bit, kind }) => {
        const whole = Buffer.from(compress(plain))
        const damaged = damagedFrame(whole, at, bit, kind)
        const claimed = kind === 'length' ? Math.max(0, plain.length - 1 - (at % 5)) : plain.length

        const outcome = attempt(() => Buffer.from(decompress(damaged, claimed)))
        const expected = attempt(() => zstdDecompressSync(damaged, { maxOutputLength: Math.max(1, claimed) }))

        // Frames behind the first were never looked at where they fit into one step: that it is the piece is enough.
        if (kind === 'twice') expect(outcome === null || outcome.equals(plain)).toBe(true)
        else expect(outcome === null).toBe(expected === null)
        if (kind !== 'twice' && outcome && expected) expect(outcome.equals(expected)).toBe(true)
        expect(Buffer.from(decompress(whole, plain.length)).equals(plain)).toBe(true)
      }),
      propertyRuns(400),
    )
  })

  it('leaves pieces larger than it keeps room for to a context of their own', () => {
    const plain = Buffer.alloc(9_000_000, 'ward ')

    const compressed = compress(plain)

    expect(Buffer.from(decompress(compressed, plain.length)).equals(plain)).toBe(true)
  })
})

function damagedFrame(whole: Buffer, at: number, bit: number, kind: string): Buffer {
  if (kind === 'twice') return Buffer.concat([whole, whole])
  if (kind === 'cut') return whole.subarray(0, at % whole.length)
  const damaged = Buffer.from(whole)
  if (kind === 'flip') damaged[at % damaged.length]! ^= 1 << bit
  return damaged
}

function attempt<T>(work: () => T): T | null {
  try {
    return work()
  } catch {
    return null
  }
}
