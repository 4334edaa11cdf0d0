/**
 * Leaves on their way from the thread that built them: all their bytes in two pieces of memory that change hands, where
 * a message of leaves as they are would copy three pieces for each, and for each small one the pool that it lies in.
 *
 *     small      digest, last key, digest, last key, …
 *     payloads   of leaves that are new, one behind the other
 */
import { DIGEST_BYTES } from '../crypto/provider.ts'
import type { ChunkPlace } from '../tree/node-codec.ts'
import type { BuiltLeaf } from '../tree/tree-writer.ts'

export interface LeafBatch {
  readonly small: Uint8Array<ArrayBuffer>
  readonly payloads: Uint8Array<ArrayBuffer>
  /** For each leaf: rows, bytes of text, bytes of its last key, and those of its payload or NO_PAYLOAD. */
  readonly figures: Float64Array<ArrayBuffer>
  /** For each leaf; null as a whole when none is stored already. */
  readonly places: readonly (ChunkPlace | null)[] | null
}

const FIGURES = 4
const NO_PAYLOAD = -1

export function packLeaves(leaves: readonly BuiltLeaf[]): LeafBatch {
  const smallBytes = leaves.reduce((sum, leaf) => sum + DIGEST_BYTES + leaf.lastKey.length, 0)
  const payloadBytes = leaves.reduce((sum, leaf) => sum + (leaf.payload?.length ?? 0), 0)
  const small = new Uint8Array(smallBytes)
  const payloads = new Uint8Array(payloadBytes)
  const figures = new Float64Array(FIGURES * leaves.length)
  let smallAt = 0
  let payloadAt = 0
  for (const [index, { digest, lastKey, rows, textBytes, payload }] of leaves.entries()) {
    small.set(digest, smallAt)
    small.set(lastKey, smallAt + DIGEST_BYTES)
    smallAt += DIGEST_BYTES + lastKey.length
    if (payload) payloads.set(payload, payloadAt)
    payloadAt += payload?.length ?? 0
    figures.set([rows, textBytes, lastKey.length, payload?.length ?? NO_PAYLOAD], FIGURES * index)
  }
  const places = leaves.some((leaf) => leaf.place) ? leaves.map((leaf) => leaf.place) : null
  return { small, payloads, figures, places }
}

/** What a message gives away with the batch. */
export function batchMemory({ small, payloads, figures }: LeafBatch): ArrayBuffer[] {
  return [small.buffer, payloads.buffer, figures.buffer]
}

/**
 * Payloads are views, and keep those of the whole batch: they are used at once. Digests and keys stay in trees for long,
 * and have the small piece between them.
 */
export function* unpackLeaves({ small, payloads, figures, places }: LeafBatch): Generator<BuiltLeaf> {
  let smallAt = 0
  let payloadAt = 0
  for (let index = 0; index * FIGURES < figures.length; index += 1) {
    const [rows, textBytes, keyBytes, payloadBytes] = figures.subarray(index * FIGURES) as unknown as Figures
    const keyAt = smallAt + DIGEST_BYTES
    const digest = small.subarray(smallAt, keyAt)
    const lastKey = small.subarray(keyAt, keyAt + keyBytes)
    smallAt = keyAt + keyBytes
    const payload = payloadBytes === NO_PAYLOAD ? null : payloads.subarray(payloadAt, payloadAt + payloadBytes)
    payloadAt += payload?.length ?? 0
    yield { digest, lastKey, rows, textBytes, payload, place: places?.[index] ?? null }
  }
}

type Figures = readonly [rows: number, textBytes: number, keyBytes: number, payloadBytes: number]
