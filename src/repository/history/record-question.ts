/**
 * One record, by its primary key: whatever had this key, and what a change of key makes of it or made it from. A key that
 * the record had before is only met when the change comes: then all is read again, with that key.
 */
import { Failure } from '../../errors.ts'
import type { LoggedChange } from '../change-log/change.ts'
import { asBuffer } from '../fold/line-fields.ts'
import type { Manifest, TableManifest } from '../manifest.ts'
import type { TreeSpec } from '../tree/spec.ts'
import type { HistoryEvent } from './event.ts'
import type { Question } from './question.ts'
import { type KeyText, keyTextOf, rowsByKey, type SnapshotReader } from './rows-by-key.ts'

export class RecordQuestion implements Question {
  readonly isAll = false
  hasGrown = false
  readonly isLate = false
  readonly #table: string
  readonly #first: Set<KeyText>
  #keys: Set<KeyText>
  #isThere = false

  /** @param table or all leaf partitions of one */
  constructor(table: string, key: readonly Buffer[]) {
    this.#table = table
    this.#first = new Set([key.map((field) => field.toString('latin1')).join('\t')])
    this.#keys = new Set(this.#first)
  }

  begin(): void {
    this.#keys = new Set(this.#first)
    this.#isThere = false
    this.hasGrown = false
  }

  /** Its keys are known before anything is read. */
  follow(): void {}

  tables(manifest: Manifest): readonly TableManifest[] {
    const tables = manifest.tables.filter(
      ({ name, partitionOf }) => name === this.#table || partitionOf === this.#table,
    )
    for (const { name, primaryKey } of tables) {
      if (primaryKey.length === 0)
        throw new Failure('bad-usage', `table ${name} has no primary key to name a record by`)
    }
    return tables
  }

  wants({ before, after, kind }: LoggedChange, _table: TableManifest, spec: TreeSpec): boolean {
    if (kind === 'truncate') return true
    const old = keyTextOf(spec, asBuffer((before ?? after)!))
    const now = after === null ? old : keyTextOf(spec, asBuffer(after))
    if (this.#keys.has(old)) {
      this.#keys.add(now)
      return true
    }
    if (!this.#keys.has(now)) return false
    if (kind === 'update') {
      this.#first.add(old)
      this.hasGrown = true
    }
    return true
  }

  keys(): Iterable<KeyText> {
    return this.#keys
  }

  async rows(_manifest: Manifest, table: TableManifest, reader: SnapshotReader): Promise<ReadonlyMap<KeyText, Buffer>> {
    const rows = await rowsByKey(table, this.#keys, reader)
    if (rows.size > 0) this.#isThere = true
    return rows
  }

  shows({ kind }: HistoryEvent): boolean {
    if (kind === 'truncate') {
      const wasThere = this.#isThere
      this.#isThere = false
      return wasThere
    }
    this.#isThere = kind !== 'delete'
    return true
  }
}
