/** Unsigned LEB128, as in Protocol Buffers, for numbers below 2^53. */
import { Failure } from '../../errors.ts'

export class ByteWriter {
  #bytes: Buffer
  #at = 0

  constructor(sizeGuess: number) {
    this.#bytes = Buffer.allocUnsafe(Math.max(16, sizeGuess))
  }

  get length(): number {
    return this.#at
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#at++] = value
  }

  varint(value: number): void {
    this.#reserve(8)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.#at++] = rest
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length)
    this.#bytes.set(value, this.#at)
    this.#at += value.length
  }

  done(): Buffer {
    return this.#bytes.subarray(0, this.#at)
  }

  #reserve(count: number): void {
    if (this.#at + count <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#at + count, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#at)
    this.#bytes = larger
  }
}

/** Every read is checked: these bytes may come from a damaged repository. */
export class ByteReader {
  readonly #bytes: Buffer
  readonly #what: string
  #at = 0

  /** `what` names the object in errors. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#what = what
  }

  get rest(): number {
    return this.#bytes.length - this.#at
  }

  byte(): number {
    if (this.rest < 1) throw this.damaged('ends early')
    return this.#bytes[this.#at++]!
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let count = 0; count < 8; count += 1) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break
        return value
      }
      scale *= 0x80
    }
    throw this.damaged('holds a number beyond 2^53')
  }

  /** A view, not a copy. */
  bytes(count: number): Buffer {
    if (count > this.rest) throw this.damaged('ends early')
    const view = this.#bytes.subarray(this.#at, this.#at + count)
    this.#at += count
    return view
  }

  pass(count: number): void {
    if (count > this.rest) throw this.damaged('ends early')
    this.#at += count
  }

  /** What stands before the next `byte`, which is taken too: a view. */
  until(byte: number): Buffer {
    const end = this.#bytes.indexOf(byte, this.#at)
    if (end < 0) throw this.damaged('ends early')
    const view = this.#bytes.subarray(this.#at, end)
    this.#at = end + 1
    return view
  }

  end(): void {
    if (this.rest !== 0) throw this.damaged(`has ${this.rest} bytes too many`)
  }

  damaged(what: string): Failure {
    return new Failure('repository-damaged', `${this.#what} ${what}`, { context: { object: this.#what } })
  }
}
