/** From a table's lines to its locator's: the key's fields, then the anchor's. */

import type { TreeSpec } from '../tree/spec.ts'
import { ByteWriter } from '../tree/varint.ts'

const TAB = 0x09
const NEWLINE = 0x0a

/** Turns a stream of lines, cut anywhere, into locator lines. */
export class LocatorLines {
  readonly #fields: readonly number[]
  readonly #fieldCount: number
  #rest: Buffer = Buffer.alloc(0)

  constructor(table: TreeSpec) {
    if (table.anchor === null) throw new Error('a table without anchor has no locator')
    this.#fields = [...table.key, table.anchor]
    this.#fieldCount = table.fieldCount
  }

  derive(chunk: Uint8Array): Uint8Array {
    const text = this.#rest.length === 0 ? asBuffer(chunk) : Buffer.concat([this.#rest, chunk])
    const out = new ByteWriter(text.length >> 2)
    const starts = new Uint32Array(this.#fieldCount + 1)
    let start = 0
    let field = 1
    for (let at = 0; at < text.length; at += 1) {
      const byte = text[at]
      if (byte !== TAB && byte !== NEWLINE) continue
      if (byte === TAB) {
        starts[field++] = at + 1
        continue
      }
      starts[0] = start
      starts[field] = at + 1
      this.#line(text, starts, out)
      start = at + 1
      field = 1
    }
    this.#rest = Buffer.from(text.subarray(start))
    return Uint8Array.from(out.done())
  }

  #line(text: Buffer, starts: Uint32Array, out: ByteWriter): void {
    for (let index = 0; index < this.#fields.length; index += 1) {
      const field = this.#fields[index]!
      out.bytes(text.subarray(starts[field]!, starts[field + 1]! - 1))
      out.byte(index + 1 === this.#fields.length ? NEWLINE : TAB)
    }
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
