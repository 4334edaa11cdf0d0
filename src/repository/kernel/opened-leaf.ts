/**
 * A leaf read by the kernel: decoded, its lines and keys found, its groups told apart, so that this side only digests
 * the groups. It stands in the one reading kernel of its thread, and is gone with the next leaf that is opened there;
 * `rows` and `copyText` are what lasts.
 *
 * What the kernel refuses is asked of tree/leaf-codec.ts and tree/rows.ts again, which say what is wrong: a damaged
 * leaf is rare, and then time does not matter.
 */
import { assert } from '../../errors.ts'
import { LEAF_CUT } from '../tree/boundary.ts'
import type { TreeDigester } from '../tree/digest.ts'
import type { ExpectedLeaf } from '../tree/leaf-codec.ts'
import type { Rows } from '../tree/rows.ts'
import type { TreeSpec } from '../tree/spec.ts'
import { GROUP_BYTES, GROUP_PREFIX_BYTES, GroupDigests } from './group-digests.ts'
import { CHECK, Kernel } from './kernel.ts'
import { LeafCodec } from './leaf-codec.ts'
import { type BlockRooms, layBlock, parseAnchors, parseRun, setSpec } from './run.ts'

/** A leaf of one giant row would leave the thread's kernel swollen for good. */
const TEXT_BYTES_MAX = 8 * 1024 * 1024

let reading: { readonly kernel: Kernel; readonly bottom: number } | null = null

/** What will be asked of the leaf: groups and text alone, which its anchors tell apart; rows too; or locator lines, too. */
export type LeafUse = 'text' | 'rows' | 'locator'

/** Where the first row that is out of place stands, or how the leaf ends. */
export interface RowsPlace {
  /** One of CHECK. */
  readonly status: number
  /** From 0. */
  readonly row: number
  /** In a bag with its ordinal; a view. */
  readonly lastKey: Uint8Array
}

/** Null when the bytes are no such leaf, or one that is too large for the kernel: the plain way then decides. */
export function openLeaf(
  spec: TreeSpec,
  encoded: Uint8Array,
  expected: ExpectedLeaf,
  use: LeafUse = 'rows',
): OpenedLeaf | null {
  if (expected.textBytes > TEXT_BYTES_MAX || encoded.length > TEXT_BYTES_MAX) return null
  reading ??= newReading()
  const { kernel, bottom } = reading
  kernel.release(bottom)
  setSpec(kernel, use === 'text' ? { ...spec, key: [] } : spec)
  const { rows, textBytes } = expected
  const text = kernel.allocate(GROUP_PREFIX_BYTES + textBytes) + GROUP_PREFIX_BYTES
  if (!new LeafCodec(kernel, spec.fieldCount).decodeTo(text, encoded, expected)) return null
  const locator = use === 'locator' ? kernel.allocate(textBytes) : null
  const rooms = layBlock(kernel, text, text + textBytes, rows)
  if (use === 'text') {
    parseAnchors(kernel, spec, rooms)
    return new OpenedLeaf({ kernel, spec, use }, expected, rooms, null)
  }
  const locatorEnd = parseRun(kernel, spec, rooms, locator)
  const lines = locator === null ? null : { start: locator, end: locatorEnd }
  return new OpenedLeaf({ kernel, spec, use }, expected, rooms, lines)
}

function newReading() {
  const kernel = new Kernel()
  return { kernel, bottom: kernel.mark() }
}

export class OpenedLeaf {
  readonly count: number
  readonly #kernel: Kernel
  readonly #spec: TreeSpec
  readonly #use: LeafUse
  readonly #textBytes: number
  readonly #rooms: BlockRooms
  readonly #locator: { readonly start: number; readonly end: number } | null

