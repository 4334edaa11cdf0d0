/**
 * Proofs against the RFC's own recursion, published vectors, and adversaries: every byte of a proof changed, every
 * other index, size and root, and arguments that are no proof at all.
 */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { leafHash, merkleRoot } from '../../../src/repository/ledger/merkle.ts'
import {
  consistencyProof,
  type InclusionClaim,
  inclusionProof,
  verifyConsistency,
  verifyInclusion,
} from '../../../src/repository/ledger/proof.ts'
import {
  type ConsistencyVector,
  type InclusionVector,
  makeConsistencyVectors,
  makeInclusionVectors,
  type RootVectors,
  readVectors,
} from './make-vectors.ts'
import { inventConsistency, inventInclusion, MTH, PATH, PROOF } from './reference.ts'

const EVERY_SIZE_MAX = 130
const entries = Array.from({ length: 5000 }, (_, index) => Buffer.from(`entry ${index}`))
const leaves = entries.map(leafHash)
const roots = Array.from({ length: EVERY_SIZE_MAX + 1 }, (_, size) => merkleRoot(leaves.slice(0, size)))

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function unhex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'))
}

function inclusionClaim(index: number, size: number): InclusionClaim {
  return {
    leafHash: leaves[index]!,
    index,
    size,
    root: merkleRoot(leaves.slice(0, size)),
    proof: inclusionProof(leaves, index, size),
  }
}

function consistencyClaim(first: number, second: number) {
  const firstRoot = merkleRoot(leaves.slice(0, first))
  const secondRoot = merkleRoot(leaves.slice(0, second))
  return { first, second, firstRoot, secondRoot, proof: consistencyProof(leaves, first, second) }
}

/** Every copy of `proof` with one byte changed, in a way that depends on its place. */
function* withOneByteChanged(proof: readonly Uint8Array[]): Generator<Uint8Array[]> {
  for (const [at, hash] of proof.entries()) {
    for (let byte = 0; byte < hash.length; byte++) {
      const changed = Uint8Array.from(hash)
      changed[byte]! ^= 1 << ((byte + at) % 8)
      yield proof.with(at, changed)
    }
  }
}

/** Hashes that nobody can foresee but everybody can repeat. */
function drawFrom(seed: number): () => Uint8Array {
  let count = 0
  return () => createHash('sha256').update(`${seed} ${count++}`).digest()
}

describe('vectors', () => {
  const known = readVectors<RootVectors>('roots.json')

  it('of inclusion are answered as they say', () => {
    for (const vector of readVectors<InclusionVector[]>('inclusion.json')) {
      const verdict = verifyInclusion({
        ...vector,
        leafHash: unhex(vector.leafHash),
        root: unhex(vector.root),
        proof: vector.proof.map(unhex),
      })
      expect(verdict.ok, vector.description).toBe(vector.accepted)
    }
  })

  it('of consistency are answered as they say', () => {
    for (const vector of readVectors<ConsistencyVector[]>('consistency.json')) {
      const verdict = verifyConsistency({
        ...vector,
        firstRoot: unhex(vector.firstRoot),
        secondRoot: unhex(vector.secondRoot),
        proof: vector.proof.map(unhex),
      })
      expect(verdict.ok, vector.description).toBe(vector.accepted)
    }
  })

  it('are what the reference implementation makes', () => {
    expect(readVectors('inclusion.json')).toEqual(makeInclusionVectors(known))
    expect(readVectors('consistency.json')).toEqual(makeConsistencyVectors(known))
  })

  it('hold the proofs that RFC 6962 implementations publish for their tree', () => {
    const shared = known.entries.map((text) => leafHash(unhex(text)))

    expect(inclusionProof(shared, 5, 8).map(hex)).toEqual([
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ])
    expect(consistencyProof(shared, 6, 8).map(hex)).toEqual([
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ])
  })
})

