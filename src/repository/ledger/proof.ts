/**
 * Inclusion and consistency proofs (RFC 6962 sections 2.1.1 and 2.1.2): making them, and verifying them.
 *
 * Inclusion: entry `index` is in the tree of `size` entries that has this root. Consistency: the tree of `first`
 * entries is a prefix of the tree of `second`; whoever holds yesterday's root sees that nothing before it changed.
 *
 * Verifying follows RFC 9162 sections 2.1.3.2 and 2.1.4.2 step by step (the numbers stand beside the code), and is
 * total: its arguments may come from an adversary, every one of them. It answers with a verdict, in at most 53 hashes
 * (sizes are safe integers), whatever the proof's length. Verdicts name sizes and counts only.
 *
 * Making proofs walks the same splits from the root down, and hashes the subtrees beside the way from their leaves:
 * O(n) hashes, 0.2 s for the hourly snapshots of ten years (87,600 entries).
 */
import { assert } from '../../errors.ts'
import { emptyRoot, HASH_BYTES, nodeHash, subtreeRoot } from './merkle.ts'

export type ProofVerdict = { readonly ok: true } | { readonly ok: false; readonly reason: string }

export interface InclusionClaim {
  readonly leafHash: Uint8Array
  readonly index: number
  readonly size: number
  readonly root: Uint8Array
  /** Sibling hashes, the lowest first. */
  readonly proof: readonly Uint8Array[]
}

export interface ConsistencyClaim {
  readonly first: number
  readonly second: number
  readonly firstRoot: Uint8Array
  readonly secondRoot: Uint8Array
  readonly proof: readonly Uint8Array[]
}

const ACCEPTED: ProofVerdict = { ok: true }

/** PATH(index, D[0:size]). Needs 0 ≤ index < size ≤ leafHashes.length. */
export function inclusionProof(leafHashes: readonly Uint8Array[], index: number, size: number): Uint8Array[] {
  assert(isSize(index) && isSize(size) && index < size && size <= leafHashes.length, 'an index within the tree')

  const path: Uint8Array[] = []
  let start = 0
  let end = size
  while (end - start > 1) {
    const split = start + splitOf(end - start)
    if (index < split) {
      path.push(subtreeRoot(leafHashes, split, end))
      end = split
    } else {
      path.push(subtreeRoot(leafHashes, start, split))
      start = split
    }
  }
  return path.reverse()
}

/** PROOF(first, D[0:second]). Needs 0 ≤ first ≤ second ≤ leafHashes.length; empty when first is 0 or equals second. */
export function consistencyProof(leafHashes: readonly Uint8Array[], first: number, second: number): Uint8Array[] {
  assert(isSize(first) && isSize(second) && first <= second && second <= leafHashes.length, 'sizes within the tree')
  if (first === 0) return []

  const path: Uint8Array[] = []
  let start = 0
  let end = second
  while (end !== first) {
    const split = start + splitOf(end - start)
    if (first <= split) {
      path.push(subtreeRoot(leafHashes, split, end))
      end = split
    } else {
      path.push(subtreeRoot(leafHashes, start, split))
      start = split
    }
  }
  // The verifier knows the old root itself; any other subtree at which the way ends must be given.
  if (start > 0) path.push(subtreeRoot(leafHashes, start, end))
  return path.reverse()
}

