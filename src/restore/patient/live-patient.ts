/**
 * The same patient in the live database: found by the same ways, from what the patient was and from what the patient
 * is now. A stay that began since belongs to the picture as much as one that is gone.
 */
import { setImmediate } from 'node:timers/promises'
import { Failure } from '../../errors.ts'
import type { Manifest, TableManifest } from '../../repository/manifest.ts'
import { tableSpec } from '../../repository/table-spec.ts'
import type { TableInfo } from '../../source/contract.ts'
import type { LiveRows, RowQuery } from '../../source/row-contract.ts'
import { anchorFields, anchorLevels, type Closure, type ClosureTable, patientsClosure } from './closure.ts'
import { fieldNumber, referencesOf } from './references.ts'
import { fieldOf, giveField, isNull, type StoredRow, storedRow } from './stored-row.ts'
import type { StoredRows } from './stored-rows.ts'

export interface LiveTable {
  readonly past: TableManifest
  /** The table as it is now; null when it is gone. */
  readonly present: TableInfo | null
  /** Columns that were there then and are there now with the same type: the fields of `rows`. */
  readonly shared: readonly string[]
  /** By `StoredRow.key`. Each key's rows: more than one only there. */
  readonly rows: ReadonlyMap<string, readonly StoredRow[]>
  /** Keys of `rows` that were found by key only: now they are somebody else's. */
  readonly elsewhere: ReadonlySet<string>
}

export async function livePatient(live: LiveRows, closure: Closure): Promise<ReadonlyMap<string, LiveTable>> {
  const search = new LiveSearch(live, closure.manifest, closure.patients)
  for (const level of anchorLevels(closure.manifest)) {
    for (const table of level) await search.readAnchored(table, rowsIn(closure))
  }
  return await search.readOthers(closure)
}

export interface BothSides {
  readonly closure: Closure
  readonly live: LiveRows
  /** By table. */
  readonly present: ReadonlyMap<string, LiveTable>
}

/**
 * Then and now at once: the repository is read without waiting for the database, which is asked for each level of tables
 * as soon as it is there and the levels before are known on both sides.
 * @throws as `patientsClosure`; schema-changed, source-…
 */
export async function bothSides(
  stored: StoredRows,
  patients: readonly Buffer[],
  opening: Promise<LiveRows>,
): Promise<BothSides> {
  const { manifest } = stored
  let searching = opening.then((live) => new LiveSearch(live, manifest, patients))
  const closure = await patientsClosure(stored, patients, (level, pastOf) => {
    searching = searching.then(async (search) => {
      for (const table of level) await search.readAnchored(table, pastOf)
      return search
    })
    // Whoever waits for it is told.
    searching.catch(() => {})
  })
  const others = searching.then((search) => search.readOthers(closure))
  others.catch(() => {})
  // The database has been asked: it looks while that is worked out which takes a while.
  await setImmediate()
  void closure.needed
  return { closure, live: await opening, present: await others }
}

type RowsOf = (table: string) => readonly StoredRow[]

function rowsIn({ tables }: Closure): RowsOf {
  const rows = new Map(tables.map((found) => [found.table.name, found.rows]))
  return (table) => rows.get(table) ?? []
}

class LiveSearch {
  readonly #tables = new Map<string, LiveTable>()
  readonly #live: LiveRows
  readonly #manifest: Manifest
  readonly #patients: readonly Buffer[]
  readonly #infos: ReadonlyMap<string, TableInfo>

  constructor(live: LiveRows, manifest: Manifest, patients: readonly Buffer[]) {
    this.#live = live
    this.#manifest = manifest
    this.#patients = patients
    this.#infos = new Map(live.schema.tables.map((table) => [table.name, table]))
  }

