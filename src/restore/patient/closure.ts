/**
 * One patient over all tables, as of one moment; or the two of a merge, together.
 *
 *     patient's key ─→ rows anchored to it ─→ keys of those ─→ rows anchored to them …          (by range, exact)
 *                  └─→ rows of tables without anchor that refer to any of these                 (looked through, if small)
 *     every row of it ─→ what it refers to outside: dictionaries, staff, other patients         (needed, never restored)
 *
 * The way down follows the anchors that the configuration gives: they are how rows lie, so that a patient is found in a
 * few ranges of each tree. What cannot be found that way, or belongs to another patient as well, is not guessed: it is
 * listed with its reason.
 */
import { Failure } from '../../errors.ts'
import type { Manifest, TableManifest } from '../../repository/manifest.ts'
import { fieldNumber, type Reference, referencesOf, tablesNamed } from './references.ts'
import { fieldOf, fieldsText, isNull, type StoredRow } from './stored-row.ts'
import type { StoredRows } from './stored-rows.ts'

export interface ClosureTable {
  readonly table: TableManifest
  /** How its rows were found: `patient`, `anchor <column>`, or `reference <constraint>`. */
  readonly found: string
  readonly rows: readonly StoredRow[]
}

/** A row outside of the closure that rows of it refer to. */
export interface NeededRow {
  readonly table: TableManifest
  /** Names of the columns referred to, with the fields as they stand in the referring line. */
  readonly columns: readonly string[]
  readonly fields: readonly Buffer[]
  /** Tables of the closure that refer to it. */
  readonly by: readonly string[]
}

export interface LeftOut {
  readonly table: string
  readonly reason: string
}

export interface Closure {
  readonly manifest: Manifest
  /** Their keys, as fields of a line: one, or the two of a merge. */
  readonly patients: readonly Buffer[]
  /** Every table whose rows lead to patients, also where this one has none; in the order of the manifest. */
  readonly tables: readonly ClosureTable[]
  /** Worked out when it is first asked for. */
  readonly needed: readonly NeededRow[]
  readonly leftOut: readonly LeftOut[]
  /** Of `tables`, those whose rows are the snapshot's, which is older than the moment, and why. */
  readonly older: readonly LeftOut[]
}

/** Whether rows of the table may be a patient's: changes of no other are worth reading. */
export function mayHoldPatients({ anchor, rows }: TableManifest): boolean {
  return anchor !== null || rows.textBytes <= LOOK_THROUGH_BYTES_MAX
}

/** Row text of a table without anchor that is looked through for rows that refer to the patient's. */
const LOOK_THROUGH_BYTES_MAX = 16 * 1024 * 1024

/** Of a level of tables, when all that is needed to look for its rows is known. @param pastOf rows of the levels before */
export type LevelReached = (level: readonly TableManifest[], pastOf: (table: string) => readonly StoredRow[]) => void

/**
 * @param patient the patient's key as a field of a line
 * @param reached is told before the rows of a level are read
 * @throws bad-configuration when the source has no patients; repository-damaged, object-missing, store-…
 */
export async function patientClosure(
  stored: StoredRows,
  patient: Buffer,
  reached: LevelReached = () => {},
): Promise<Closure> {
  return await patientsClosure(stored, [patient], reached)
}

/** As `patientClosure`, of several who are looked at as one: what of one refers to the other is not outside. */
export async function patientsClosure(
  stored: StoredRows,
  patients: readonly Buffer[],
  reached: LevelReached = () => {},
): Promise<Closure> {
  const { manifest } = stored
  if (!manifest.patient) {
    throw new Failure('bad-configuration', `source ${manifest.sourceName} has no patient table in its configuration`, {
      hints: ['Give `patient` and `anchors`: `chartkeep discover` drafts them. Then run `chartkeep backup`.'],
    })
  }
  const search = new ClosureSearch(stored, manifest, patients)
  await search.followAnchors(reached)
  await search.followReferences()
  const tables = search.tables()
  let needed: NeededRow[] | null = null
  return {
    manifest,
    patients,
    tables,
    get needed() {
      needed ??= search.needed()
      return needed
    },
    leftOut: [...search.leftOut, ...notKnown(stored)],
    older: olderThanAsked(stored, tables),
  }
}

