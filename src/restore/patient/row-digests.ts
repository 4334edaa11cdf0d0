/** Keyed digests of a plan's rows: they tell rows apart, and nobody can search them for values (docs/FORMAT.md, "Plans"). */
import { deriveKey } from '../../repository/crypto/provider.ts'
import { HmacSha256 } from '../../repository/tree/hmac.ts'
import { packedBytes, packLine, packText } from './packed-lines.ts'

export const DIGEST_BYTES = 32

export interface DigestedRow {
  /** As `StoredRow.key`. */
  readonly key: string
  readonly past: Buffer | null
  readonly present: Buffer | null
}

export class RowDigests {
  readonly #hmac: HmacSha256

  constructor(saltKey: Uint8Array) {
    this.#hmac = new HmacSha256(deriveKey(saltKey, new Uint8Array(), 'chartkeep plan rows v1'))
  }

  /** One behind the other. */
  of(table: string, rows: readonly DigestedRow[]): Buffer {
    const head = Buffer.from(`row ${table}\n`, 'latin1')
    const digests = Buffer.allocUnsafe(rows.length * DIGEST_BYTES)
    let room = Buffer.from(head)
    for (const [index, { key, past, present }] of rows.entries()) {
      const bytes = head.length + 2 + key.length + packedBytes(past) + packedBytes(present)
      if (room.length < bytes) room = Buffer.concat([head, Buffer.allocUnsafe(2 * bytes)])
      const keyEnd = packText(key, room, head.length)
      const end = packLine(present, room, packLine(past, room, keyEnd))
      this.#hmac.digestInto(digests, index * DIGEST_BYTES, room.subarray(0, end))
    }
    return digests
  }
}