/** RFC 9162 section 2.1.3.2. */
export function verifyInclusion(claim: InclusionClaim): ProofVerdict {
  const { index, size, proof } = claim
  if (!isSize(index) || !isSize(size)) return refused('index and size are not whole numbers from 0 to 2^53 - 1')
  if (index >= size) return refused(`index ${index} is not below the size ${size}`) // 1.
  if (!isHash(claim.leafHash) || !isHash(claim.root)) return refused(`leaf hash or root is not of ${HASH_BYTES} bytes`)

  let fn = index // 2.
  let sn = size - 1
  let r = claim.leafHash // 3.
  for (const p of proof) {
    if (sn === 0) return refused(`proof of ${proof.length} hashes is too long for size ${size}`) // 4.a
    if (!isHash(p)) return refused(`proof holds something that is not a hash of ${HASH_BYTES} bytes`)
    if (isOdd(fn) || fn === sn) {
      r = nodeHash(p, r) // 4.b.i
      while (!isOdd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)] // 4.b.ii
    } else {
      r = nodeHash(r, p)
    }
    fn = half(fn) // 4.c
    sn = half(sn)
  }
  if (sn !== 0) return refused(`proof of ${proof.length} hashes is too short for size ${size}`) // 5.
  return equal(r, claim.root) ? ACCEPTED : refused('proof leads to another root')
}

/** RFC 9162 section 2.1.4.2; the sizes that it leaves out (0, and equal ones) take an empty proof. */
export function verifyConsistency(claim: ConsistencyClaim): ProofVerdict {
  const { first, second, firstRoot, secondRoot, proof } = claim
  if (!isSize(first) || !isSize(second)) return refused('sizes are not whole numbers from 0 to 2^53 - 1')
  if (first > second) return refused(`first size ${first} is above the second, ${second}`)
  if (!isHash(firstRoot) || !isHash(secondRoot)) return refused(`a root is not of ${HASH_BYTES} bytes`)
  if (first === 0 || first === second) return verifyWithoutProof(claim)
  if (proof.length === 0) return refused('proof is empty') // 1.

  let fn = first - 1 // 3.
  let sn = second - 1
  while (isOdd(fn)) [fn, sn] = [half(fn), half(sn)] // 4.

  // 2. After step 4 fn is 0 exactly when first is a power of two: then the old root is a subtree of the new tree.
  const startsAtOldRoot = fn === 0
  const seed = startsAtOldRoot ? firstRoot : proof[0]
  if (!isHash(seed)) return refused(`proof holds something that is not a hash of ${HASH_BYTES} bytes`)
  let fr = seed // 5.
  let sr = seed
  for (const c of startsAtOldRoot ? proof : proof.slice(1)) {
    if (sn === 0) return refused(`proof of ${proof.length} hashes is too long for sizes ${first} and ${second}`) // 6.a
    if (!isHash(c)) return refused(`proof holds something that is not a hash of ${HASH_BYTES} bytes`)
    if (isOdd(fn) || fn === sn) {
      fr = nodeHash(c, fr) // 6.b.i
      sr = nodeHash(c, sr)
      while (!isOdd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)] // 6.b.iii
    } else {
      sr = nodeHash(sr, c)
    }
    fn = half(fn) // 6.c
    sn = half(sn)
  }
  if (sn !== 0) return refused(`proof of ${proof.length} hashes is too short for sizes ${first} and ${second}`) // 7.
  if (!equal(fr, firstRoot)) return refused('proof leads to another first root')
  return equal(sr, secondRoot) ? ACCEPTED : refused('proof leads to another second root')
}

/** Every tree continues the empty one, and itself. */
function verifyWithoutProof({ first, second, firstRoot, secondRoot, proof }: ConsistencyClaim): ProofVerdict {
  if (proof.length !== 0) return refused(`proof of ${proof.length} hashes where sizes ${first} and ${second} need none`)
  if (first === 0 && !equal(firstRoot, emptyRoot())) return refused('first size is 0 and its root not the empty one')
  if (first === second && !equal(firstRoot, secondRoot)) return refused('sizes are equal and roots are not')
  return ACCEPTED
}

function refused(reason: string): ProofVerdict {
  return { ok: false, reason }
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function isHash(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length === HASH_BYTES
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}

/** Bitwise operators would cut sizes to 32 bits. */
function isOdd(value: number): boolean {
  return value % 2 === 1
}

function half(value: number): number {
  return Math.floor(value / 2)
}

/** The largest power of two below `size`; needs size > 1. */
function splitOf(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}
