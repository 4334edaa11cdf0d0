/**
 * A table as a Map, and a database that plays at random on it: what it sends of each change is what PostgreSQL sends,
 * with keys alone or whole rows as the row before, and with large values that it leaves out when they did not change.
 *
 * The model keeps its own journal of what every change did. It knows nothing of trees, lineages or anchors' locators.
 */
import { FIELD_NOT_SENT, type LogTable } from '../../../src/repository/change-log/change.ts'
import type { FoldChange } from '../../../src/repository/fold/fold-change.ts'
import type { TreeSpec } from '../../../src/repository/tree/spec.ts'

export type Identity = 'key' | 'full'
/** A row's fields. */
type Fields = readonly string[]

export interface JournalLine {
  readonly op: 'I' | 'U' | 'D' | 'A' | 'B' | 'T'
  readonly anchor: string
  readonly row: string
  readonly seq: number
  readonly transaction: number
}

export class WardModel {
  readonly rows = new Map<string, Fields>()
  journal: JournalLine[] = []
  readonly table: LogTable
  readonly #spec: TreeSpec
  readonly #identity: Identity
  readonly #random: () => number
  #seq = 0
  #transaction = 0
  #changes: FoldChange[] = []

  constructor(spec: TreeSpec, identity: Identity, random: () => number) {
    this.#spec = spec
    this.#identity = identity
    this.#random = random
    const columns = Array.from({ length: spec.fieldCount }, (_, index) => `c${index}`)
    this.table = { oid: `oid of ${spec.name}`, name: spec.name, columns, key: spec.key }
  }

  lines(): string[] {
    return [...this.rows.values()].map((fields) => `${fields.join('\t')}\n`)
  }

  /** The changes made since the last call; the journal begins anew as well. */
  takeChanges(): FoldChange[] {
    const changes = this.#changes
    this.#changes = []
    this.#seq = 0
    this.#transaction = 0
    return changes
  }