  constructor(
    { kernel, spec, use }: { readonly kernel: Kernel; readonly spec: TreeSpec; readonly use: LeafUse },
    expected: ExpectedLeaf,
    rooms: BlockRooms,
    locator: { readonly start: number; readonly end: number } | null,
  ) {
    this.count = expected.rows
    this.#kernel = kernel
    this.#spec = spec
    this.#use = use
    this.#textBytes = expected.textBytes
    this.#rooms = rooms
    this.#locator = locator
  }

  /** Of its groups, in order. */
  groupDigests(digester: TreeDigester): Uint8Array[] {
    const kernel = this.#kernel
    const mark = kernel.mark()
    const groups = kernel.allocate(GROUP_BYTES * this.count)
    const count = kernel.calls.groupRows(this.#rooms.block, groups)
    const { text } = this.#rooms
    const digests = new GroupDigests(kernel, digester).of({ text, textBytes: this.#textBytes, groups, count })
    kernel.release(mark)
    return digests
  }

  /** `after` is the key before the leaf's first, in a bag with its ordinal. */
  placeOfRows(after: Uint8Array | null, isLast: boolean, cutSeed: bigint): RowsPlace {
    this.#assertKeys()
    const kernel = this.#kernel
    const { calls } = kernel
    const mark = kernel.mark()
    const before = after && kernel.allocate(after.length)
    if (before !== null) kernel.write(before, after!)
    const keyRoom = this.#spec.key.length === 0 ? this.#longestKey() + 32 : 0
    const room = kernel.allocate(2 * keyRoom)
    calls.setCut(BigInt.asIntN(64, cutSeed), LEAF_CUT.scale, LEAF_CUT.min, LEAF_CUT.max)
    const { block } = this.#rooms
    const status = calls.checkRows(block, before ?? 0, after?.length ?? 0, isLast ? 1 : 0, room, keyRoom)
    const key = calls.checkedKey()
    kernel.release(mark)
    const row = status === CHECK.inPlace ? this.count - 1 : calls.checkedRow()
    return { status, row, lastKey: kernel.bytes(key, key + calls.checkedKeyBytes()) }
  }

  /** Modulo 2^64: of the lines themselves, or of the locator lines that they give. */
  sum(what: 'own' | 'derived', seed: bigint): bigint {
    const { text, textEnd } = this.#rooms
    const { start, end } = what === 'own' ? { start: text, end: textEnd } : this.#locator!
    return BigInt.asUintN(64, this.#kernel.calls.sumLines(start, end, BigInt.asIntN(64, seed)))
  }

  copyText(): Buffer {
    return Buffer.from(this.viewText())
  }

  viewText(): Buffer {
    return this.#kernel.bytes(this.#rooms.text, this.#rooms.textEnd)
  }

  rows(): Rows {
    this.#assertKeys()
    const kernel = this.#kernel
    const { text, lineStarts, keyStarts, anchors, keys } = this.#rooms
    const keyStart = from(kernel.numbers(keyStarts, this.count + 1), keys)
    return {
      count: this.count,
      text: this.copyText(),
      textStart: from(kernel.numbers(lineStarts, this.count + 1), text),
      keys: Buffer.from(kernel.bytes(keys, keys + keyStart[this.count]!)),
      keyStart,
      anchorBytes: Uint32Array.from(kernel.numbers(anchors, this.count)),
    }
  }

  #assertKeys(): void {
    assert(this.#use !== 'text', 'a leaf that was opened for its text is not asked for rows')
  }

  #longestKey(): number {
    const starts = this.#kernel.numbers(this.#rooms.keyStarts, this.count + 1)
    let longest = 0
    for (let row = 0; row < this.count; row += 1) longest = Math.max(longest, starts[row + 1]! - starts[row]!)
    return longest
  }
}

/** Addresses as offsets from `base`. */
function from(addresses: Uint32Array, base: number): Uint32Array {
  const offsets = new Uint32Array(addresses.length)
  for (let index = 0; index < addresses.length; index += 1) offsets[index] = addresses[index]! - base
  return offsets
}
