/**
 * What a transaction changed, as one digest that does not hang on how it was cut into segments: by it a transaction that
 * the database sends again is told from another one at the same place (P5).
 */
import { createHash } from 'node:crypto'
import type { LoggedChange } from './change.ts'

const KIND_NUMBERS = { insert: 0, update: 1, delete: 2, truncate: 3 } as const
const NO_LINE = 0xffff_ffff

export class TransactionDigest {
  readonly #hash = createHash('sha256')
  #changes = 0

  get changes(): number {
    return this.#changes
  }

  /** In order; as many at a time as one likes. */
  update(changes: readonly LoggedChange[]): void {
    for (const { kind, table, before, after } of changes) {
      const oid = Buffer.from(table.oid)
      const head = Buffer.allocUnsafe(13)
      head[0] = KIND_NUMBERS[kind]
      head.writeUInt32LE(oid.length, 1)
      head.writeUInt32LE(before?.length ?? NO_LINE, 5)
      head.writeUInt32LE(after?.length ?? NO_LINE, 9)
      this.#hash.update(head).update(oid)
      if (before) this.#hash.update(before)
      if (after) this.#hash.update(after)
    }
    this.#changes += changes.length
  }

  /** Ends it. */
  hex(): string {
    return this.#hash.digest('hex')
  }
}
