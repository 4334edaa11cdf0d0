/**
 * One pack, every byte of it: its hash, its directory, every chunk; and every leaf that a tree expects in it, as it was
 * sealed or down to its rows. Runs in a thread (workers/scrub-pack.ts) and knows nothing of snapshots.
 *
 * A leaf is looked for where its tree says it is, whatever became of the directory: what can still be read is not to
 * be called lost.
 */
import { hash } from 'node:crypto'
import { Failure } from '../errors.ts'
import { OpenedLeaf } from '../repository/kernel/opened-leaf.ts'
import type { RepositorySecrets } from '../repository/keyring.ts'
import { packKey } from '../repository/layout.ts'
import { ChunkReader, type OpenedPack, openPack } from '../repository/pack/chunk-reader.ts'
import type { PackedChunk } from '../repository/pack/pack-format.ts'
import type { PackRecord } from '../repository/pack/pack-writer.ts'
import type { Store } from '../repository/store/contract.ts'
import { objectTooShort } from '../repository/store/store-failure.ts'
import { type KeyHash, keyHash } from '../repository/tree/boundary.ts'
import type { Rows } from '../repository/tree/rows.ts'
import { leafRequest, TreeReader } from '../repository/tree/tree-reader.ts'
import { damageOf, type FindingKind } from './finding.ts'
import { decodeExpectations, type LeafExpectation, type LeafForm } from './leaf-expectations.ts'
import { leafProblem, openedLeafProblem } from './leaf-rows.ts'
import { locatorSum, openedLocatorSum } from './locator-sum.ts'

/**
 * *bytes*: every byte is what was written, and every leaf is the chunk that was sealed under its digest. *rows*: its
 * rows are decoded, too, and every digest made of them anew, which trusts no writer.
 */
export type ScrubDepth = 'bytes' | 'rows'

export interface ScrubTask {
  readonly pack: PackRecord
  readonly depth: ScrubDepth
  readonly forms: readonly LeafForm[]
  /** As `LeafExpectations.of` gives them. */
  readonly expectations: Uint8Array
  readonly secrets: RepositorySecrets
}

export interface PackProblem {
  /** Of the damaged chunk; null when it is the pack as a whole. */
  readonly offset: number | null
  readonly kind: FindingKind
  readonly message: string
}

export interface PackReport {
  readonly problems: readonly PackProblem[]
  readonly bytes: number
  readonly chunks: number
  /** That are whole. */
  readonly leaves: number
  readonly rows: number
  readonly textBytes: number
  /** Of every leaf that is whole, in order of offsets: its locator sum. */
  readonly leafOffsets: Float64Array
  readonly leafSums: BigUint64Array
}

/** @throws object-missing, store-… */
export async function scrubPack(store: Store, task: ScrubTask): Promise<PackReport> {
  const { packId } = task.pack
  const stored = await store.get(packKey(packId))
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength)
  const problems: PackProblem[] = []
  const found = hash('sha256', bytes, 'hex')
  if (found !== task.pack.sha256) {
    const message = `pack ${packId} has SHA-256 ${found}, its index says ${task.pack.sha256}`
    problems.push({ offset: null, kind: 'pack-damaged', message })
  }
  if (task.depth === 'bytes') return { bytes: bytes.length, ...authenticateAll(task, bytes, problems), problems }
  const leaves = await scrubLeaves(task, bytes, problems)
  const chunks = scrubChunks(task, bytes, leaves.seen, problems)
  return { problems, bytes: bytes.length, chunks, ...leaves.report }
}

/** Every chunk is what was sealed, and every leaf of a tree is one of them, in its place and under its digest. */
function authenticateAll(
  task: ScrubTask,
  bytes: Buffer,
  problems: PackProblem[],
): Omit<PackReport, 'problems' | 'bytes'> {
  const { packId } = task.pack
  const sealed = new Map<number, PackedChunk>()
  const chunks = eachChunk(task, bytes, problems, (pack, chunk) => {
    pack.authenticate(chunk)
    sealed.set(chunk.offset, chunk)
  })
  const damaged = new Set(problems.map(({ offset }) => offset))
  let rows = 0
  let textBytes = 0
  const seen = new Set<number>()
  for (const { entry } of decodeExpectations(task.expectations, packId)) {
    const { offset, storedBytes } = entry.place
    const chunk = sealed.get(offset)
    const isThere = chunk?.storedBytes === storedBytes && Buffer.compare(chunk.digest, entry.digest) === 0
    if (!isThere && !damaged.has(offset)) {
      problems.push({
        offset,
        kind: 'chunk-damaged',
        message: `pack ${packId} has another chunk at ${offset} than its tree names`,
      })
    }
    if (isThere && !seen.has(offset)) {
      rows += entry.rows
      textBytes += entry.textBytes
      seen.add(offset)
    }
  }
  return { chunks, leaves: seen.size, rows, textBytes, leafOffsets: new Float64Array(), leafSums: new BigUint64Array() }
}

