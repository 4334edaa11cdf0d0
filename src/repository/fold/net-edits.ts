/** What lineages come to, as edits of the table's rows and of its locator. */
import { assert } from '../../errors.ts'
import { encodeKey } from '../tree/key.ts'
import { locatorSpec, type TreeSpec } from '../tree/spec.ts'
import type { TreeEdit } from '../tree/tree-editor.ts'
import { type BaseRow, keyFields } from './base-rows.ts'
import { fieldsOf, filled, hasUnsent, isUnsent, joined, withNewline } from './line-fields.ts'

export class NetEdits {
  readonly #spec: TreeSpec
  readonly #hasLocator: boolean
  readonly #rows: TreeEdit[] = []
  readonly #locator: TreeEdit[] = []
  inserted = 0
  updated = 0
  deleted = 0

  constructor(spec: TreeSpec) {
    this.#spec = spec
    this.#hasLocator = locatorSpec(spec) !== null
  }

  /** Of a row that the tree before does not have. */
  addInserted(line: Buffer): void {
    const { key, pk, anchor } = this.#place(line, null)
    this.#rows.push({ key, expects: 'absent', after: withNewline(line) })
    if (this.#hasLocator) this.#locator.push({ key: encodeKey(pk), expects: 'absent', after: locatorLine(pk, anchor!) })
    this.inserted += 1
  }

  /** `baseLine` must be the whole row where `movesUnfilled` says so. */
  addBased({ lineage, anchor, key }: BaseRow, baseLine: Buffer | null): void {
    const oldPk = keyFields(lineage.base!)
    if (lineage.line === null) {
      this.#rows.push({ key, expects: 'present', after: null })
      if (this.#hasLocator) this.#locator.push({ key: encodeKey(oldPk), expects: 'present', after: null })
      this.deleted += 1
      return
    }
    this.updated += 1
    const line = baseLine ? filled(lineage.line, baseLine) : lineage.line
    const place = this.#place(line, anchor)
    if (Buffer.compare(place.key, key) === 0) {
      this.#rows.push({ key, expects: 'present', after: hasUnsent(line) ? fillLater(line) : withNewline(line) })
      return
    }
    this.#rows.push({ key, expects: 'present', after: null })
    this.#rows.push({ key: place.key, expects: 'absent', after: withNewline(line) })
    if (this.#hasLocator) this.#moveLocator(oldPk, place.pk, place.anchor!)
  }

  /** Whether the row ends at another key, and with fields that only its base row has. */
  movesUnfilled({ lineage, anchor, key }: BaseRow): boolean {
    if (lineage.line === null || !hasUnsent(lineage.line)) return false
    return Buffer.compare(this.#place(lineage.line, anchor).key, key) !== 0
  }

  takeRows(): TreeEdit[] {
    return merged(this.#spec, this.#rows)
  }

  takeLocator(): TreeEdit[] {
    return merged(this.#spec, this.#locator)
  }

  #moveLocator(oldPk: readonly Buffer[], pk: readonly Buffer[], anchor: Buffer): void {
    const oldKey = encodeKey(oldPk)
    const key = encodeKey(pk)
    const after = locatorLine(pk, anchor)
    if (Buffer.compare(oldKey, key) === 0) {
      this.#locator.push({ key, expects: 'present', after })
    } else {
      this.#locator.push({ key: oldKey, expects: 'present', after: null })
      this.#locator.push({ key, expects: 'absent', after })
    }
  }

  /** An anchor that was not sent is that of the base row. */
  #place(line: Buffer, baseAnchor: Buffer | null) {
    const fields = fieldsOf(line)
    const pk = this.#spec.key.map((field) => fields[field]!)
    if (this.#spec.anchor === null) return { key: encodeKey(pk), pk, anchor: null }
    const sent = fields[this.#spec.anchor]!
    const anchor = isUnsent(sent) ? baseAnchor : sent
    assert(anchor !== null, 'a row with fields that were not sent has a base')
    return { key: encodeKey([anchor, ...pk]), pk, anchor }
  }
}

function fillLater(line: Buffer): (before: Buffer) => Buffer {
  return (before) => withNewline(filled(line, before.subarray(0, -1)))
}

function locatorLine(pk: readonly Buffer[], anchor: Buffer): Buffer {
  return withNewline(joined([...pk, anchor]))
}

/** In order of keys. A row that leaves a key and another that comes to it are one edit. */
function merged(spec: TreeSpec, edits: readonly TreeEdit[]): TreeEdit[] {
  const sorted = [...edits].sort((a, b) => Buffer.compare(a.key, b.key))
  const out: TreeEdit[] = []
  for (const edit of sorted) {
    const last = out.at(-1)
    if (last && Buffer.compare(last.key, edit.key) === 0) out[out.length - 1] = exchange(spec, last, edit)
    else out.push(edit)
  }
  return out
}

function exchange(spec: TreeSpec, a: TreeEdit, b: TreeEdit): TreeEdit {
  const [left, came] = a.after === null ? [a, b] : [b, a]
  const fits = left.after === null && left.expects === 'present' && came.expects === 'absent'
  assert(fits, `no two rows of ${spec.name} have one key: lineages see to that`)
  return { key: came.key, expects: 'present', after: came.after }
}
