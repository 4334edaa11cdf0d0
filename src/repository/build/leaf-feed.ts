/**
 * Leaves from rows that are pushed in, piece by piece, in the order of their keys. The kernel's merge has one block
 * here, which gets piece after piece; when it is used up just where a leaf was cut, the rows so far are whole leaves,
 * and whoever pushes may leave out what he has as leaves already.
 */
import { assert, Failure } from '../../errors.ts'
import { giveKernelBack, type Kernel, takeKernel } from '../kernel/kernel.ts'
import { BLOCK_BYTES, type BlockRooms, parseAgain, rowsOf, setSpec } from '../kernel/run.ts'
import type { TreeSpec } from '../tree/spec.ts'
import type { BuiltLeaf } from '../tree/tree-writer.ts'
import type { LeafBuilderOptions } from './leaf-builder.ts'
import { LeafFiller } from './leaf-filler.ts'

/** Lines with their newlines, one behind the other. */
export interface RowPiece {
  readonly parts: readonly Uint8Array[]
  readonly rows: number
  readonly textBytes: number
  /** Numbers of rows that do not come, in this order, from a leaf that was proved; the first row counts as one anyway. */
  readonly unproved: readonly number[]
}

const TEXT_BYTES_MIN = 192 * 1024
const ROWS_MIN = 4096
/** The kernel asks, before it encodes a key, for the most that any of its fields could need. */
const KEY_ROOM_BYTES = 1024

export class LeafFeed implements Disposable {
  readonly #kernel: Kernel
  readonly #spec: TreeSpec
  readonly #filler: LeafFiller
  readonly #block: number
  #rooms: BlockRooms | null = null
  #keysEnd = 0
  #textMax = 0
  #rowsMax = 0
  #lastKey = Buffer.alloc(0)

  constructor(options: LeafBuilderOptions) {
    this.#kernel = takeKernel('smallest')
    this.#spec = options.spec
    setSpec(this.#kernel, options.spec)
    this.#block = this.#kernel.allocate(BLOCK_BYTES)
    this.#kernel.calls.beginMerge(this.#kernel.allocate(4))
    this.#filler = new LeafFiller(this.#kernel, options)
    this.#filler.begin()
  }

  /** Whether the rows so far are whole leaves: the next row begins one. */
  get isAligned(): boolean {
    return this.#filler.rows === 0
  }

  /** Leaves that end within `piece`: take them all before the next. @throws repository-damaged when rows are out of order */
  async *add(piece: RowPiece): AsyncGenerator<BuiltLeaf> {
    if (piece.rows === 0) return
    const isFirst = this.#rooms === null
    this.#load(piece)
    if (isFirst) this.#kernel.calls.addBlock(this.#block)
    else this.#kernel.calls.leastMoved()
    while (this.#filler.fill() === 'cut') yield await this.#take()
  }

  /** The last leaf, if any rows are left. */
  async *finish(): AsyncGenerator<BuiltLeaf> {
    if (!this.isAligned) yield await this.#take()
  }

  [Symbol.dispose](): void {
    giveKernelBack(this.#kernel)
  }

  async #take(): Promise<BuiltLeaf> {
    const leaf = await this.#filler.take()
    this.#filler.begin()
    return leaf
  }

  #load(piece: RowPiece): void {
    const rooms = this.#roomsFor(piece)
    let at = rooms.text
    for (const part of piece.parts) {
      this.#kernel.write(at, part)
      at += part.length
    }
    parseAgain(this.#kernel, this.#spec, { ...rooms, textEnd: at }, this.#keysEnd)
    this.#checkOrder(rooms, piece)
  }

  /** A tree whose rows are out of order would be proved by its digests, and yet not be found by its keys. */
  #checkOrder(rooms: BlockRooms, { rows, unproved }: RowPiece): void {
    assert(rowsOf(this.#kernel, rooms) === rows, 'a piece has as many rows as it says')
    const starts = this.#kernel.numbers(rooms.keyStarts, rows + 1)
    const first = starts[0]!
    const keys = this.#kernel.bytes(first, starts[rows]!)
    const keyOf = (row: number) => keys.subarray(starts[row]! - first, starts[row + 1]! - first)
    let inOrder = Buffer.compare(this.#lastKey, keyOf(0)) < 0
    for (const row of unproved) {
      inOrder &&= row === 0 || Buffer.compare(keyOf(row - 1), keyOf(row)) < 0
      inOrder &&= row + 1 === rows || Buffer.compare(keyOf(row), keyOf(row + 1)) < 0
    }
    if (!inOrder) {
      throw new Failure('repository-damaged', `rows of ${this.#spec.name} are not in order of their keys`, {
        context: { tree: this.#spec.name },
      })
    }
    this.#lastKey = Buffer.from(keyOf(rows - 1))
  }

  /** Rooms are never given back: the filler may have taken its own above them. Each is twice as large as the last. */
  #roomsFor({ rows, textBytes }: RowPiece): BlockRooms {
    if (this.#rooms && textBytes <= this.#textMax && rows <= this.#rowsMax) return this.#rooms
    const kernel = this.#kernel
    this.#textMax = Math.max(TEXT_BYTES_MIN, 2 * this.#textMax, textBytes)
    this.#rowsMax = Math.max(ROWS_MIN, 2 * this.#rowsMax, rows)
    const text = kernel.allocate(this.#textMax)
    const keyBytes = this.#keyBytesMax()
    this.#rooms = {
      block: this.#block,
      text,
      textEnd: text,
      lineStarts: kernel.allocate(4 * (this.#rowsMax + 1)),
      keyStarts: kernel.allocate(4 * (this.#rowsMax + 1)),
      anchors: kernel.allocate(4 * this.#rowsMax),
      keys: kernel.allocate(keyBytes),
    }
    this.#keysEnd = this.#rooms.keys + keyBytes
    return this.#rooms
  }

  /** A field may be both anchor and part of the key; each byte of it may become two, and three more stand around it. */
  #keyBytesMax(): number {
    const fields = this.#spec.key.length + 1
    return 4 * this.#textMax + 3 * fields * this.#rowsMax + KEY_ROOM_BYTES
  }
}
