/** Collects rows one by one into flat arrays, and hands them out as `Rows`. */
import { grow, type Rows } from '../tree/rows.ts'

export class RowsBuilder {
  #text: Buffer
  #keys: Buffer
  #textStart: Uint32Array
  #keyStart: Uint32Array
  #anchorBytes: Uint32Array
  #count = 0
  #textAt = 0
  #keyAt = 0

  constructor(textBytesGuess: number) {
    this.#text = Buffer.allocUnsafe(Math.max(1024, textBytesGuess))
    this.#keys = Buffer.allocUnsafe(Math.max(1024, textBytesGuess >> 2))
    this.#textStart = new Uint32Array(1024)
    this.#keyStart = new Uint32Array(1024)
    this.#anchorBytes = new Uint32Array(1024)
  }

  get count(): number {
    return this.#count
  }

  get textBytes(): number {
    return this.#textAt
  }

  append(from: Rows, row: number): void {
    const textStart = from.textStart[row]!
    const textEnd = from.textStart[row + 1]!
    const keyStart = from.keyStart[row]!
    const keyEnd = from.keyStart[row + 1]!
    this.#reserve(textEnd - textStart, keyEnd - keyStart)
    from.text.copy(this.#text, this.#textAt, textStart, textEnd)
    from.keys.copy(this.#keys, this.#keyAt, keyStart, keyEnd)
    this.#textAt += textEnd - textStart
    this.#keyAt += keyEnd - keyStart
    this.#anchorBytes[this.#count] = from.anchorBytes[row]!
    this.#count += 1
    this.#textStart[this.#count] = this.#textAt
    this.#keyStart[this.#count] = this.#keyAt
  }

  /** The rows so far, in memory of their own; the builder is then empty and may be filled again. */
  take(): Rows {
    const rows: Rows = {
      count: this.#count,
      text: Buffer.from(this.#text.subarray(0, this.#textAt)),
      textStart: this.#textStart.slice(0, this.#count + 1),
      keys: Buffer.from(this.#keys.subarray(0, this.#keyAt)),
      keyStart: this.#keyStart.slice(0, this.#count + 1),
      anchorBytes: this.#anchorBytes.slice(0, this.#count),
    }
    this.#count = 0
    this.#textAt = 0
    this.#keyAt = 0
    return rows
  }

  #reserve(textBytes: number, keyBytes: number): void {
    if (this.#textAt + textBytes > this.#text.length) {
      this.#text = grow(this.#text, this.#textAt, this.#textAt + textBytes)
    }
    if (this.#keyAt + keyBytes > this.#keys.length) {
      this.#keys = grow(this.#keys, this.#keyAt, this.#keyAt + keyBytes)
    }
    if (this.#count + 2 <= this.#textStart.length) return
    this.#textStart = doubled(this.#textStart)
    this.#keyStart = doubled(this.#keyStart)
    this.#anchorBytes = doubled(this.#anchorBytes)
  }
}

function doubled(array: Uint32Array): Uint32Array {
  const larger = new Uint32Array(array.length * 2)
  larger.set(array)
  return larger
}

/** Rows from `start` of `head`, then all of `tail`. */
export function joinRows(head: Rows, start: number, tail: Rows): Rows {
  const builder = new RowsBuilder(head.text.length + tail.text.length)
  for (let row = start; row < head.count; row += 1) builder.append(head, row)
  for (let row = 0; row < tail.count; row += 1) builder.append(tail, row)
  return builder.take()
}