describe('inclusion proof', () => {
  it(`is that of the RFC's recursion and is accepted, for every size to ${EVERY_SIZE_MAX} and every index to size 66`, () => {
    for (let size = 1; size <= EVERY_SIZE_MAX; size++) {
      for (let index = 0; index < size; index += size <= 66 ? 1 : 5) {
        const proof = inclusionProof(leaves, index, size)
        const verdict = verifyInclusion({ leafHash: leaves[index]!, index, size, root: roots[size]!, proof })
        if (!verdict.ok) throw new Error(`index ${index}, size ${size}: ${verdict.reason}`)
        if (size < 40) expect(proof.map(hex)).toEqual(PATH(index, entries.slice(0, size)).map(hex))
      }
    }
  })

  it("is that of the RFC's recursion for random trees to 5,000 entries", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.nat(), (size, place) => {
        const index = place % size
        const claim = inclusionClaim(index, size)
        expect(claim.proof.map(hex)).toEqual(PATH(index, entries.slice(0, size)).map(hex))
        expect(verifyInclusion(claim)).toEqual({ ok: true })
      }),
      { numRuns: 15 },
    )
  })

  it('with any one byte changed is refused', () => {
    let tried = 0
    for (const [index, size] of [
      [0, 2],
      [3, 7],
      [63, 65],
      [64, 65],
      [100, 130],
      [1999, 4097],
      [4096, 4097],
    ] as const) {
      const claim = inclusionClaim(index, size)
      for (const proof of withOneByteChanged(claim.proof)) {
        expect(verifyInclusion({ ...claim, proof }).ok).toBe(false)
        tried += 1
      }
      for (const [root] of withOneByteChanged([claim.root])) {
        expect(verifyInclusion({ ...claim, root: root! }).ok).toBe(false)
      }
      for (const [leaf] of withOneByteChanged([claim.leafHash])) {
        expect(verifyInclusion({ ...claim, leafHash: leaf! }).ok).toBe(false)
      }
    }
    expect(tried).toBeGreaterThan(1000)
  })

  it('is refused for every other index, and every size that asks for another way', () => {
    for (let size = 1; size <= 40; size++) {
      for (let index = 0; index < size; index++) {
        const claim = inclusionClaim(index, size)
        for (let other = 0; other <= 40; other++) {
          if (other !== index) expect(verifyInclusion({ ...claim, index: other }).ok).toBe(false)
        }
        expect(verifyInclusion({ ...claim, size: size * 2 + 1 }).ok).toBe(false)
      }
    }
  })

  it('holds for sizes to 2^53, where 32 bits of an index prove nothing', () => {
    fc.assert(
      fc.property(fc.bigInt(2n ** 33n, 2n ** 53n - 1n), fc.bigInt(0n, 2n ** 53n), fc.nat(), (size, place, seed) => {
        const index = place % size
        const leaf = leafHash(Buffer.from('far out'))
        const { proof, root } = inventInclusion(index, size, leaf, drawFrom(seed))
        const claim = { leafHash: leaf, index: Number(index), size: Number(size), root, proof }

        expect(verifyInclusion(claim)).toEqual({ ok: true })
        const shifted = index >= 2n ** 32n ? index - 2n ** 32n : index + 2n ** 32n
        expect(verifyInclusion({ ...claim, index: Number(shifted) }).ok).toBe(false)
      }),
      { numRuns: 200 },
    )
  })
})

describe('consistency proof', () => {
  it(`is accepted for every pair of sizes to ${EVERY_SIZE_MAX}, and is that of the RFC's recursion`, () => {
    for (let second = 0; second <= EVERY_SIZE_MAX; second++) {
      for (let first = 0; first <= second; first++) {
        const proof = consistencyProof(leaves, first, second)
        const claim = { first, second, firstRoot: roots[first]!, secondRoot: roots[second]!, proof }
        const verdict = verifyConsistency(claim)
        if (!verdict.ok) throw new Error(`sizes ${first}, ${second}: ${verdict.reason}`)
        if (second < 40 && first > 0 && first < second) {
          expect(proof.map(hex)).toEqual(PROOF(first, entries.slice(0, second)).map(hex))
        }
      }
    }
    expect(hex(roots[EVERY_SIZE_MAX]!)).toBe(hex(MTH(entries.slice(0, EVERY_SIZE_MAX))))
  })

  it("is that of the RFC's recursion for random trees to 5,000 entries", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 5000 }), fc.nat(), (second, place) => {
        const first = 1 + (place % (second - 1))
        const claim = consistencyClaim(first, second)
        expect(claim.proof.map(hex)).toEqual(PROOF(first, entries.slice(0, second)).map(hex))
        expect(verifyConsistency(claim)).toEqual({ ok: true })
      }),
      { numRuns: 15 },
    )
  })

  it('with any one byte changed is refused', () => {
    let tried = 0
    for (const [first, second] of [
      [1, 2],
      [3, 7],
      [4, 8],
      [5, 8],
      [6, 8],
      [64, 65],
      [65, 130],
      [2000, 4097],
      [4096, 4097],
    ] as const) {
      const claim = consistencyClaim(first, second)
      for (const proof of withOneByteChanged(claim.proof)) {
        expect(verifyConsistency({ ...claim, proof }).ok).toBe(false)
        tried += 1
      }
      for (const [root] of withOneByteChanged([claim.firstRoot])) {
        expect(verifyConsistency({ ...claim, firstRoot: root! }).ok).toBe(false)
      }
      for (const [root] of withOneByteChanged([claim.secondRoot])) {
        expect(verifyConsistency({ ...claim, secondRoot: root! }).ok).toBe(false)
      }
    }
    expect(tried).toBeGreaterThan(1000)
  })

  it('is refused for a second size that asks for a longer way', () => {
    for (let second = 2; second <= 40; second++) {
      for (let first = 1; first < second; first++) {
        const claim = consistencyClaim(first, second)
        expect(verifyConsistency({ ...claim, second: second * 2 + 1 })).toMatchObject({
          reason: expect.stringContaining('too short'),
        })
      }
    }
  })

  it('does not exist for a history in which any one earlier entry was changed, removed or put in', () => {
    const second = 33
    for (let first = 1; first < second; first++) {
      const firstRoot = roots[first]!
      for (let at = 0; at < first; at++) {
        const forger = leafHash(Buffer.from('forged'))
        for (const forged of [leaves.slice(0, second).with(at, forger), leaves.slice(0, second + 1).toSpliced(at, 1)]) {
          const claim = { first, second, firstRoot, secondRoot: merkleRoot(forged.slice(0, second)) }
          const fromForged = consistencyProof(forged, first, second)
          const fromTrue = consistencyProof(leaves, first, second)
          expect(verifyConsistency({ ...claim, proof: fromForged }).ok).toBe(false)
          expect(verifyConsistency({ ...claim, proof: fromTrue }).ok).toBe(false)
        }
      }
    }
  })

  it('holds for sizes to 2^53', () => {
    fc.assert(
      fc.property(fc.bigInt(2n ** 33n, 2n ** 53n - 1n), fc.bigInt(0n, 2n ** 53n), fc.nat(), (second, place, seed) => {
        const first = 1n + (place % (second - 1n))
        const draw = drawFrom(seed)
        const made = inventConsistency(first, second, draw(), draw)
        const claim = {
          first: Number(first),
          second: Number(second),
          firstRoot: made.first,
          secondRoot: made.second,
          proof: made.proof,
        }

        expect(verifyConsistency(claim)).toEqual({ ok: true })
        expect(verifyConsistency({ ...claim, proof: made.proof.slice(0, -1) }).ok).toBe(false)
        expect(verifyConsistency({ ...claim, proof: [...made.proof, draw()] }).ok).toBe(false)
      }),
      { numRuns: 200 },
    )
  })
})