/** The patient may have had rows there: nobody knows. */
function notKnown({ added }: StoredRows): LeftOut[] {
  return added.map((table) => ({ table, reason: 'it appeared after the snapshot: its rows of then are not known' }))
}

function olderThanAsked(stored: StoredRows, tables: readonly ClosureTable[]): LeftOut[] {
  return tables.flatMap(({ table }) => {
    const reason = stored.olderBecause(table)
    return reason === null ? [] : [{ table: table.name, reason }]
  })
}

class ClosureSearch {
  readonly leftOut: LeftOut[] = []
  readonly #stored: StoredRows
  readonly #manifest: Manifest
  readonly #patients: readonly Buffer[]
  readonly #references: readonly Reference[]
  readonly #found = new Map<string, ClosureTable>()

  constructor(stored: StoredRows, manifest: Manifest, patients: readonly Buffer[]) {
    this.#stored = stored
    this.#manifest = manifest
    this.#patients = patients
    this.#references = referencesOf(manifest)
  }

  tables(): ClosureTable[] {
    return this.#manifest.tables.flatMap(({ name }) => this.#found.get(name) ?? [])
  }

  async followAnchors(reached: LevelReached): Promise<void> {
    const leading = new Set(anchorLevels(this.#manifest).flat())
    for (const table of this.#manifest.tables.filter((one) => one.anchor !== null && !leading.has(one))) {
      const reason = `its anchor ${table.anchor} leads to no patient: declare the link in the configuration`
      this.leftOut.push({ table: table.name, reason })
    }
    for (const level of anchorLevels(this.#manifest)) {
      reached(level, (name) => this.#found.get(name)?.rows ?? [])
      await Promise.all(level.map((table) => this.#readAnchored(table)))
    }
  }

  async #readAnchored(table: TableManifest): Promise<void> {
    const anchors = anchorFields(this.#manifest, this.#patients, table, (name) => this.#found.get(name)?.rows ?? [])
    const rows = await this.#stored.byAnchors(table, anchors)
    const found = table.anchorPath.length === 1 ? 'patient' : `anchor ${table.anchor}`
    this.#found.set(table.name, { table, found, rows })
  }

  /** Tables without anchor, to which nothing but a reference leads; again as long as more rows come to light. */
  async followReferences(): Promise<void> {
    const down = this.#references.filter(({ from }) => from.anchor === null)
    const tooLarge = new Set<string>()
    for (let grew = true; grew; ) {
      grew = false
      for (const reference of down.filter(({ to }) => to.some((table) => this.#isPatients(table)))) {
        const { name, rows } = reference.from
        if (rows.textBytes <= LOOK_THROUGH_BYTES_MAX) grew = (await this.#lookThrough(reference)) || grew
        else if (!tooLarge.has(name)) {
          tooLarge.add(name)
          this.leftOut.push({ table: name, reason: tooLargeReason(reference) })
        }
      }
    }
  }

  /** @returns whether it found rows that were not known */
  async #lookThrough(reference: Reference): Promise<boolean> {
    const { from, name } = reference
    const wanted = this.#valuesOf(reference)
    const known = this.#found.get(from.name)
    const rows = new Map<string, StoredRow>()
    const knownIds = equalRowIds()
    for (const row of known?.rows ?? []) rows.set(knownIds(row), row)
    const ids = equalRowIds()
    for await (const row of this.#stored.all(from)) {
      const value = fieldsText(row, reference.fromFields)
      if (value !== null && wanted.has(value)) rows.set(ids(row), row)
    }
    const before = known?.rows.length ?? 0
    if (rows.size === 0 || rows.size === before) return false
    const found = known?.found ?? `reference ${name}`
    this.#found.set(from.name, { table: from, found, rows: [...rows.values()] })
    return true
  }

  /** Of a table to which anchors or references have led: dictionaries are not, whoever refers to them. */
  #isPatients(table: TableManifest): boolean {
    return this.#found.has(table.name)
  }

  /** Values of the referenced columns among the rows found so far. */
  #valuesOf({ to, toColumns }: Reference): Set<string> {
    const values = new Set<string>()
    for (const table of to) {
      const fields = toColumns.map((column) => fieldNumber(table, column))
      for (const row of this.#found.get(table.name)?.rows ?? []) {
        const value = fieldsText(row, fields)
        if (value !== null) values.add(value)
      }
    }
    return values
  }

  needed(): NeededRow[] {
    const needed = new Map<string, Map<string, NeededRow & { by: string[] }>>()
    const ownValues = new Map<string, ReadonlySet<string>>()
    for (const reference of this.#references) {
      const rows = this.#found.get(reference.from.name)?.rows ?? []
      if (rows.length === 0) continue
      const target = `${reference.to[0]!.name} ${reference.toColumns.join()}`
      const own = ownValues.get(target) ?? this.#valuesOf(reference)
      ownValues.set(target, own)
      const known = needed.get(target) ?? new Map<string, NeededRow & { by: string[] }>()
      needed.set(target, known)
      // Fifty thousand rows refer to a few others.
      const passed = new Set<string>()
      for (const row of rows) {
        const value = fieldsText(row, reference.fromFields)
        if (value === null || passed.has(value)) continue
        passed.add(value)
        if (own.has(value)) continue
        const found = known.get(value)
        if (!found) known.set(value, neededRow(reference, row))
        else if (!found.by.includes(row.table.name)) found.by.push(row.table.name)
      }
    }
    return [...needed.values()].flatMap((known) => [...known.values()])
  }
}

/** Tables whose anchors lead to patients, by the length of the way: each needs the rows of those before it. */
export function anchorLevels({ patient, tables }: Manifest): TableManifest[][] {
  const goal = patient ? `${patient.table}.${patient.key}` : null
  const leading = tables.filter(({ anchor, anchorPath }) => anchor !== null && anchorPath.at(-1) === goal)
  const lengths = [...new Set(leading.map(({ anchorPath }) => anchorPath.length))].sort((a, b) => a - b)
  return lengths.map((length) => leading.filter(({ anchorPath }) => anchorPath.length === length))
}

/**
 * The values of `table`'s anchor that lead to the patients, as fields: of the table that the way goes through, the rows
 * that are known to be theirs say them.
 */
export function anchorFields(
  manifest: Manifest,
  patients: readonly Buffer[],
  { anchorPath }: TableManifest,
  rowsOf: (table: string) => readonly StoredRow[],
): Buffer[] {
  if (anchorPath.length <= 2) return [...patients]
  const through = anchorPath[1]!
  const column = through.slice(through.lastIndexOf('.') + 1)
  const fields = new Map<string, Buffer>()
  for (const table of tablesNamed(manifest, through.slice(0, through.lastIndexOf('.')))) {
    const number = fieldNumber(table, column)
    for (const row of rowsOf(table.name)) {
      const field = fieldOf(row, number)
      if (!isNull(field)) fields.set(field.toString('latin1'), Buffer.from(field))
    }
  }
  return [...fields.values()]
}

/** Of a table without a key, rows may be equal: each is told by its line and how many like it came before. */
function equalRowIds(): (row: StoredRow) => string {
  const counts = new Map<string, number>()
  return ({ line }) => {
    const text = line.toString('latin1')
    const count = counts.get(text) ?? 0
    counts.set(text, count + 1)
    return `${count} ${text}`
  }
}

function neededRow(reference: Reference, row: StoredRow): NeededRow & { by: string[] } {
  const fields = reference.fromFields.map((field) => Buffer.from(fieldOf(row, field)))
  return { table: reference.to[0]!, columns: reference.toColumns, fields, by: [row.table.name] }
}

function tooLargeReason({ from, name }: Reference): string {
  const { textBytes } = from.rows
  return `it refers to the patient's rows by ${name}, has no anchor, and holds ${textBytes} bytes of rows to look through: give it an anchor`
}
