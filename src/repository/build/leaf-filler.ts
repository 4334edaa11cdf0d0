/**
 * One leaf after the other, from a kernel's merge: the kernel cuts, encodes and decodes; this side digests, compresses
 * and asks what is stored already. LeafBuilder (leaf-builder.ts) makes the same of Rows, and is what this is tested
 * against.
 */
import { assert } from '../../errors.ts'
import { sha256 } from '../crypto/provider.ts'
import { FILL, type Kernel } from '../kernel/kernel.ts'
import { LeafCodec } from '../kernel/leaf-codec.ts'
import { merkleRoot } from '../ledger/merkle.ts'
import { packPayload, unpackToView } from '../pack/chunk.ts'
import { LEAF_CUT } from '../tree/boundary.ts'
import { TreeDigester } from '../tree/digest.ts'
import type { BuiltLeaf } from '../tree/tree-writer.ts'
import { duplicateKey } from './duplicate-key.ts'
import type { LeafBuilderOptions } from './leaf-builder.ts'

/** Most leaves end well before the rule's maximum; a larger one gets more room. */
const TEXT_BYTES = 160 * 1024
const GROUPS = 1024
const GROUP_BYTES = 12
const ANCHOR_BYTES = 32 * 1024
const KEY_BYTES = 4096
/** 00 and the salt, which stand before a group's lines when these are digested. */
const GROUP_PREFIX_BYTES = 33

export type Filled = 'cut' | 'rows-end' | 'block-empty'

export class LeafFiller {
  readonly #kernel: Kernel
  readonly #options: LeafBuilderOptions
  readonly #digester: TreeDigester
  readonly #codec: LeafCodec
  /** Begins with 00. */
  readonly #prefix = Buffer.alloc(GROUP_PREFIX_BYTES)
  readonly #covered = Buffer.alloc(GROUP_PREFIX_BYTES)
  #text = 0
  #textBytes = TEXT_BYTES
  #groups = 0
  #groupsMax = GROUPS
  #anchorBytes = ANCHOR_BYTES
  #key = 0
  #keyBytes = KEY_BYTES

  /** Takes memory above what the kernel has laid out, and more of it as leaves need it. */
  constructor(kernel: Kernel, options: LeafBuilderOptions) {
    this.#kernel = kernel
    this.#options = options
    this.#digester = new TreeDigester(options.keys, options.spec.name)
    this.#codec = new LeafCodec(kernel, options.spec.fieldCount)
    const cut = options.cut ?? LEAF_CUT
    kernel.calls.beginTree()
    kernel.calls.setCut(BigInt.asIntN(64, options.keys.cutSeed), cut.scale, cut.min, cut.max)
    this.#takeTextRoom()
    this.#takeGroupRoom()
    this.#takeAnchorRoom()
    this.#takeKeyRoom()
  }

  /** Rows of the leaf so far. */
  get rows(): number {
    return this.#kernel.calls.leafRows()
  }

  begin(): void {
    this.#kernel.calls.beginLeaf()
  }

  /**
   * Takes rows from the merge until the leaf is cut, the merge has ended, or its least block needs other rows (or has to
   * be dropped), after which it goes on where it was.
   * @throws duplicate-key
   */
  fill(): Filled {
    for (;;) {
      const status = this.#kernel.calls.fillLeaf()
      if (status === FILL.cut) return 'cut'
      if (status === FILL.rowsEnd) return 'rows-end'
      if (status === FILL.blockEmpty) return 'block-empty'
      this.#makeRoom(status)
    }
  }

