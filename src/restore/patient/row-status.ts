/**
 * The patient then beside the patient now, row by row: the facts of a plan. What is to be done about them is the
 * policy's to say (plan.ts).
 *
 *     missing      was there, is not                        changed      is there, with other values
 *     same         is there as it was                       newer        is there, was not
 *     conflicting  cannot be put back as it was: its key is somebody else's now, its parent is gone, a unique value is taken
 */
import type { TableManifest } from '../../repository/manifest.ts'
import { tableSpec } from '../../repository/table-spec.ts'
import type { TableInfo } from '../../source/contract.ts'
import type { LiveRows } from '../../source/row-contract.ts'
import type { Closure, NeededRow } from './closure.ts'
import { type BothSides, type LiveTable, livePatient } from './live-patient.ts'
import { anchorReferencesOf, fieldNumber, referencesOf } from './references.ts'
import { fieldOf, fieldsText, isSameLine, type StoredRow } from './stored-row.ts'
import type { StoredRows } from './stored-rows.ts'

/** `moved`: unmerge.ts says it of a row that `factsOf` found changed or newer. */
export type RowStatus = 'missing' | 'changed' | 'moved' | 'same' | 'newer' | 'conflicting'

export interface RowFact {
  readonly status: RowStatus
  readonly past: StoredRow | null
  readonly present: StoredRow | null
  /** Of a changed row: the columns that differ. */
  readonly columns: readonly string[]
  /** Of a conflicting row: why. Names columns, constraints and tables, never values. */
  readonly cause: string | null
}

export interface TableFacts {
  readonly table: TableManifest
  readonly present: TableInfo | null
  /** Columns of then that are there now with the same type: what can be compared, and written. */
  readonly columnsShared: readonly string[]
  /** Columns of then that are gone, or of another type now: their values cannot be put back. */
  readonly columnsLost: readonly string[]
  /** Columns of now that were not there then: rows that are put back take their defaults. */
  readonly columnsNew: readonly string[]
  /** Why its rows of then are the snapshot's, which is older than the moment; null where they are the moment's. */
  readonly olderBecause: string | null
  readonly rows: readonly RowFact[]
}

export interface NeededFact {
  readonly needed: NeededRow
  readonly there: boolean
}

export interface PatientFacts {
  readonly tables: readonly TableFacts[]
  readonly needed: readonly NeededFact[]
}

/** @throws schema-changed when a key or an anchor is gone; source-… */
export async function patientFacts(live: LiveRows, closure: Closure, stored: StoredRows): Promise<PatientFacts> {
  return await factsOf({ live, closure, present: await livePatient(live, closure) }, stored)
}

/** @throws source-… */
export async function factsOf({ closure, live, present }: BothSides, stored: StoredRows): Promise<PatientFacts> {
  const needed = await neededFacts(live, closure)
  const tables: TableFacts[] = []
  for (const { table, rows } of closure.tables) {
    const found = present.get(table.name)!
    const facts = await withOwners(stored, table, rowFacts(table, rows, found))
    const causes = await conflictCauses(live, { closure, table, found, facts, needed, present })
    tables.push({
      table,
      present: found.present,
      columnsShared: found.shared,
      columnsLost: table.columns.filter(({ name }) => !found.shared.includes(name)).map(({ name }) => name),
      columnsNew: columnsNew(table, found.present),
      olderBecause: stored.olderBecause(table),
      rows: causes.size === 0 ? facts : facts.map((fact) => withCause(fact, causes)),
    })
  }
  return { tables: withoutParents(closure, tables, present), needed }
}

/** What is new here may have been somebody else's then: it came by a merge, and is not the patient's to lose. */
async function withOwners(stored: StoredRows, table: TableManifest, facts: readonly RowFact[]): Promise<RowFact[]> {
  const newer = facts.filter(({ status }) => status === 'newer')
  if (table.primaryKey.length === 0 || newer.length === 0) return [...facts]
  const { key } = tableSpec(table)
  const keys = newer.map(({ present }) => key.map((field) => fieldOf(present!, field)))
  const known = new Set((await stored.byKeys(table, keys)).map(({ key: text }) => text))
  return facts.map((fact) => {
    const isOthers = fact.status === 'newer' && known.has(fact.present!.key)
    return isOthers ? { ...fact, status: 'conflicting', cause: "it was somebody else's then" } : fact
  })
}

const ELSEWHERE = 'its key is in use for somebody else now'
/** Of what hangs on another conflict. */
export const WITHOUT_PARENT = 'the row that it hangs on is somebody else’s now, or cannot be put back'

/**
 * What hangs on a row that cannot be put back, or is somebody else's now, is left alone too (F20): and so on down. Along
 * anchors this goes through rows that are as they were: whose they are hangs on the rows above them.
 */
