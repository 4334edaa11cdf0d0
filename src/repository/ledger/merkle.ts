/**
 * The Merkle tree of RFC 6962 section 2.1 (the same in RFC 9162 section 2.1), with SHA-256.
 *
 *     leaf hash  = SHA-256(0x00 ‖ entry)          empty tree = SHA-256()
 *     node hash  = SHA-256(0x01 ‖ left ‖ right)
 *
 * A tree of n > 1 leaves splits at the largest power of two below n. That split has an equivalent that needs no
 * recursion and on which this file stands: pair neighbours level by level, and carry a last odd one up as it is. The
 * two prefixes keep a leaf from being passed off as a node, and so a short log as a longer one.
 *
 * Proofs are in proof.ts. `test/repository/ledger/reference.ts` is the RFC's own recursion, the oracle of the tests.
 */
import { createHash } from 'node:crypto'
import { Failure } from '../../errors.ts'
import { sha256 } from '../crypto/provider.ts'

export const HASH_BYTES = 32

const LEAF_PREFIX = 0x00
const NODE_PREFIX = 0x01

/** Up to here, copying the entry behind its prefix for the one-call hash is faster than a hash object (measured). */
const COPIED_ENTRY_BYTES_MAX = 2048

/** Hashing is synchronous and the main loop of it is hot: one scratch buffer spares an allocation for every node. */
const nodeScratch = new Uint8Array(1 + 2 * HASH_BYTES)
nodeScratch[0] = NODE_PREFIX

/** RFC 6962 section 2.1: `d(0)`. The domain is that of leaves even when `entry` looks like a node. */
export function leafHash(entry: Uint8Array): Uint8Array {
  if (entry.length > COPIED_ENTRY_BYTES_MAX) {
    return createHash('sha256').update(Uint8Array.of(LEAF_PREFIX)).update(entry).digest()
  }
  const prefixed = new Uint8Array(1 + entry.length)
  prefixed[0] = LEAF_PREFIX
  prefixed.set(entry, 1)
  return sha256(prefixed)
}

/** Both 32 bytes; the callers of this folder have checked, or made, them. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeScratch.set(left, 1)
  nodeScratch.set(right, 1 + HASH_BYTES)
  return sha256(nodeScratch)
}

/** The root of the tree without leaves: SHA-256 of nothing. */
export function emptyRoot(): Uint8Array {
  return sha256(new Uint8Array(0))
}

/** The root over leaf *hashes* (not entries). @throws defect when one is not 32 bytes. */
export function merkleRoot(leafHashes: readonly Uint8Array[]): Uint8Array {
  return subtreeRoot(leafHashes, 0, leafHashes.length)
}

/** MTH(D[start:end]). The leaves given are not changed. */
export function subtreeRoot(leafHashes: readonly Uint8Array[], start: number, end: number): Uint8Array {
  if (end <= start) return emptyRoot()

  let level = leafHashes.slice(start, end)
  for (const leaf of level) requireHash(leaf)
  while (level.length > 1) level = parentsOf(level)
  return level[0]!
}

function parentsOf(level: readonly Uint8Array[]): Uint8Array[] {
  const parents: Uint8Array[] = new Array(Math.ceil(level.length / 2))
  for (let index = 0; index < level.length; index += 2) {
    const right = level[index + 1]
    parents[index / 2] = right === undefined ? level[index]! : nodeHash(level[index]!, right)
  }
  return parents
}

function requireHash(bytes: Uint8Array): void {
  if (bytes.length !== HASH_BYTES) {
    throw new Failure('defect', `assertion failed: a hash has ${HASH_BYTES} bytes, got ${bytes.length}`)
  }
}

/** A CompactRange as plain data, fit for canonical JSON: one lower-case hexadecimal hash for each 1 bit of `size`. */
export interface CompactRangeState {
  readonly size: number
  readonly hashes: readonly string[]
}

/**
 * A growing tree in O(log n) memory: the roots of the perfect subtrees that the binary digits of `size` name, the
 * largest first. Appending is a binary increment (carry = join two equal subtrees), amortised one hash a leaf.
 */
export class CompactRange {
  #size = 0
  #hashes: Uint8Array[] = []

  get size(): number {
    return this.#size
  }

  append(leaf: Uint8Array): void {
    requireHash(leaf)
    // A copy: the caller may reuse its buffer, and the range outlives the call.
    let carried: Uint8Array = Uint8Array.from(leaf)
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) {
      carried = nodeHash(this.#hashes.pop()!, carried)
    }
    this.#hashes.push(carried)
    this.#size += 1
  }

  root(): Uint8Array {
    if (this.#size === 0) return emptyRoot()
    return Uint8Array.from(this.#hashes.reduceRight((right, left) => nodeHash(left, right)))
  }

  toState(): CompactRangeState {
    return { size: this.#size, hashes: this.#hashes.map((bytes) => Buffer.from(bytes).toString('hex')) }
  }

  /** @throws repository-damaged when the state cannot be one that `toState` gave. */
  static fromState(state: CompactRangeState): CompactRange {
    const expected = Number.isSafeInteger(state.size) && state.size >= 0 ? oneBits(state.size) : -1
    const wellFormed = state.hashes.every((text) => /^[0-9a-f]{64}$/.test(text))
    if (state.hashes.length !== expected || !wellFormed) {
      throw new Failure(
        'repository-damaged',
        `compact range of size ${state.size} needs ${Math.max(expected, 0)} hashes of ${HASH_BYTES} bytes, ` +
          `got ${state.hashes.length}${wellFormed ? '' : ', not all of that form'}`,
        { hints: ['Run `chartkeep check`: the state can be computed again from the ledger’s entries.'] },
      )
    }
    const range = new CompactRange()
    range.#size = state.size
    range.#hashes = state.hashes.map((text) => Uint8Array.from(Buffer.from(text, 'hex')))
    return range
  }
}

/** Sizes go to 2^53, beyond what JavaScript's bitwise operators hold. */
function oneBits(size: number): number {
  let count = 0
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2
  return count
}
