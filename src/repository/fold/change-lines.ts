/** The steps of lineages as lines of the table's change tree (change-tree.ts). */
import type { TreeSpec } from '../tree/spec.ts'
import { ByteWriter } from '../tree/varint.ts'
import type { BaseRow } from './base-rows.ts'
import type { ChangeOp } from './change-tree.ts'
import { fieldOf, filled, hasUnsent, isUnsent } from './line-fields.ts'
import type { Lineage, Step, Truncation } from './net-changes.ts'

const TAB = 0x09
const NEWLINE = 0x0a
const NULL_FIELD = Buffer.from('\\N')

export class ChangeLines {
  readonly #spec: TreeSpec
  readonly #take: (lines: Uint8Array) => void

  /** `take` is given whole lines, in a view. */
  constructor(spec: TreeSpec, take: (lines: Uint8Array) => void) {
    this.#spec = spec
    this.#take = take
  }

  /** Whether its steps tell less than a change tree must: only the base row has the rest. */
  needsBase(lineage: Lineage, baseAnchor: Buffer | null): boolean {
    return lineage.steps.some(({ before, after }) => {
      if (after && hasUnsent(after)) return true
      return before !== null && hasUnsent(before) && (after === null || this.#moves(before, after, baseAnchor))
    })
  }

  /** `base` where the lineage has one; `baseLine` is its whole row where `needsBase` says so. */
  add(lineage: Lineage, base: BaseRow | null, baseLine: Buffer | null): void {
    const out = new ByteWriter(256 * lineage.steps.length)
    const whole = (line: Buffer | null) => (line && baseLine ? filled(line, baseLine) : line)
    for (const step of lineage.steps) {
      const before = whole(step.before)
      const after = whole(step.after)
      if (before === null) this.#line(out, step, 'I', after!)
      else if (after === null) this.#line(out, step, 'D', before)
      else if (!this.#moves(before, after, base?.anchor ?? null)) this.#line(out, step, 'U', after)
      else {
        this.#line(out, step, 'A', before)
        this.#line(out, step, 'B', after)
      }
    }
    if (out.length > 0) this.#take(out.done())
  }

  addTruncation({ seq, transaction }: Truncation): void {
    const nulls = (count: number) => Array.from({ length: count }, () => '\\N')
    const head = [...nulls(this.#spec.anchor === null ? 0 : 1), String(seq), String(transaction), 'T']
    this.#take(Buffer.from(`${[...head, ...nulls(this.#spec.fieldCount)].join('\t')}\n`))
  }

  /** Whether the row is filed elsewhere afterwards. */
  #moves(before: Buffer, after: Buffer, baseAnchor: Buffer | null): boolean {
    const { anchor, key } = this.#spec
    const sameKey = key.every((field) => {
      const old = fieldOf(before, field)
      return isUnsent(old) || old.equals(fieldOf(after, field))
    })
    if (!sameKey || anchor === null) return !sameKey
    const was = sentOr(fieldOf(before, anchor), baseAnchor)
    return !was.equals(sentOr(fieldOf(after, anchor), baseAnchor))
  }

  #line(out: ByteWriter, { seq, transaction }: Step, op: ChangeOp, row: Buffer): void {
    if (this.#spec.anchor !== null) {
      out.bytes(fieldOf(row, this.#spec.anchor))
      out.byte(TAB)
    }
    out.bytes(Buffer.from(`${seq}\t${transaction}\t${op}\t`))
    out.bytes(row)
    out.byte(NEWLINE)
  }
}

function sentOr(field: Buffer, base: Buffer | null): Buffer {
  return isUnsent(field) ? (base ?? NULL_FIELD) : field
}
