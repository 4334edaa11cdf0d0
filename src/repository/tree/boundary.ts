/**
 * Where a leaf ends, and where an inner node ends: a pure function of the keys and sizes since the last cut.
 *
 * A row is the last of its leaf with a probability that grows with the cube of the size reached, decided by the
 * xxHash64 of its key under the repository's seed. Sizes then follow a Weibull distribution of shape 4: close to the
 * target (standard deviation a quarter of the mean), and an edit moves boundaries only until an old one is met again.
 * (The growing threshold is dolt's answer to the long tail of sizes that a constant one gives.) Below the minimum
 * nothing is cut, at the maximum always: bounds that hold for any keys whatever.
 *
 * The arithmetic is IEEE 754 doubles, multiplied in the written order; another implementation must do the same.
 */
import xxhash from 'xxhash-wasm'

export interface CutRule {
  /** The size at which the hazard's scale is set; the mean is 0.906 of it. */
  readonly scale: number
  readonly min: number
  readonly max: number
}

/** Sizes in bytes of row text, newlines included. Mean 32 KiB: see docs/decisions. */
export const LEAF_CUT: CutRule = { scale: 36_160, min: 8_192, max: 131_072 }
/** Sizes in children. Mean 128. */
export const NODE_CUT: CutRule = { scale: 141, min: 24, max: 512 }

const HASH_RANGE = 4_294_967_296

/**
 * Whether the unit that brings the size to `sizeAfter`, itself `unitSize`, is the last of its run. `hash` is the low
 * 32 bits of the key's xxHash64.
 */
export function isCut(rule: CutRule, sizeAfter: number, unitSize: number, hash: number): boolean {
  if (sizeAfter < rule.min) return false
  if (sizeAfter >= rule.max) return true
  const ratio = sizeAfter / rule.scale
  const hazard = ((4 * ratio * ratio * ratio) / rule.scale) * unitSize
  return hash < hazard * HASH_RANGE
}

export type KeyHash = (key: Uint8Array) => number

const api = await xxhash()

/** The low 32 bits of xxHash64 under `seed`; inner nodes use the seed plus their level. */
export function keyHash(seed: bigint, level: number): KeyHash {
  const levelSeed = BigInt.asUintN(64, seed + BigInt(level))
  return (key) => Number(api.h64Raw(key, levelSeed) & 0xffff_ffffn)
}
