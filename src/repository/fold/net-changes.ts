/**
 * What changes of one table come to, row by row. A *lineage* is the life of a row from the tree before, or from an
 * insert, through every change of it, its key's too, until it is deleted or the changes end.
 *
 *     update 1 → 2, insert 1      two lineages: the row that was 1 ends as 2 (F21), the new one as 1
 *     truncate                    ends all there are; the tree before has no rows any more (F22)
 *
 * Fields that were not sent are those of the line before in the same lineage; what is left of them at the end stands in
 * the row of the tree before (F13), which is not known here.
 */
import { FIELD_NOT_SENT } from '../change-log/change.ts'
import { doesNotFit } from '../tree/misfit.ts'
import type { TreeSpec } from '../tree/spec.ts'
import type { FoldChange } from './fold-change.ts'
import { asBuffer, filled, findFields, hasUnsent, isUnsentAt } from './line-fields.ts'

export interface Lineage {
  /** Key fields, tab between, of the row of the tree before; null for a row that was inserted. */
  readonly base: string | null
  /** What is known of the base row: fields that no change told of were not sent. Null without base. */
  readonly baseLine: Buffer | null
  /** The row after all changes, or null when it is gone. */
  line: Buffer | null
  readonly steps: Step[]
}

/** One change of a lineage: an insert has no `before`, a delete no `after`. */
export interface Step {
  readonly seq: number
  readonly transaction: number
  readonly before: Buffer | null
  readonly after: Buffer | null
}

export interface Truncation {
  readonly seq: number
  readonly transaction: number
}

export interface GrossCounts {
  inserts: number
  updates: number
  deletes: number
  truncates: number
}

/** What an entry costs beside its text, about: the edits that it becomes are held together, and objects are large. */
const LINEAGE_BYTES = 1200
const STEP_BYTES = 200

export class NetChanges {
  /** About what it holds in memory. */
  bytes = 0
  /** In order of their first change; truncated ones only where steps are kept. */
  readonly lineages: Lineage[] = []
  readonly truncations: Truncation[] = []
  readonly gross: GrossCounts = { inserts: 0, updates: 0, deletes: 0, truncates: 0 }
  readonly #spec: TreeSpec
  readonly #keepsSteps: boolean
  readonly #unsent: Buffer
  readonly #bounds: Uint32Array
  /** By key fields: the lineage that has the key now; null: no row has it. */
  #current = new Map<string, Lineage | null>()

  /** @param keepsSteps whether every change is wanted, and not only what they come to */
  constructor(spec: TreeSpec, keepsSteps: boolean) {
    this.#spec = spec
    this.#keepsSteps = keepsSteps
    this.#bounds = new Uint32Array(spec.fieldCount + 1)
    this.#unsent = Buffer.from(Array.from({ length: spec.fieldCount }, () => FIELD_NOT_SENT).join('\t'))
  }

  /** Whether the rows of the tree before are gone. */
  get isTruncated(): boolean {
    return this.truncations.length > 0
  }

  /** In commit order. @throws change-log-gap when the change cannot follow those before */
  apply(change: FoldChange): void {
    const before = change.before && asBuffer(change.before)
    const after = change.after && asBuffer(change.after)
    this.bytes += (before?.length ?? 0) + (after?.length ?? 0)
    if (change.kind === 'truncate') this.#truncate(change)
    else if (change.kind === 'insert') this.#insert(change, this.#present(after))
    else if (change.kind === 'update') this.#update(change, before, this.#present(after))
    else this.#delete(change, this.#present(before))
  }

  #insert(change: FoldChange, after: Buffer): void {
    const key = this.#keyOf(after)
    if (this.#current.get(key)) throw doesNotFit(this.#spec.name, 'adds a row that it has added')
    if (hasUnsent(after)) throw doesNotFit(this.#spec.name, 'adds a row of which it does not tell every field')
    const lineage: Lineage = { base: null, baseLine: null, line: after, steps: [] }
    this.#add(lineage)
    this.#current.set(key, lineage)
    this.#note(lineage, change, null, after)
    this.gross.inserts += 1
  }

  /** `before` is sent where the key changes, or always. */
  #update(change: FoldChange, before: Buffer | null, after: Buffer): void {
    const oldKey = this.#keyOf(before ?? after)
    const lineage = this.#lineageOf(oldKey, before)
    const was = lineage.line!
    const is = filled(after, was)
    const newKey = this.#keyOf(is)
    if (newKey !== oldKey) {
      if (this.#current.get(newKey)) throw doesNotFit(this.#spec.name, 'gives a row the key of another')
      this.#current.set(oldKey, null)
      this.#current.set(newKey, lineage)
    }
    lineage.line = is
    this.#note(lineage, change, was, is)
    this.gross.updates += 1
  }

  #delete(change: FoldChange, before: Buffer): void {
    const key = this.#keyOf(before)
    const lineage = this.#lineageOf(key, before)
    this.#note(lineage, change, lineage.line, null)
    lineage.line = null
    this.#current.set(key, null)
    this.gross.deletes += 1
  }

  #truncate({ seq, transaction }: FoldChange): void {
    for (const lineage of this.lineages) lineage.line = null
    if (!this.#keepsSteps) this.lineages.length = 0
    this.#current = new Map()
    this.truncations.push({ seq, transaction })
    this.gross.truncates += 1
  }

  /** The lineage of a row that is there. */
  #lineageOf(key: string, before: Buffer | null): Lineage {
    const known = this.#current.get(key)
    if (known) return known
    if (known === null || this.isTruncated) {
      throw doesNotFit(this.#spec.name, 'changes a row that is gone')
    }
    const baseLine = before ?? this.#unsent
    const lineage: Lineage = { base: key, baseLine, line: baseLine, steps: [] }
    this.#add(lineage)
    this.#current.set(key, lineage)
    return lineage
  }

  #add(lineage: Lineage): void {
    this.lineages.push(lineage)
    this.bytes += LINEAGE_BYTES
  }

  #note(lineage: Lineage, { seq, transaction }: FoldChange, before: Buffer | null, after: Buffer | null): void {
    if (!this.#keepsSteps) return
    lineage.steps.push({ seq, transaction, before, after })
    this.bytes += STEP_BYTES
  }

  #present(line: Buffer | null): Buffer {
    if (line) return line
    throw doesNotFit(this.#spec.name, 'has a change without its row')
  }

  #keyOf(line: Buffer): string {
    const bounds = this.#bounds
    const count = findFields(line, bounds)
    if (count !== this.#spec.fieldCount) {
      throw doesNotFit(this.#spec.name, `has rows of ${count} fields, not ${this.#spec.fieldCount}`)
    }
    let key = ''
    for (const [index, field] of this.#spec.key.entries()) {
      const start = bounds[field]!
      const end = bounds[field + 1]! - 1
      if (isUnsentAt(line, start, end)) throw doesNotFit(this.#spec.name, 'does not say which row a change is of')
      key += `${index === 0 ? '' : '\t'}${line.toString('latin1', start, end)}`
    }
    return key
  }
}