  /** Tables come by level. */
  async readAnchored(table: TableManifest, pastOf: RowsOf): Promise<void> {
    const rowsOf = (name: string) => [...pastOf(name), ...this.#present(name)]
    const anchors = anchorFields(this.#manifest, this.#patients, table, rowsOf)
    await this.#read(table, [{ columns: [table.anchor!], values: anchors.map((field) => [field]) }])
  }

  /** What no anchor leads to. */
  async readOthers(closure: Closure): Promise<ReadonlyMap<string, LiveTable>> {
    const pastOf = rowsIn(closure)
    for (const { table } of closure.tables) if (table.anchor === null) await this.#readReferring(table, pastOf)
    // The longest wait first: there is more to do meanwhile.
    for (const found of closure.tables.toSorted((a, b) => b.rows.length - a.rows.length))
      await this.#readElsewhere(found)
    return this.#tables
  }

  async #readReferring(table: TableManifest, pastOf: RowsOf): Promise<void> {
    const lookups = referencesOf(this.#manifest)
      .filter(({ from }) => from.name === table.name)
      .map((reference) => ({
        columns: reference.fromFields.map((field) => table.columns[field]!.name),
        values: reference.to.flatMap((to) =>
          [...pastOf(to.name), ...this.#present(to.name)].map((row) =>
            reference.toColumns.map((column) => fieldOf(row, fieldNumber(to, column))),
          ),
        ),
      }))
      .map(({ columns, values }) => ({ columns, values: values.filter((fields) => !fields.some(isNull)) }))
    await this.#read(table, lookups)
  }

  /** Rows that the patient had and that are not among the patient's now: gone, or somebody else's. */
  async #readElsewhere({ table, rows }: ClosureTable): Promise<void> {
    const known = this.#tables.get(table.name)
    if (!known?.present || table.primaryKey.length === 0) return
    const missing = rows.filter((row) => !known.rows.has(row.key))
    const where = { columns: table.primaryKey, values: keysOf(table, missing), areKeys: true }
    const found = await this.#query(table, known.present, known.shared, [where])
    for (const [key, others] of found) {
      ;(known.rows as Map<string, readonly StoredRow[]>).set(key, others)
      ;(known.elsewhere as Set<string>).add(key)
    }
  }

  #present(name: string): StoredRow[] {
    return [...(this.#tables.get(name)?.rows.values() ?? [])].flat()
  }

  async #read(past: TableManifest, lookups: readonly RowQuery['where'][]): Promise<void> {
    const present = this.#infos.get(past.name) ?? null
    const shared = present ? sharedColumns(past, present) : []
    const rows = present ? await this.#query(past, present, shared, lookups) : new Map<string, StoredRow[]>()
    this.#tables.set(past.name, { past, present, shared, rows, elsewhere: new Set() })
  }

  async #query(
    past: TableManifest,
    present: TableInfo,
    shared: readonly string[],
    lookups: readonly RowQuery['where'][],
  ): Promise<Map<string, StoredRow[]>> {
    refuseLostKey(past, present, shared)
    let rows = new Map<string, StoredRow[]>()
    for (const where of lookups) {
      const lines = await this.#live.rows({ table: present, columns: shared, where })
      // Equal rows of a table without a key are found together, or not at all: a second way to them brings no more.
      const found = byKey(lines.map((line) => spread(past, shared, line)))
      rows = rows.size === 0 ? found : new Map([...rows, ...found])
    }
    return rows
  }
}

function byKey(rows: readonly StoredRow[]): Map<string, StoredRow[]> {
  const found = new Map<string, StoredRow[]>()
  for (const row of rows) {
    const equal = found.get(row.key)
    if (equal) equal.push(row)
    else found.set(row.key, [row])
  }
  return found
}

/** Of rows that were there together. */
function keysOf(table: TableManifest, rows: readonly StoredRow[]): RowQuery['where']['values'] {
  const { key } = tableSpec(table)
  const fieldsOf = (row: StoredRow) => key.map((field) => fieldOf(row, field))
  return {
    length: rows.length,
    slice: (start = 0, end = rows.length) => rows.slice(start, end).map(fieldsOf),
    each: (position, start, end, take) => {
      for (let row = start; row < end; row += 1) giveField(rows[row]!, key[position]!, take)
    },
  }
}

/** By name and type; in the order of then. */
function sharedColumns(past: TableManifest, present: TableInfo): string[] {
  const types = new Map(present.columns.map(({ name, type }) => [name, type]))
  return past.columns.filter(({ name, type }) => types.get(name) === type).map(({ name }) => name)
}

/** Without its key or its anchor, nothing says which row of now is which of then. */
function refuseLostKey(past: TableManifest, present: TableInfo, shared: readonly string[]): void {
  refuseOtherKey(past, present)
  const wanted = [...past.primaryKey, ...(past.anchor === null ? [] : [past.anchor])]
  const lost = wanted.filter((column) => !shared.includes(column))
  if (lost.length === 0) return
  throw new Failure('schema-changed', `column ${lost[0]} of ${past.name} is gone or has another type now`, {
    context: { table: past.name },
    hints: ['Restore into another database with `chartkeep restore database`, and take over the rows by hand.'],
  })
}

function refuseOtherKey(past: TableManifest, present: TableInfo): void {
  if (past.primaryKey.join() === present.primaryKey.join()) return
  const shown = (key: readonly string[]) => (key.length === 0 ? 'none' : key.join(', '))
  throw new Failure(
    'schema-changed',
    `the primary key of ${past.name} was ${shown(past.primaryKey)}, and is ${shown(present.primaryKey)} now`,
    { context: { table: past.name }, hints: ['Restore into another database with `chartkeep restore database`.'] },
  )
}

/** A line of the shared columns as a row of then: what is not shared any more reads as NULL. */
function spread(past: TableManifest, shared: readonly string[], line: Buffer): StoredRow {
  if (shared.length === past.columns.length) return storedRow(past, line, past.columns.length)
  const fields = line.toString('latin1').split('\t')
  const byName = new Map(shared.map((column, position) => [column, fields[position]!]))
  const text = past.columns.map(({ name }) => byName.get(name) ?? '\\N').join('\t')
  return storedRow(past, Buffer.from(text, 'latin1'), past.columns.length)
}