  /** The leaf that was filled; call it before the next is begun. @throws what `findStored` throws */
  async take(): Promise<BuiltLeaf> {
    const { calls } = this.#kernel
    const textBytes = calls.leafTextEnd() - this.#text
    const lastKey = Uint8Array.from(this.#kernel.bytes(this.#key, this.#key + calls.lastKeyBytes()))
    const digest = merkleRoot(this.#groupDigests(textBytes))
    const leaf = { digest, lastKey, rows: calls.leafRows(), textBytes }
    if (!this.#options.encode) return { ...leaf, payload: null, place: null }
    const place = await this.#options.findStored(lastKey, digest)
    return place
      ? { ...leaf, payload: null, place }
      : { ...leaf, payload: this.#encode(leaf.rows, textBytes), place: null }
  }

  #makeRoom(status: number): void {
    const { calls } = this.#kernel
    if (status === FILL.duplicateKey) throw duplicateKey(this.#options.spec.name)
    if (status === FILL.textFull) {
      this.#textBytes = Math.max(this.#textBytes * 2, calls.leafTextEnd() - this.#text + calls.wantedText())
      this.#takeTextRoom()
    } else if (status === FILL.groupsFull) {
      this.#groupsMax *= 2
      this.#takeGroupRoom()
    } else if (status === FILL.anchorsFull) {
      this.#anchorBytes = Math.max(this.#anchorBytes * 2, calls.wantedKey())
      this.#takeAnchorRoom()
    } else {
      this.#keyBytes = Math.max(this.#keyBytes * 2, calls.wantedKey())
      this.#takeKeyRoom()
    }
  }

  #takeTextRoom(): void {
    this.#text = this.#kernel.allocate(GROUP_PREFIX_BYTES + this.#textBytes) + GROUP_PREFIX_BYTES
    this.#kernel.calls.setTextRoom(this.#text, this.#text + this.#textBytes)
  }

  #takeGroupRoom(): void {
    this.#groups = this.#kernel.allocate(this.#groupsMax * GROUP_BYTES)
    this.#kernel.calls.setGroupRoom(this.#groups, this.#groupsMax)
  }

  #takeAnchorRoom(): void {
    const room = this.#kernel.allocate(this.#anchorBytes)
    this.#kernel.calls.setAnchorRoom(room, room + this.#anchorBytes)
  }

  #takeKeyRoom(): void {
    this.#key = this.#kernel.allocate(this.#keyBytes)
    this.#kernel.calls.setKeyRoom(this.#key, this.#keyBytes)
  }

  /** A group's prefix is written over the end of the group before, which has been digested, and taken away again. */
  #groupDigests(textBytes: number): Uint8Array[] {
    const count = this.#kernel.calls.leafGroups()
    const groups = this.#kernel.numbers(this.#groups, (count * GROUP_BYTES) >> 2)
    const text = this.#kernel.bytes(this.#text - GROUP_PREFIX_BYTES, this.#text + textBytes)
    const digests: Uint8Array[] = []
    for (let group = 0; group < count; group += 1) {
      const start = groups[group * 3]!
      const anchor = groups[group * 3 + 1]!
      const anchorBytes = groups[group * 3 + 2]!
      const end = (group + 1 < count ? groups[(group + 1) * 3]! : textBytes) + GROUP_PREFIX_BYTES
      this.#prefix.set(this.#digester.salt(this.#kernel.bytes(anchor, anchor + anchorBytes)), 1)
      text.copy(this.#covered, 0, start, start + GROUP_PREFIX_BYTES)
      text.set(this.#prefix, start)
      digests.push(sha256(text.subarray(start, end)))
      text.set(this.#covered, start)
    }
    return digests
  }

  /** Encoded, then decoded again: an encoder that went wrong must fail the backup, not the restore (F27). */
  #encode(rows: number, textBytes: number): Uint8Array {
    const what = `a new leaf of ${this.#options.spec.name}`
    const payload = packPayload(this.#codec.encode(this.#text, textBytes, rows))
    const decoded = this.#codec.decode(unpackToView(payload, what), { rows, textBytes })
    assert(decoded !== null, `${what} decodes to as many rows as were encoded`)
    assert(this.#kernel.calls.sameBytes(decoded, this.#text, textBytes) === 1, `${what} decodes to what was encoded`)
    return payload
  }
}
