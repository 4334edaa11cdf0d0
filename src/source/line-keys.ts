/** Keys of COPY lines, found without taking the lines apart: of fifty thousand rows nothing but the key is wanted. */
import type { TakeField } from './row-contract.ts'

const TAB = 0x09

export class LineKeys {
  readonly #numbers: readonly number[]
  readonly #last: number
  /** Where each field up to the last wanted one begins, and one more: of the line that was looked at last. */
  readonly #starts: number[]

  /** @param columns the fields of the lines. @param key none for a table without a key, whose key is the whole line */
  constructor(columns: readonly string[], key: readonly string[]) {
    this.#numbers = key.map((column) => columns.indexOf(column))
    this.#last = Math.max(-1, ...this.#numbers)
    this.#starts = Array.from({ length: this.#last + 2 }, () => 0)
  }

  /** The key's fields as they stand in the line, tabs between; latin1. */
  text(line: Buffer): string {
    if (this.#numbers.length === 0) return line.toString('latin1')
    this.#find(line)
    const text = (field: number) => line.toString('latin1', this.#starts[field], this.#starts[field + 1]! - 1)
    return this.#numbers.length === 1 ? text(this.#numbers[0]!) : this.#numbers.map(text).join('\t')
  }

  /** Views of the line. */
  fields(line: Buffer): Buffer[] {
    this.#find(line)
    return this.#numbers.map((field) => line.subarray(this.#starts[field], this.#starts[field + 1]! - 1))
  }

  /** As `fields`, one of them, without a view of it. */
  give(line: Buffer, position: number, take: TakeField): void {
    this.#find(line)
    const field = this.#numbers[position]!
    take(line, this.#starts[field]!, this.#starts[field + 1]! - 1)
  }

  #find(line: Buffer): void {
    let at = 0
    for (let field = 0; field <= this.#last; field += 1) {
      while (at < line.length && line[at] !== TAB) at += 1
      at += 1
      this.#starts[field + 1] = at
    }
  }
}
