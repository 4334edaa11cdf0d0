/**
 * RFC 6962 section 2.1 as it is written there: recursive, slow, one function for each of its names. It shares nothing
 * with src/ but Node's SHA-256, hence can be the oracle for it.
 */
import { createHash } from 'node:crypto'

export type Entries = readonly Uint8Array[]

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** The largest power of two smaller than n: k < n <= 2k. */
function largestPowerOfTwoBelow(n: number): number {
  let k = 1
  while (k < n) k <<= 1
  return k >> 1
}

/** Section 2.1. MTH(D[n]). */
export function MTH(D: Entries): Buffer {
  const n = D.length
  if (n === 0) return sha256()
  if (n === 1) return sha256(Uint8Array.of(0x00), D[0]!)
  const k = largestPowerOfTwoBelow(n)
  return sha256(Uint8Array.of(0x01), MTH(D.slice(0, k)), MTH(D.slice(k, n)))
}

/** Section 2.1.1. PATH(m, D[n]). */
export function PATH(m: number, D: Entries): Buffer[] {
  const n = D.length
  if (n === 1) return []
  const k = largestPowerOfTwoBelow(n)
  if (m < k) return [...PATH(m, D.slice(0, k)), MTH(D.slice(k, n))]
  return [...PATH(m - k, D.slice(k, n)), MTH(D.slice(0, k))]
}

/** Section 2.1.2. PROOF(m, D[n]) for 0 < m < n. */
export function PROOF(m: number, D: Entries): Buffer[] {
  return SUBPROOF(m, D, true)
}

function SUBPROOF(m: number, D: Entries, b: boolean): Buffer[] {
  const n = D.length
  if (m === n) return b ? [] : [MTH(D)]
  const k = largestPowerOfTwoBelow(n)
  if (m <= k) return [...SUBPROOF(m, D.slice(0, k), b), MTH(D.slice(k, n))]
  return [...SUBPROOF(m - k, D.slice(k, n), false), MTH(D.slice(0, k))]
}

/**
 * Trees too large to build: a proof for leaf `m` of `n`, made of hashes drawn from `draw` (the lowest first), together
 * with the root to which it leads. Sizes are bigint so that nothing here can be cut to 32 bits.
 */
export function inventInclusion(
  m: bigint,
  n: bigint,
  leaf: Uint8Array,
  draw: () => Uint8Array,
): { proof: Uint8Array[]; root: Uint8Array } {
  if (n === 1n) return { proof: [], root: leaf }
  const k = largestBigPowerOfTwoBelow(n)
  const below = m < k ? inventInclusion(m, k, leaf, draw) : inventInclusion(m - k, n - k, leaf, draw)
  const p = draw()
  const root = m < k ? node(below.root, p) : node(p, below.root)
  return { proof: [...below.proof, p], root }
}

/** The same for the consistency of sizes 0 < m < n. `old` is what the first tree's root is when it is a subtree. */
export function inventConsistency(
  m: bigint,
  n: bigint,
  old: Uint8Array,
  draw: () => Uint8Array,
  b = true,
): { proof: Uint8Array[]; first: Uint8Array; second: Uint8Array } {
  if (m === n) {
    if (b) return { proof: [], first: old, second: old }
    const p = draw()
    return { proof: [p], first: p, second: p }
  }
  const k = largestBigPowerOfTwoBelow(n)
  const below = m <= k ? inventConsistency(m, k, old, draw, b) : inventConsistency(m - k, n - k, old, draw, false)
  const p = draw()
  const proof = [...below.proof, p]
  if (m <= k) return { proof, first: below.first, second: node(below.second, p) }
  return { proof, first: node(p, below.first), second: node(p, below.second) }
}

function node(left: Uint8Array, right: Uint8Array): Buffer {
  return sha256(Uint8Array.of(0x01), left, right)
}

function largestBigPowerOfTwoBelow(n: bigint): bigint {
  let k = 1n
  while (k * 2n < n) k *= 2n
  return k
}
