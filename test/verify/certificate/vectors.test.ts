/**
 * What a certificate is reckoned with, against numbers that neither the issuer nor its verifier made: `make-vectors.py`
 * has them from the RFCs and exact fractions.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { canonicalBytes } from '../../../src/repository/canonical-json.ts'
import { inclusionProof } from '../../../src/repository/ledger/proof.ts'
import { upperBound } from '../../../src/verify/certificate/bound.ts'
import { type Draw, draw } from '../../../src/verify/certificate/sample.ts'
import {
  canonical,
  demandBound,
  leafHash,
  merkleRoot,
  rootOfPath,
} from '../../../src/verify/certificate/verify/verify.mjs'

interface Vectors {
  readonly trees: readonly { leaves: number; index: number; root: string; path: string[] }[]
  readonly draws: readonly (Draw & { numbers: number[] })[]
  readonly bounds: readonly { population: number; sample: number; failures: number; upperBound: number }[]
  readonly canonical: readonly { value: Parameters<typeof canonicalBytes>[0]; text: string }[]
}

const vectors: Vectors = JSON.parse(readFileSync(new URL('vectors.json', import.meta.url), 'utf8'))

describe('vectors made elsewhere', () => {
  it('of trees: the issuer makes these paths, and the verifier finds these roots', () => {
    for (const { leaves, index, root, path } of vectors.trees) {
      const hashes = Array.from({ length: leaves }, (_, row) => leafHash(Buffer.from(`row ${row}`)))
      const made = inclusionProof(hashes, index, leaves).map((hash) => Buffer.from(hash).toString('hex'))
      const found = rootOfPath(hashes[index]!, { index, size: leaves, path }, 'a vector')

      expect(made).toEqual(path)
      expect([merkleRoot(hashes).toString('hex'), found.toString('hex')]).toEqual([root, root])
    }
  })

  it('of draws', () => {
    for (const { numbers, ...wanted } of vectors.draws) expect(draw(wanted)).toEqual(numbers)
  })

  it('of bounds (F33): the issuer says these, and the verifier takes these and none beside them', () => {
    for (const { upperBound: bound, ...result } of vectors.bounds) {
      const shown = { statement: 'look-up', isDone: true, ...result }

      expect(upperBound(result)).toBe(bound)
      expect(() => demandBound({ ...shown, upperBound: bound })).not.toThrow()
      expect(() => demandBound({ ...shown, upperBound: bound + 1 })).toThrow('is not')
      expect(() => demandBound({ ...shown, upperBound: bound - 1 })).toThrow('is not')
    }
  })

  it('of canonical JSON (RFC 8785)', () => {
    for (const { value, text } of vectors.canonical) {
      expect([canonical(value), Buffer.from(canonicalBytes(value)).toString()]).toEqual([text, text])
    }
  })
})
