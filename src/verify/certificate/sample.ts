/**
 * A draw that anybody can repeat: from a text that the hospital gives, by HMAC-SHA-256 of a counter. Whoever knows the
 * text, the name of the draw and how many there are gets the same numbers; whoever makes the data cannot know them before.
 *
 *     number i = the first 8 bytes of HMAC(text, name ‖ 0A ‖ i), big-endian; above the largest multiple of n it is passed over
 */
import { createHmac } from 'node:crypto'

export interface Draw {
  /** As the hospital gave it. */
  readonly seed: string
  /** Of the draw: two of one certificate are not the same. */
  readonly name: string
  readonly population: number
  readonly sample: number
}

/** Different numbers from 0 to `population` − 1, in ascending order; all of them where no more are there. */
export function draw({ seed, name, population, sample }: Draw): number[] {
  if (sample >= population) return Array.from({ length: population }, (_, index) => index)
  const drawn = new Set<number>()
  const limit = (2n ** 64n / BigInt(population)) * BigInt(population)
  for (let counter = 0; drawn.size < sample; counter += 1) {
    const digest = createHmac('sha256', seed).update(`${name}\n${counter}`).digest()
    const value = digest.readBigUInt64BE(0)
    if (value < limit) drawn.add(Number(value % BigInt(population)))
  }
  return [...drawn].sort((a, b) => a - b)
}
