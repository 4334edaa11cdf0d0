/**
 * Writes vectors/inclusion.json and vectors/consistency.json: good proofs from the reference implementation, and for
 * each kind of damage a bad one. Any language can run them: hashes in lower-case hexadecimal, `accepted` is the answer
 * wanted. The tree is the one that implementations of RFC 6962 have in common (vectors/roots.json).
 *
 *     node launch.mjs test/repository/ledger/make-vectors.ts
 *
 * They were written once. Running it again must change nothing but their layout, which `npm run format` gives back: a
 * test compares.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { MTH, PATH, PROOF } from './reference.ts'

export interface InclusionVector {
  readonly description: string
  readonly accepted: boolean
  readonly leafHash: string
  readonly index: number
  readonly size: number
  readonly root: string
  readonly proof: readonly string[]
}

export interface ConsistencyVector {
  readonly description: string
  readonly accepted: boolean
  readonly first: number
  readonly second: number
  readonly firstRoot: string
  readonly secondRoot: string
  readonly proof: readonly string[]
}

export interface RootVectors {
  readonly entries: readonly string[]
  /** The root for 0, 1, 2 … entries. */
  readonly roots: readonly string[]
}

const OTHER_HASH = 'ab'.repeat(32)

export function vectorFile(name: string): URL {
  return new URL(`./vectors/${name}`, import.meta.url)
}

export function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(vectorFile(name), 'utf8'))
}

export function makeInclusionVectors({ entries }: RootVectors): InclusionVector[] {
  const data = entries.map((text) => Buffer.from(text, 'hex'))
  const vectors: InclusionVector[] = []
  for (let size = 1; size <= data.length; size++) {
    for (let index = 0; index < size; index++) {
      const tree = data.slice(0, size)
      const good: InclusionVector = {
        description: `entry ${index} of ${size}`,
        accepted: true,
        leafHash: hex(MTH([data[index]!])),
        index,
        size,
        root: hex(MTH(tree)),
        proof: PATH(index, tree).map(hex),
      }
      vectors.push(good)
      if (size === 5 || size === 8) vectors.push(...badInclusions(good))
    }
  }
  return vectors
}

function badInclusions(good: InclusionVector): InclusionVector[] {
  const bad = (description: string, change: Partial<InclusionVector>): InclusionVector => ({
    ...good,
    ...change,
    accepted: false,
    description: `${good.description}: ${description}`,
  })
  const { index, size, proof } = good
  return [
    bad('index one lower', { index: index - 1 }),
    bad('index one higher', { index: index + 1 }),
    bad('index is the size', { index: size }),
    bad('index is not whole', { index: index + 0.5 }),
    bad('size 0', { size: 0 }),
    bad('size doubled', { size: size * 2 }),
    bad('size halved', { size: Math.floor(size / 2) }),
    bad('size beyond 2^53', { size: 2 ** 60 }),
    bad('another leaf', { leafHash: OTHER_HASH }),
    bad('another root', { root: OTHER_HASH }),
    bad('root cut short', { root: good.root.slice(2) }),
    bad('leaf hash cut short', { leafHash: good.leafHash.slice(2) }),
    bad('no proof', { proof: [] }),
    bad('lowest hash missing', { proof: proof.slice(1) }),
    bad('highest hash missing', { proof: proof.slice(0, -1) }),
    bad('the root appended', { proof: [...proof, good.root] }),
    bad('a hash put first', { proof: [OTHER_HASH, ...proof] }),
    bad('proof is the root alone', { proof: [good.root] }),
    bad('a hash cut short', { proof: proof.map((text, at) => (at === 0 ? text.slice(2) : text)) }),
    bad('an empty hash', { proof: proof.map((text, at) => (at === 0 ? '' : text)) }),
    ...proof.map((text, at) => bad(`one bit of hash ${at} flipped`, { proof: proof.with(at, flipped(text)) })),
    ...(proof.length > 1 ? [bad('hashes in reverse', { proof: proof.toReversed() })] : []),
  ]
}

export function makeConsistencyVectors({ entries }: RootVectors): ConsistencyVector[] {
  const data = entries.map((text) => Buffer.from(text, 'hex'))
  const vectors: ConsistencyVector[] = []
  for (let second = 0; second <= data.length; second++) {
    for (let first = 0; first <= second; first++) {
      const tree = data.slice(0, second)
      const needsProof = first > 0 && first < second
      const good: ConsistencyVector = {
        description: `${first} then ${second}`,
        accepted: true,
        first,
        second,
        firstRoot: hex(MTH(data.slice(0, first))),
        secondRoot: hex(MTH(tree)),
        proof: needsProof ? PROOF(first, tree).map(hex) : [],
      }
      vectors.push(good)
      if (second === 5 || second === 8) vectors.push(...badConsistencies(good, needsProof))
    }
  }
  return vectors
}

function badConsistencies(good: ConsistencyVector, needsProof: boolean): ConsistencyVector[] {
  const bad = (description: string, change: Partial<ConsistencyVector>): ConsistencyVector => ({
    ...good,
    ...change,
    accepted: false,
    description: `${good.description}: ${description}`,
  })
  const { first, second, proof } = good
  const always = [
    bad('another first root', { firstRoot: OTHER_HASH }),
    bad('a hash appended', { proof: [...proof, OTHER_HASH] }),
    bad('a hash put first', { proof: [OTHER_HASH, ...proof] }),
    bad('first root cut short', { firstRoot: good.firstRoot.slice(2) }),
    bad('first size below 0', { first: -1 }),
    bad('second size is not whole', { second: second + 0.5 }),
    bad('second size beyond 2^53', { second: 2 ** 60, ...(needsProof ? {} : { proof: [OTHER_HASH] }) }),
  ]
  if (!needsProof) return always
  return [
    ...always,
    bad('another second root', { secondRoot: OTHER_HASH }),
    bad('second root cut short', { secondRoot: good.secondRoot.slice(2) }),
    bad('sizes exchanged', { first: second, second: first }),
    bad('sizes and roots exchanged', {
      first: second,
      second: first,
      firstRoot: good.secondRoot,
      secondRoot: good.firstRoot,
    }),
    bad('first root in place of the second', { secondRoot: good.firstRoot }),
    bad('second root in place of the first', { firstRoot: good.secondRoot }),
    bad('no proof', { proof: [] }),
    bad('lowest hash missing', { proof: proof.slice(1) }),
    bad('highest hash missing', { proof: proof.slice(0, -1) }),
    bad('proof is the roots', { proof: [good.firstRoot, good.secondRoot] }),
    bad('an empty hash', { proof: proof.with(0, '') }),
    ...proof.map((text, at) => bad(`one bit of hash ${at} flipped`, { proof: proof.with(at, flipped(text)) })),
    ...(proof.length > 1 ? [bad('hashes in reverse', { proof: proof.toReversed() })] : []),
  ]
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function flipped(text: string): string {
  return (Number.parseInt(text[0]!, 16) ^ 1).toString(16) + text.slice(1)
}

if (argv[1] === import.meta.filename) {
  const roots = readVectors<RootVectors>('roots.json')
  const write = (name: string, vectors: readonly object[]): void =>
    writeFileSync(vectorFile(name), `[\n${vectors.map((vector) => JSON.stringify(vector)).join(',\n')}\n]\n`)
  write('inclusion.json', makeInclusionVectors(roots))
  write('consistency.json', makeConsistencyVectors(roots))
}