  upTo(max: number): number {
    return Math.floor(this.#random() * max)
  }

  /** One change of some kind. */
  step(): void {
    const kind = this.#random()
    if (this.#random() < 0.3) this.#transaction += 1
    if (kind < 0.004) this.truncate()
    else if (kind < 0.3 || this.rows.size < 3) this.insert()
    else if (kind < 0.5) this.delete(this.#someKey())
    else if (kind < 0.56) this.swapKeys(this.#someKey(), this.#someKey())
    else this.update(this.#someKey())
  }

  insert(fields: Fields = this.#newRow(this.#newId())): void {
    const key = this.#keyOf(fields)
    if (this.rows.has(key)) return
    this.rows.set(key, fields)
    this.#send('insert', null, fields)
    this.#note('I', fields)
  }

  delete(key: string): void {
    const fields = this.rows.get(key)
    if (!fields) return
    this.rows.delete(key)
    this.#send('delete', this.#identityOf(fields), null)
    this.#note('D', fields)
  }

  /** Changes some fields, and now and then the anchor or the key. */
  update(key: string, choose: (fields: Fields) => Fields = (fields) => this.#changed(fields)): void {
    const before = this.rows.get(key)
    if (!before) return
    const after = choose(before)
    const newKey = this.#keyOf(after)
    if (newKey !== key && this.rows.has(newKey)) return
    this.rows.delete(key)
    this.rows.set(newKey, after)
    const sendsBefore = newKey !== key || this.#identity === 'full'
    this.#send('update', sendsBefore ? this.#identityOf(before) : null, this.#withGaps(before, after))
    const { anchor } = this.#spec
    const stays = newKey === key && (anchor === null || before[anchor] === after[anchor])
    if (!stays) this.#note('A', before, false)
    this.#note(stays ? 'U' : 'B', after)
  }

  /** 1 → temporary, 2 → 1, temporary → 2. */
  swapKeys(a: string, b: string): void {
    if (a === b) return
    const [rowA, rowB] = [this.rows.get(a), this.rows.get(b)]
    if (!rowA || !rowB) return
    const spare = this.#withKey(rowA, this.#newRow('spare'))
    if (this.rows.has(this.#keyOf(spare))) return
    this.update(a, () => spare)
    this.update(b, (fields) => this.#withKey(fields, rowA))
    this.update(this.#keyOf(spare), (fields) => this.#withKey(fields, rowB))
  }

  truncate(): void {
    this.rows.clear()
    this.#send('truncate', null, null)
    const nulls = Array.from({ length: this.#spec.fieldCount }, () => '\\N')
    this.#note('T', nulls)
  }

  #withKey(fields: Fields, from: Fields): Fields {
    return fields.map((field, index) => (this.#spec.key.includes(index) ? from[index]! : field))
  }

  #changed(fields: Fields): Fields {
    return fields.map((field, index) => {
      const isKey = this.#spec.key.includes(index)
      if (index === this.#spec.anchor) return this.#random() < 0.15 ? String(1 + this.upTo(9)) : field
      if (isKey) return this.#random() < 0.08 ? this.#newId() : field
      return this.#random() < 0.5 ? this.#value() : field
    })
  }

  #newId(): string {
    return this.#random() < 0.05 ? `a.${this.upTo(50)}` : String(this.upTo(300))
  }

  #newRow(id: string): Fields {
    return Array.from({ length: this.#spec.fieldCount }, (_, index) => {
      if (index === this.#spec.anchor) return String(1 + this.upTo(9))
      return this.#spec.key.includes(index) ? id : this.#value()
    })
  }

  /** Some are large enough to be left out; some look like a field that was left out, or stand beside one. */
  #value(): string {
    const kind = this.upTo(8)
    if (kind === 0) return '\\N'
    if (kind === 1) return '\\\\u'
    if (kind === 2) return ''
    if (kind === 3) return 'L'.repeat(20 + this.upTo(40))
    return String(this.upTo(1000))
  }

  #someKey(): string {
    const keys = [...this.rows.keys()]
    return keys[this.upTo(keys.length)] ?? ''
  }

  #keyOf(fields: Fields): string {
    return this.#spec.key.map((field) => fields[field]).join('\t')
  }

  #identityOf(fields: Fields): Fields {
    if (this.#identity === 'full') return fields
    return fields.map((field, index) => (this.#spec.key.includes(index) ? field : FIELD_NOT_SENT))
  }

  /** Large values that did not change are not sent. */
  #withGaps(before: Fields, after: Fields): Fields {
    return after.map((field, index) => {
      const isKey = this.#spec.key.includes(index)
      return !isKey && field.startsWith('L') && field === before[index] ? FIELD_NOT_SENT : field
    })
  }

  #send(kind: FoldChange['kind'], before: Fields | null, after: Fields | null): void {
    const line = (fields: Fields | null) => (fields ? Buffer.from(fields.join('\t')) : null)
    const place = { seq: this.#seq, transaction: this.#transaction }
    this.#changes.push({ kind, table: this.table, before: line(before), after: line(after), ...place })
  }

  /** The change is over with its last line. */
  #note(op: JournalLine['op'], row: Fields, isLast = true): void {
    const anchor = this.#spec.anchor === null ? '' : row[this.#spec.anchor]!
    this.journal.push({ op, anchor, row: row.join('\t'), seq: this.#seq, transaction: this.#transaction })
    if (isLast) this.#seq += 1
  }
}

/** The lines of the change tree that the journal stands for, in any order. */
export function journalLines(spec: TreeSpec, journal: readonly JournalLine[]): string[] {
  return journal.map(({ op, anchor, row, seq, transaction }) => {
    const fields = [...(spec.anchor === null ? [] : [anchor]), String(seq), String(transaction), op, row]
    return `${fields.join('\t')}\n`
  })
}
