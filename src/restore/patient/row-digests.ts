/** Keyed digests of a plan's rows: they tell rows apart, and nobody can search them for values (docs/FORMAT.md, "Plans"). */
import { deriveKey } from '../../repository/crypto/provider.ts'
import { giveKernelBack, type Kernel, takeKernel } from '../../repository/kernel/kernel.ts'
import { HmacSha256, hmacBlocks } from '../../repository/tree/hmac.ts'
import { packedBytes, packLine, packText } from './packed-lines.ts'

export const DIGEST_BYTES = 32

/** Of what is digested in one call; a row that is larger goes by itself. */
const ROOM_BYTES = 256 * 1024
const ROWS_AT_ONCE = 4096
/** Behind each message: what fills up its last block. */
const FILLING_BYTES = 9 + 64
/** Of each message its address and its length. */
const ENTRY_BYTES = 8

export interface DigestedRow {
  /** As `StoredRow.key`. */
  readonly key: string
  readonly past: Buffer | null
  readonly present: Buffer | null
}

export class RowDigests {
  readonly #key: Uint8Array

  constructor(saltKey: Uint8Array) {
    this.#key = deriveKey(saltKey, new Uint8Array(), 'chartkeep plan rows v1')
  }

  /** One behind the other. */
  of(table: string, rows: readonly DigestedRow[]): Buffer {
    const head = Buffer.from(`row ${table}\n`, 'latin1')
    const digests = Buffer.allocUnsafe(rows.length * DIGEST_BYTES)
    const kernel = takeKernel('smallest')
    try {
      const batch = new Batch(kernel, this.#key)
      for (let row = 0; row < rows.length; ) row += batch.digest(head, rows, row, digests)
    } finally {
      giveKernelBack(kernel)
    }
    return digests
  }
}

/** As many rows as fit a part of the kernel's memory. */
class Batch {
  readonly #kernel: Kernel
  readonly #key: Uint8Array
  readonly #room: number
  readonly #entries: number
  readonly #out: number

  constructor(kernel: Kernel, key: Uint8Array) {
    this.#kernel = kernel
    this.#key = key
    const [inner, outer] = hmacBlocks(key)
    const blocks = kernel.allocate(inner.length + outer.length)
    this.#room = kernel.allocate(ROOM_BYTES)
    this.#entries = kernel.allocate(ROWS_AT_ONCE * ENTRY_BYTES)
    this.#out = kernel.allocate(ROWS_AT_ONCE * DIGEST_BYTES)
    kernel.write(blocks, inner)
    kernel.write(blocks + inner.length, outer)
    kernel.calls.setHmacKey(blocks, blocks + inner.length)
  }

  /** Those of some rows from `first` on, into their places. @returns how many */
  digest(head: Buffer, rows: readonly DigestedRow[], first: number, digests: Buffer): number {
    const room = this.#kernel.bytes(this.#room, this.#room + ROOM_BYTES)
    const entries = this.#kernel.numbers(this.#entries, (ROWS_AT_ONCE * ENTRY_BYTES) >> 2)
    let [count, at] = [0, 0]
    for (; count < ROWS_AT_ONCE && first + count < rows.length; count += 1) {
      const row = rows[first + count]!
      if (at + messageBytes(head, row) + FILLING_BYTES > ROOM_BYTES) break
      const end = writeMessage(head, row, room, at)
      entries[2 * count] = this.#room + at
      entries[2 * count + 1] = end - at
      at = end + FILLING_BYTES
    }
    if (count === 0) return this.#digestAlone(head, rows[first]!, digests, first)
    this.#kernel.calls.hmacEach(this.#entries, count, this.#out)
    digests.set(this.#kernel.bytes(this.#out, this.#out + count * DIGEST_BYTES), first * DIGEST_BYTES)
    return count
  }

  #digestAlone(head: Buffer, row: DigestedRow, digests: Buffer, index: number): number {
    const message = Buffer.allocUnsafe(messageBytes(head, row))
    writeMessage(head, row, message, 0)
    new HmacSha256(this.#key).digestInto(digests, index * DIGEST_BYTES, message)
    return 1
  }
}

function messageBytes(head: Buffer, { key, past, present }: DigestedRow): number {
  return head.length + 2 + key.length + packedBytes(past) + packedBytes(present)
}

function writeMessage(head: Buffer, { key, past, present }: DigestedRow, out: Buffer, at: number): number {
  out.set(head, at)
  const keyEnd = packText(key, out, at + head.length)
  return packLine(present, out, packLine(past, out, keyEnd))
}
