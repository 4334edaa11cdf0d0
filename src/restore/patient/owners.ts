/**
 * Whose each row is, of the two patients of a merge: along anchors, from the patients' keys down.
 *
 *     now      what the rows of now say
 *     after    a row of then is whose it was; one that was written since is whose the row is that it hangs on
 */
import type { TableManifest } from '../../repository/manifest.ts'
import { anchorLevels, type Closure } from './closure.ts'
import { anchorReferencesOf, fieldNumber, type Reference } from './references.ts'
import type { RowFact, TableFacts } from './row-status.ts'
import { fieldsText, type StoredRow } from './stored-row.ts'

export type OwnerSide = 'now' | 'after'

/** 0 or 1: the place among the closure's patients. */
export type Owner = number

export class Owners {
  readonly #side: OwnerSide
  readonly #patients: ReadonlyMap<string, Owner>
  readonly #patientColumn: string
  readonly #facts: ReadonlyMap<string, readonly RowFact[]>
  readonly #owners = new Map<RowFact, Owner>()
  /** By table and columns: whose a value is. */
  readonly #values = new Map<string, ReadonlyMap<string, Owner>>()

  /** @param given rows written since that hang on a patient's key itself, and are the other one's */
  constructor(closure: Closure, tables: readonly TableFacts[], side: OwnerSide, given: ReadonlySet<RowFact>) {
    const { manifest, patients } = closure
    this.#side = side
    this.#patients = new Map(patients.map((key, owner) => [key.toString('latin1'), owner]))
    this.#patientColumn = `${manifest.patient!.table}.${manifest.patient!.key}`
    this.#facts = new Map(tables.map(({ table, rows }) => [table.name, rows]))
    const anchors = new Map(anchorReferencesOf(manifest).map((reference) => [reference.from.name, reference]))
    for (const table of anchorLevels(manifest).flat()) this.#own(table, anchors.get(table.name) ?? null, given)
  }

  /** Null of a row that no anchor leads to, or that is somebody else's than these two. */
  of(fact: RowFact): Owner | null {
    return this.#owners.get(fact) ?? null
  }

  /** Whose the row is that the fields of a referring row name. @param value as `fieldsText` */
  ofTarget({ to, toColumns }: Reference, value: string | null): Owner | null {
    if (value === null) return null
    for (const table of to) {
      const owner = this.#valuesOf(table, toColumns).get(value)
      if (owner !== undefined) return owner
    }
    return null
  }

  /** Tables come by level: whose the rows above are is known. @param anchor null in the table of patients */
  #own(table: TableManifest, anchor: Reference | null, given: ReadonlySet<RowFact>): void {
    const ownKey = [fieldNumber(table, table.anchor!)]
    for (const fact of this.#facts.get(table.name) ?? []) {
      const row = this.#rowOf(fact)
      if (row === null) continue
      const value = fieldsText(row, anchor?.fromFields ?? ownKey)
      const isDirect = table.anchorPath.length <= 2
      const owner = isDirect ? this.#patients.get(value ?? '') : this.ofTarget(anchor!, value)
      if (owner === undefined || owner === null) continue
      this.#owners.set(fact, given.has(fact) ? 1 - owner : owner)
    }
  }

  /** The row that says whose it is. */
  #rowOf({ status, past, present }: RowFact): StoredRow | null {
    if (this.#side === 'now') return present
    // What came from a third one is not theirs to be divided.
    return past ?? (status === 'conflicting' ? null : present)
  }

  #valuesOf(table: TableManifest, columns: readonly string[]): ReadonlyMap<string, Owner> {
    const name = `${table.name} ${columns.join()}`
    const known = this.#values.get(name)
    if (known) return known
    const fields = columns.map((column) => fieldNumber(table, column))
    const values = new Map<string, Owner>()
    const rows = this.#facts.get(table.name) ?? []
    const sides = this.#side === 'now' ? (['present'] as const) : (['present', 'past'] as const)
    for (const side of sides) {
      for (const fact of rows) {
        const owner = this.#owners.get(fact)
        const value = fact[side] === null ? null : fieldsText(fact[side], fields)
        if (owner !== undefined && value !== null) values.set(value, owner)
      }
    }
    // Who has no row, then or now, is meant all the same.
    const isPatients =
      columns.length === 1 && this.#patientColumn === `${table.partitionOf ?? table.name}.${columns[0]}`
    if (isPatients) for (const [value, owner] of this.#patients) values.set(value, owner)
    this.#values.set(name, values)
    return values
  }
}