function withoutParents(
  { manifest }: Closure,
  tables: readonly TableFacts[],
  live: ReadonlyMap<string, LiveTable>,
): TableFacts[] {
  const facts = new Map(tables.map((table) => [table.table.name, [...table.rows]]))
  const anchors = new Set(anchorReferencesOf(manifest))
  const references = [...referencesOf(manifest), ...anchors].filter(({ from }) => facts.has(from.name))
  const lost = new Map(tables.map(({ table, rows }) => [table.name, lostRows(rows, live.get(table.name)!)] as const))
  for (let grew = true; grew; ) {
    grew = false
    for (const reference of references) {
      const { from, fromFields, to, toColumns } = reference
      const values = new Set(to.flatMap((table) => lostValues(table, facts, lost, toColumns)))
      if (values.size === 0) continue
      const rows = facts.get(from.name)!
      for (const [index, fact] of rows.entries()) {
        const isKnown = lost.get(from.name)!.has(index) || (fact.status === 'same' && !anchors.has(reference))
        if (isKnown || !refersToOneOf(values, (fact.past ?? fact.present)!, fromFields)) continue
        lost.get(from.name)!.add(index)
        const isOpen = fact.status !== 'same' && fact.status !== 'conflicting'
        if (isOpen) rows[index] = { ...fact, status: 'conflicting', cause: WITHOUT_PARENT }
        grew = true
      }
    }
  }
  return tables.map((table) => ({ ...table, rows: facts.get(table.table.name)! }))
}

/** Numbers of those that cannot be put back, and of those that are somebody else's now. */
function lostRows(facts: readonly RowFact[], { elsewhere }: LiveTable): Set<number> {
  const lost = new Set<number>()
  for (let index = 0; index < facts.length; index += 1) {
    const { status, past, present } = facts[index]!
    const isLost = present === null ? status === 'conflicting' : elsewhere.has(present.key)
    if (past !== null && isLost) lost.add(index)
  }
  return lost
}

function lostValues(
  table: TableManifest,
  facts: ReadonlyMap<string, readonly RowFact[]>,
  lost: ReadonlyMap<string, ReadonlySet<number>>,
  columns: readonly string[],
): string[] {
  const fields = columns.map((column) => fieldNumber(table, column))
  const rows = facts.get(table.name) ?? []
  return [...(lost.get(table.name) ?? [])].flatMap((index) => {
    const { past, present } = rows[index]!
    return fieldsText((past ?? present)!, fields) ?? []
  })
}

function columnsNew(table: TableManifest, present: TableInfo | null): string[] {
  return (present?.columns ?? []).filter(({ name }) => fieldNumber(table, name) < 0).map(({ name }) => name)
}

function withCause(fact: RowFact, causes: ReadonlyMap<RowFact, string>): RowFact {
  const cause = causes.get(fact)
  return cause === undefined ? fact : { ...fact, status: 'conflicting', cause }
}

const NONE: readonly string[] = []

function rowFacts(table: TableManifest, past: readonly StoredRow[], found: LiveTable): RowFact[] {
  // Of equal rows without a key, as many are the same as there were.
  const paired = new Map<string, number>()
  const facts = past.map((row): RowFact => {
    const equal = found.rows.get(row.key)
    const before = equal ? (paired.get(row.key) ?? 0) : 0
    const present = equal?.[before]
    if (!present) return { status: 'missing', past: row, present: null, columns: NONE, cause: null }
    paired.set(row.key, before + 1)
    const columns = differences(table, found.shared, row, present)
    return { status: columns.length === 0 ? 'same' : 'changed', past: row, present, columns, cause: null }
  })
  for (const [key, rows] of found.rows) {
    if (found.elsewhere.has(key)) continue
    for (let index = paired.get(key) ?? 0; index < rows.length; index += 1) {
      facts.push({ status: 'newer', past: null, present: rows[index]!, columns: NONE, cause: null })
    }
  }
  return facts
}

function differences(
  table: TableManifest,
  shared: readonly string[],
  past: StoredRow,
  present: StoredRow,
): readonly string[] {
  if (isSameLine(past, present)) return NONE
  const fields = shared.map((column) => fieldNumber(table, column))
  const now = fields.map((field) => fieldOf(present, field))
  return shared.filter((_, index) => !fieldOf(past, fields[index]!).equals(now[index]!))
}

interface ConflictQuestion {
  readonly closure: Closure
  readonly table: TableManifest
  readonly found: LiveTable
  readonly facts: readonly RowFact[]
  readonly needed: readonly NeededFact[]
  readonly present: ReadonlyMap<string, LiveTable>
}

async function conflictCauses(live: LiveRows, question: ConflictQuestion): Promise<Map<RowFact, string>> {
  const { table, found, facts } = question
  const causes = new Map<RowFact, string>()
  const wanted = facts.filter(({ status }) => status === 'missing' || status === 'changed')
  if (!found.present) for (const fact of wanted) causes.set(fact, `table ${table.name} is gone`)
  for (const fact of wanted) {
    if (fact.present && found.elsewhere.has(fact.present.key)) causes.set(fact, ELSEWHERE)
  }
  for (const [fact, cause] of parentCauses(question, wanted)) causes.set(fact, cause)
  if (found.present) for (const [fact, cause] of await uniqueCauses(live, question, wanted)) causes.set(fact, cause)
  return causes
}