describe('whatever is given as a proof', () => {
  const anyNumber = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.maxSafeInteger(),
    fc.constantFrom(0, 1, 2, -0, 2 ** 53, 2 ** 64, Number.MAX_VALUE, Number.POSITIVE_INFINITY, Number.NaN),
  )
  const anyBytes = fc.oneof(
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    fc.uint8Array({ maxLength: 70 }),
    fc.constantFrom(...leaves.slice(0, 4), roots[0]!, roots[4]!),
  )

  it('is answered with a verdict and its reason, never with an exception', () => {
    fc.assert(
      fc.property(
        anyNumber,
        anyNumber,
        anyBytes,
        anyBytes,
        fc.array(anyBytes, { maxLength: 70 }),
        (a, b, x, y, proof) => {
          const inclusion = verifyInclusion({ leafHash: x, index: a, size: b, root: y, proof })
          const consistency = verifyConsistency({ first: a, second: b, firstRoot: x, secondRoot: y, proof })
          for (const verdict of [inclusion, consistency]) {
            if (!verdict.ok) expect(verdict.reason).toMatch(/^[a-z].*[^.]$/)
          }
          expect(inclusion.ok && !(a < b)).toBe(false)
        },
      ),
      { numRuns: 3000 },
    )
  })

  it('is refused for what it is when one of its hashes has any other length', () => {
    const inclusion = inclusionClaim(3, 7)
    const consistency = consistencyClaim(3, 7)
    const reason = expect.stringContaining('of 32 bytes')
    for (const length of [0, 1, 31, 33, 64, 65, 100]) {
      const wrong = new Uint8Array(length)
      for (let at = 0; at < inclusion.proof.length; at++) {
        expect(verifyInclusion({ ...inclusion, proof: inclusion.proof.with(at, wrong) })).toMatchObject({ reason })
      }
      for (let at = 0; at < consistency.proof.length; at++) {
        expect(verifyConsistency({ ...consistency, proof: consistency.proof.with(at, wrong) })).toMatchObject({
          reason,
        })
      }
      for (const name of ['leafHash', 'root']) {
        expect(verifyInclusion({ ...inclusion, [name]: wrong })).toMatchObject({ reason })
      }
      for (const name of ['firstRoot', 'secondRoot']) {
        expect(verifyConsistency({ ...consistency, [name]: wrong })).toMatchObject({ reason })
      }
    }
  })

  it('costs no more than the sizes allow, though it be a million hashes long', () => {
    const long: Uint8Array[] = new Array(1_000_000).fill(leaves[0])
    const claim = { first: 3, second: 2 ** 53 - 1, firstRoot: roots[3]!, secondRoot: roots[4]!, proof: long }

    expect(verifyConsistency(claim)).toMatchObject({ ok: false, reason: expect.stringContaining('too long') })
    const inclusion = { leafHash: leaves[0]!, index: 2, size: 2 ** 53 - 1, root: roots[4]!, proof: long }
    expect(verifyInclusion(inclusion)).toMatchObject({ ok: false, reason: expect.stringContaining('too long') })
  })
})
