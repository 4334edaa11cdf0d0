/**
 * Roots and compact ranges against the RFC's own recursion (reference.ts), for every small size and random large ones.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CompactRange, leafHash, merkleRoot, nodeHash, subtreeRoot } from '../../../src/repository/ledger/merkle.ts'
import { type RootVectors, readVectors } from './make-vectors.ts'
import { MTH } from './reference.ts'

const EVERY_SIZE_MAX = 130

function entriesOf(count: number, seed = 0): Buffer[] {
  return Array.from({ length: count }, (_, index) => Buffer.from(`entry ${seed} ${index}`))
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

describe('Merkle root', () => {
  it('is the published one for every size of the tree that RFC 6962 implementations share', () => {
    const { entries, roots } = readVectors<RootVectors>('roots.json')
    const leaves = entries.map((text) => leafHash(Buffer.from(text, 'hex')))

    const computed = roots.map((_, size) => hex(merkleRoot(leaves.slice(0, size))))

    expect(computed).toEqual(roots)
  })

  it(`is that of the RFC's recursion for every size to ${EVERY_SIZE_MAX}`, () => {
    const entries = entriesOf(EVERY_SIZE_MAX)
    const leaves = entries.map(leafHash)

    for (let size = 0; size <= EVERY_SIZE_MAX; size++) {
      expect(hex(merkleRoot(leaves.slice(0, size)))).toBe(hex(MTH(entries.slice(0, size))))
    }
  })

  it("is that of the RFC's recursion for random sizes to 5,000, and for any part of the leaves", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5000 }), fc.nat(5000), fc.nat(), (size, cut, seed) => {
        const entries = entriesOf(size, seed)
        const start = Math.min(cut, size)
        const leaves = entries.map(leafHash)
        expect(hex(merkleRoot(leaves))).toBe(hex(MTH(entries)))
        expect(hex(subtreeRoot(leaves, start, size))).toBe(hex(MTH(entries.slice(start))))
      }),
      { numRuns: 12 },
    )
  })

  it('leaves the given hashes as they were', () => {
    const leaves = entriesOf(7).map(leafHash)
    const before = leaves.map(hex)

    merkleRoot(leaves)

    expect(leaves.map(hex)).toEqual(before)
  })

  it('refuses what is not a hash', () => {
    expect(() => merkleRoot([new Uint8Array(31)])).toThrow('a hash has 32 bytes, got 31')
  })
})

describe('leaf hash', () => {
  it('is SHA-256 of a zero byte and the entry, however long the entry is', () => {
    for (const length of [0, 1, 31, 2047, 2048, 2049, 100_000]) {
      const entry = Buffer.alloc(length, 0x5a)
      expect(hex(leafHash(entry))).toBe(hex(MTH([entry])))
    }
  })

  it('of two joined hashes is not their node hash', () => {
    const [left, right] = entriesOf(2).map(leafHash)

    expect(hex(leafHash(Buffer.concat([left!, right!])))).not.toBe(hex(nodeHash(left!, right!)))
  })

  it('is not changed by later hashes', () => {
    const first = leafHash(Buffer.from('a'))
    const node = nodeHash(first, first)
    const before = [hex(first), hex(node)]

    nodeHash(leafHash(Buffer.from('b')), leafHash(Buffer.from('c')))

    expect([hex(first), hex(node)]).toEqual(before)
  })
})

describe('compact range', () => {
  it(`has the root of the whole tree after each of ${EVERY_SIZE_MAX} appends, also when stored and read in between`, () => {
    const leaves = entriesOf(EVERY_SIZE_MAX).map(leafHash)
    let range = new CompactRange()
    expect(hex(range.root())).toBe(hex(MTH([])))

    for (const [index, leaf] of leaves.entries()) {
      range.append(leaf)
      expect(hex(range.root())).toBe(hex(merkleRoot(leaves.slice(0, index + 1))))
      range = CompactRange.fromState(JSON.parse(JSON.stringify(range.toState())))
    }
    expect(range.size).toBe(EVERY_SIZE_MAX)
  })

  it('holds as many hashes as its size has binary ones', () => {
    const range = new CompactRange()
    for (const leaf of entriesOf(1000).map(leafHash)) {
      range.append(leaf)
      expect(range.toState().hashes.length).toBe(range.size.toString(2).replaceAll('0', '').length)
    }
  })

  it('does not keep the caller’s buffer', () => {
    const range = new CompactRange()
    const leaf = Uint8Array.from(leafHash(Buffer.from('a')))
    range.append(leaf)
    const root = hex(range.root())

    leaf.fill(0)
    range.root().fill(0)

    expect(hex(range.root())).toBe(root)
  })

  it('is refused when its stored state cannot be one', () => {
    const hash = 'ab'.repeat(32)
    const impossible = [
      { size: 1, hashes: [] },
      { size: 2, hashes: [hash, hash] },
      { size: -1, hashes: [] },
      { size: 1.5, hashes: [hash] },
      { size: Number.NaN, hashes: [] },
      { size: 2 ** 53, hashes: [hash] },
      { size: 1, hashes: [hash.slice(2)] },
      { size: 1, hashes: [`${hash}00`] },
      { size: 1, hashes: [hash.toUpperCase()] },
      { size: 1, hashes: [`${hash}\n`] },
    ]
    for (const state of impossible) {
      expect(() => CompactRange.fromState(state)).toThrow(expect.objectContaining({ code: 'repository-damaged' }))
    }
    expect(CompactRange.fromState({ size: 2 ** 40, hashes: [hash] }).size).toBe(2 ** 40)
  })
})
