/** tree/leaf-codec.ts by the kernel: the same bytes from the same text, and back. */
import type { Kernel } from './kernel.ts'

const HEAD_BYTES = 16
const HEAD_BYTES_PER_COLUMN = 11
/** A column of patterns: for each field its template's number, a number more than its digits make; a head for each slot. */
const PATTERN_BYTES_PER_FIELD = 8
const PATTERN_BYTES_PER_COLUMN = 640
/** Longer fields have no pattern; of shorter ones, each two bytes may become a template's and seven of a number. */
const PATTERN_FIELD_BYTES_MAX = 1024
const PATTERN_BYTES_PER_BYTE = 6

export interface LeafSize {
  readonly rows: number
  readonly textBytes: number
}

export class LeafCodec {
  readonly #kernel: Kernel
  readonly #columns: number

  constructor(kernel: Kernel, columns: number) {
    this.#kernel = kernel
    this.#columns = columns
  }

  /** The encoded leaf, in a view that is gone with the next call. */
  encode(text: number, textBytes: number, rows: number): Buffer {
    const kernel = this.#kernel
    const fields = rows * this.#columns
    const mark = kernel.mark()
    const bounds = kernel.allocate(4 * (fields + 1))
    const patterns = kernel.allocate(kernel.calls.patternRoomBytes(rows, this.#columns))
    const headBytes = HEAD_BYTES + this.#columns * HEAD_BYTES_PER_COLUMN
    const head = kernel.allocate(headBytes)
    const body = kernel.allocate(headBytes + textBytes + this.#patternBytesMax(textBytes, fields)) + headBytes
    const end = kernel.calls.encodeLeaf(text, text + textBytes, rows, this.#columns, bounds, patterns, head, body)
    kernel.release(mark)
    if (end === 0) throw new Error('a leaf was given rows of unequal width')
    const start = body - (kernel.calls.headEnd() - head)
    kernel.write(start, kernel.bytes(head, kernel.calls.headEnd()))
    return kernel.bytes(start, end)
  }

  /** @returns the address of the text, until the next call; or null when the bytes are not such a leaf */
  decode(encoded: Uint8Array, expected: LeafSize): number | null {
    const mark = this.#kernel.mark()
    const out = this.#kernel.allocate(expected.textBytes)
    const isLeaf = this.decodeTo(out, encoded, expected)
    this.#kernel.release(mark)
    return isLeaf ? out : null
  }

  /** `out` is a region of the text's size. @returns whether the bytes are such a leaf */
  decodeTo(out: number, encoded: Uint8Array, { rows, textBytes }: LeafSize): boolean {
    const kernel = this.#kernel
    // Each field ends by a byte of its own: bounds what a damaged parent can make us allocate.
    if (rows * this.#columns > textBytes) return false
    const mark = kernel.mark()
    const from = kernel.allocate(encoded.length)
    const columns = kernel.allocate(kernel.calls.decodeRoomBytes(rows, this.#columns, textBytes))
    kernel.write(from, encoded)
    const end = from + encoded.length
    const decoded = kernel.calls.decodeLeaf(from, end, rows, this.#columns, textBytes, columns, out)
    kernel.release(mark)
    return decoded === 1
  }

  /** What columns of patterns may need beyond their text. */
  #patternBytesMax(textBytes: number, fields: number): number {
    const bytes = Math.min(textBytes, fields * PATTERN_FIELD_BYTES_MAX)
    return PATTERN_BYTES_PER_BYTE * bytes + PATTERN_BYTES_PER_FIELD * fields + PATTERN_BYTES_PER_COLUMN * this.#columns
  }
}