async function scrubLeaves(task: ScrubTask, bytes: Buffer, problems: PackProblem[]) {
  const { packId } = task.pack
  const chunks = new ChunkReader(new OnePackStore(packId, bytes), task.secrets.dataKeys)
  const readers = task.forms.map(({ spec }) => new TreeReader(spec, chunks, task.secrets))
  const { cutSeed } = task.secrets
  const leafTask: LeafTask = { chunks, cutSeed, cutHash: keyHash(cutSeed, 0) }
  const seen = new Set<number>()
  const sums = new Map<number, bigint>()
  let rows = 0
  let textBytes = 0
  for (const expected of decodeExpectations(task.expectations, packId)) {
    const { offset } = expected.entry.place
    const form = task.forms[expected.form]!
    const outcome = await scrubLeaf(readers[expected.form]!, form, expected, leafTask)
    if ('problem' in outcome) problems.push({ offset, ...outcome.problem })
    else {
      sums.set(offset, outcome.sum)
      if (!seen.has(offset)) {
        rows += expected.entry.rows
        textBytes += expected.entry.textBytes
      }
    }
    seen.add(offset)
  }
  const whole = [...sums].sort(([a], [b]) => a - b)
  const leafOffsets = Float64Array.from(whole, ([offset]) => offset)
  const leafSums = BigUint64Array.from(whole, ([, sum]) => sum)
  return { seen, report: { leaves: whole.length, rows, textBytes, leafOffsets, leafSums } }
}

interface LeafTask {
  readonly chunks: ChunkReader
  readonly cutSeed: bigint
  readonly cutHash: KeyHash
}

type LeafOutcome =
  | { readonly sum: bigint }
  | { readonly problem: { readonly kind: FindingKind; readonly message: string } }

async function scrubLeaf(
  reader: TreeReader,
  form: LeafForm,
  expected: LeafExpectation,
  task: LeafTask,
): Promise<LeafOutcome> {
  try {
    const encoded = await task.chunks.read(leafRequest(expected.entry))
    const leaf = reader.openLeaf(expected.entry, encoded, form.summed === 'derived' ? 'locator' : 'rows')
    const { problem, sum } =
      leaf instanceof OpenedLeaf ? lookAt(form, leaf, expected, task) : lookPlainly(form, leaf, expected, task)
    return problem === null
      ? { sum: sum() }
      : { problem: { kind: 'leaf-rows', message: `a leaf of ${form.spec.name} ${problem}` } }
  } catch (error) {
    // Lines of another number of fields decrypt and decode: a source never sent them.
    if (error instanceof Failure && error.code === 'source-failed') {
      return { problem: { kind: 'leaf-rows', message: error.message } }
    }
    return { problem: { kind: 'chunk-damaged', message: damageOf(error).message } }
  }
}

function lookAt(form: LeafForm, leaf: OpenedLeaf, expected: LeafExpectation, { cutSeed }: LeafTask) {
  return {
    problem: openedLeafProblem(leaf, expected, cutSeed),
    sum: () => openedLocatorSum(form, leaf, cutSeed),
  }
}

function lookPlainly(form: LeafForm, rows: Rows, expected: LeafExpectation, { cutHash, cutSeed }: LeafTask) {
  return { problem: leafProblem(form.spec, rows, expected, cutHash), sum: () => locatorSum(form, rows, cutSeed) }
}

/** The chunks that no leaf of a tree stands for: nodes, and what only forgotten snapshots needed. */
function scrubChunks(task: ScrubTask, bytes: Buffer, seen: ReadonlySet<number>, problems: PackProblem[]): number {
  return eachChunk(task, bytes, problems, (pack, chunk) => {
    if (!seen.has(chunk.offset)) pack.open(chunk)
  })
}

/** @returns how many chunks the pack lists */
function eachChunk(
  task: ScrubTask,
  bytes: Buffer,
  problems: PackProblem[],
  look: (pack: OpenedPack, chunk: PackedChunk) => void,
): number {
  const { packId } = task.pack
  try {
    const pack = openPack(packId, bytes, task.secrets.dataKeys)
    const { chunks } = pack
    if (chunks.length !== task.pack.chunks) {
      const message = `pack ${packId} lists ${chunks.length} chunks, its index says ${task.pack.chunks}`
      problems.push({ offset: null, kind: 'pack-damaged', message })
    }
    for (const chunk of chunks) {
      try {
        look(pack, chunk)
      } catch (error) {
        problems.push({ offset: chunk.offset, kind: 'chunk-damaged', message: damageOf(error).message })
      }
    }
    return chunks.length
  } catch (error) {
    problems.push({ offset: null, kind: 'pack-damaged', message: damageOf(error).message })
    return 0
  }
}

/** A pack in memory, for a reader of chunks. */
class OnePackStore implements Store {
  readonly url = 'memory:'
  readonly capabilities = { conditionalPut: true, durability: 'none' }
  readonly #key: string
  readonly #bytes: Buffer

  constructor(packId: string, bytes: Buffer) {
    this.#key = packKey(packId)
    this.#bytes = bytes
  }

  async getRange(_key: string, start: number, end: number): Promise<Uint8Array> {
    if (end > this.#bytes.length) throw objectTooShort(this.#key, { end, bytes: this.#bytes.length })
    return this.#bytes.subarray(start, end)
  }

  async get(): Promise<Uint8Array> {
    return this.#bytes
  }

  async stat(): Promise<{ key: string; bytes: number }> {
    return { key: this.#key, bytes: this.#bytes.length }
  }

  async *list(): AsyncGenerator<{ key: string; bytes: number }> {
    yield await this.stat()
  }

  async put(): Promise<void> {
    throw new Failure('defect', 'assertion failed: a pack that is scrubbed is not written to')
  }

  async delete(): Promise<void> {
    await this.put()
  }

  async close(): Promise<void> {}
}