/** What a row refers to outside of the patient must be there. Inside, the plan itself brings it back. */
function parentCauses({ closure, table, needed }: ConflictQuestion, wanted: readonly RowFact[]): [RowFact, string][] {
  const gone = needed.filter(({ there }) => !there)
  if (gone.length === 0) return []
  return referencesOf(closure.manifest)
    .filter(({ from }) => from.name === table.name)
    .flatMap((reference) => {
      const missing = gone.filter(
        (fact) => fact.needed.table === reference.to[0] && fact.needed.columns.join() === reference.toColumns.join(),
      )
      if (missing.length === 0) return []
      const values = new Set(missing.map((fact) => joined(fact.needed.fields)))
      return wanted
        .filter(({ past }) => refersToOneOf(values, past!, reference.fromFields))
        .map((fact): [RowFact, string] => [
          fact,
          `it refers by ${reference.name} to a row of ${reference.to[0]!.name} that is gone`,
        ])
    })
}

/** Another row may have taken a unique value since. */
async function uniqueCauses(
  live: LiveRows,
  { table, found, facts }: ConflictQuestion,
  wanted: readonly RowFact[],
): Promise<[RowFact, string][]> {
  const causes: [RowFact, string][] = []
  const uniqueKeys = found.present!.uniqueKeys.filter(
    (key) => key.join() !== table.primaryKey.join() && key.every((column) => found.shared.includes(column)),
  )
  if (uniqueKeys.length === 0) return causes
  // Rows that the plan may change or remove free what they hold: the database decides about those when it is applied.
  const own = new Set(facts.flatMap(({ present }) => (present ? [present.key] : [])))
  for (const columns of uniqueKeys) {
    const fields = columns.map((column) => fieldNumber(table, column))
    const holders = wanted.filter(({ past }) => fieldsText(past!, fields) !== null)
    if (holders.length === 0) continue
    const values = holders.map(({ past }) => fields.map((field) => fieldOf(past!, field)))
    const query = [...table.primaryKey, ...columns]
    const lines = await live.rows({ table: found.present!, columns: query, where: { columns, values } })
    const taken = new Set<string>()
    for (const line of lines) {
      const parts = line
        .toString('latin1')
        .split('\t')
        .map((part) => Buffer.from(part, 'latin1'))
      const key = joined(parts.slice(0, table.primaryKey.length))
      if (!own.has(key)) taken.add(joined(parts.slice(table.primaryKey.length)))
    }
    for (const fact of holders) {
      if (!refersToOneOf(taken, fact.past!, fields)) continue
      causes.push([fact, `another row holds its unique ${columns.join(', ')} now`])
    }
  }
  return causes
}

async function neededFacts(live: LiveRows, closure: Closure): Promise<NeededFact[]> {
  const infos = new Map(live.schema.tables.map((table) => [table.name, table]))
  const groups = Map.groupBy(closure.needed, ({ table, columns }) => `${table.name} ${columns.join()}`)
  const facts: NeededFact[] = []
  for (const group of groups.values()) {
    const { table, columns } = group[0]!
    const there = await valuesThere(live, partsOf(table, infos), columns, group)
    for (const needed of group) facts.push({ needed, there: there.has(joined(needed.fields)) })
  }
  return facts
}

/** The tables of now in which a row of a then table, or of any partition beside it, may lie. */
function partsOf(table: TableManifest, infos: ReadonlyMap<string, TableInfo>): TableInfo[] {
  const whole = table.partitionOf
  if (whole === null) return [infos.get(table.name)].filter((info) => info !== undefined)
  return [...infos.values()].filter((info) => info.partitionOf === whole)
}

async function valuesThere(
  live: LiveRows,
  parts: readonly TableInfo[],
  columns: readonly string[],
  group: readonly NeededRow[],
): Promise<Set<string>> {
  const there = new Set<string>()
  for (const table of parts) {
    if (!columns.every((column) => table.columns.some(({ name }) => name === column))) continue
    const values = group.map(({ fields }) => fields)
    for (const line of await live.rows({ table, columns, where: { columns, values } })) {
      there.add(
        joined(
          line
            .toString('latin1')
            .split('\t')
            .map((part) => Buffer.from(part, 'latin1')),
        ),
      )
    }
  }
  return there
}

function refersToOneOf(values: ReadonlySet<string>, row: StoredRow, fields: readonly number[]): boolean {
  const value = fieldsText(row, fields)
  return value !== null && values.has(value)
}

function joined(fields: readonly Uint8Array[]): string {
  return fields.map((field) => Buffer.from(field).toString('latin1')).join('\t')
}
