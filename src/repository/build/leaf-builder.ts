/**
 * Cuts rows in order into leaves, digests them, and encodes those that are not stored yet. What it makes depends on
 * the rows alone, not on the blocks in which they came.
 */
import { assert } from '../../errors.ts'
import { packPayload, unpackPayload } from '../pack/chunk.ts'
import { type CutRule, isCut, type KeyHash, keyHash, LEAF_CUT } from '../tree/boundary.ts'
import { type DigestKeys, TreeDigester } from '../tree/digest.ts'
import { decodeLeaf, encodeLeaf } from '../tree/leaf-codec.ts'
import type { ChunkPlace } from '../tree/node-codec.ts'
import { type Rows, rowKey } from '../tree/rows.ts'
import type { TreeSpec } from '../tree/spec.ts'
import type { BuiltLeaf } from '../tree/tree-writer.ts'
import { joinRows } from './rows-builder.ts'

export interface LeafBuilderOptions {
  readonly spec: TreeSpec
  readonly keys: DigestKeys & { readonly cutSeed: bigint }
  /** Where a leaf of this last key and digest is stored already, or null. Asked in key order. */
  readonly findStored: (lastKey: Uint8Array, digest: Uint8Array) => Promise<ChunkPlace | null>
  /** False where only digests are wanted: leaves then have neither payload nor place. */
  readonly encode: boolean
  readonly cut?: CutRule
}

export class LeafBuilder {
  readonly #options: LeafBuilderOptions
  readonly #digester: TreeDigester
  readonly #hash: KeyHash
  readonly #cut: CutRule
  /** Rows since the last cut, and their bytes. */
  #pending: Rows | null = null
  #size = 0

  constructor(options: LeafBuilderOptions) {
    this.#options = options
    this.#digester = new TreeDigester(options.keys, options.spec.name)
    this.#hash = keyHash(options.keys.cutSeed, 0)
    this.#cut = options.cut ?? LEAF_CUT
  }

  /** Leaves that end within `block`. */
  async *add(block: Rows): AsyncGenerator<BuiltLeaf> {
    const known = this.#pending?.count ?? 0
    const rows = this.#pending ? joinRows(this.#pending, 0, block) : block
    let start = 0
    for (let row = known; row < rows.count; row += 1) {
      const bytes = rows.textStart[row + 1]! - rows.textStart[row]!
      this.#size += bytes
      if (!isCut(this.#cut, this.#size, bytes, this.#hash(rowKey(rows, row)))) continue
      yield await this.#leaf(rows, start, row + 1)
      start = row + 1
      this.#size = 0
    }
    this.#pending = start < rows.count ? joinRows(rows, start, EMPTY) : null
  }

  /** The last leaf, if any rows are left. */
  async *finish(): AsyncGenerator<BuiltLeaf> {
    const rows = this.#pending
    this.#pending = null
    if (rows) yield await this.#leaf(rows, 0, rows.count)
  }

  async #leaf(rows: Rows, start: number, end: number): Promise<BuiltLeaf> {
    const text = rows.text.subarray(rows.textStart[start]!, rows.textStart[end]!)
    const digest = this.#digester.leafDigest(rows, start, end)
    const lastKey = Uint8Array.from(rowKey(rows, end - 1))
    const leaf = { digest, lastKey, rows: end - start, textBytes: text.length }
    if (!this.#options.encode) return { ...leaf, payload: null, place: null }
    const place = await this.#options.findStored(lastKey, digest)
    return place ? { ...leaf, payload: null, place } : { ...leaf, payload: this.#encode(text, leaf.rows), place: null }
  }

  /** Encoded, then decoded again: an encoder that went wrong must fail the backup, not the restore (F27). */
  #encode(text: Buffer, rows: number): Uint8Array {
    const columns = this.#options.spec.fieldCount
    const payload = packPayload(encodeLeaf(text, rows, columns))
    const what = `a new leaf of ${this.#options.spec.name}`
    const decoded = decodeLeaf(unpackPayload(payload, what), { rows, columns, textBytes: text.length, what })
    assert(decoded.equals(text), `${what} decodes to what was encoded`)
    return payload
  }
}

const EMPTY: Rows = {
  count: 0,
  text: Buffer.alloc(0),
  textStart: new Uint32Array(1),
  keys: Buffer.alloc(0),
  keyStart: new Uint32Array(1),
  anchorBytes: new Uint32Array(0),
}
