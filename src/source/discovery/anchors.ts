/**
 * The anchor of each table: the column whose value leads to the row's patient. The patient's key where the table has
 * it, else the stay's, else the nearest reference to a table that has one. Dictionaries have none: what they say is
 * nobody's, though a bed may name who lies in it.
 */
import type { LinkGuess } from './links.ts'
import { bareName, type LogicalTable, normalName } from './logical-tables.ts'
import type { PatientGuess } from './patient.ts'

export interface AnchorGuess {
  readonly table: string
  readonly column: string
  /** The table on the way to the patient; null for the patient's own. */
  readonly via: string | null
  readonly reason: string
}

interface Reference {
  readonly columns: readonly string[]
  readonly referencedTable: string
  readonly referencedColumns: readonly string[]
  readonly reason: string
}

interface Choice extends AnchorGuess {
  readonly preference: number
}

const STAY_NAME = /(stay|visit|encounter|episode|住院|就诊|入科|住次)/i
const ADMISSION_NAME = /(admission|hadm|入院)/i

/** `dictionaries`: tables that get no anchor and that no way to a patient leads through. */
export function findAnchors(
  tables: readonly LogicalTable[],
  patient: PatientGuess,
  links: readonly LinkGuess[],
  dictionaries: ReadonlySet<string>,
): AnchorGuess[] {
  const anchors = new Map<string, AnchorGuess>([
    [patient.table, { table: patient.table, column: patient.key, via: null, reason: "the patient's own key" }],
  ])
  const open = new Set(tables.filter(({ name }) => name !== patient.table && !dictionaries.has(name)))
  // Each round reaches tables one reference further from the patient, so that the nearest way wins.
  for (let reached = 1; reached > 0; ) {
    const chosen = [...open].flatMap((table) => chooseAnchor(table, anchors, links) ?? [])
    for (const choice of chosen) anchors.set(choice.table, choice)
    for (const table of open) if (anchors.has(table.name)) open.delete(table)
    reached = chosen.length
  }
  return tables.flatMap(({ name }) => anchors.get(name) ?? [])
}

function chooseAnchor(
  table: LogicalTable,
  anchors: ReadonlyMap<string, AnchorGuess>,
  links: readonly LinkGuess[],
): Choice | null {
  const choices = referencesOf(table, links).flatMap((reference) => {
    const target = anchors.get(reference.referencedTable)
    return target === undefined ? [] : (toChoice(table, reference, target) ?? [])
  })
  return choices.sort((left, right) => right.preference - left.preference)[0] ?? null
}

function referencesOf(table: LogicalTable, links: readonly LinkGuess[]): Reference[] {
  const declared = table.foreignKeys.map((key) => ({
    columns: key.columns,
    referencedTable: key.references,
    referencedColumns: key.referencedColumns,
    reason: `foreign key ${key.name}`,
  }))
  const guessed = links.filter((link) => link.table === table.name).map(toReference)
  return [...declared, ...guessed]
}

function toReference(link: LinkGuess): Reference {
  return {
    columns: [link.column],
    referencedTable: link.referencedTable,
    referencedColumns: [link.referencedColumn],
    reason: link.reason,
  }
}

/**
 * Where the parent's own anchor is among the columns pointed to, the child carries that very value: rows of both lie
 * under one anchor. Otherwise the one column of the reference leads on through the parent.
 */
function toChoice(table: LogicalTable, reference: Reference, target: AnchorGuess): Choice | null {
  const shared = reference.referencedColumns.indexOf(target.column)
  const column =
    shared >= 0 ? reference.columns[shared] : reference.columns.length === 1 ? reference.columns[0] : undefined
  if (column === undefined) return null
  const reason = `${reference.reason}, to ${target.table}`
  return { table: table.name, column, via: target.table, reason, preference: prefer(table, column, target) }
}

/**
 * Stay before admission before others, of equally short ways; then a column that is always there, and one that is
 * called as over there.
 */
function prefer(table: LogicalTable, column: string, target: AnchorGuess): number {
  const parent = bareName(target.table)
  const kind = STAY_NAME.test(parent) ? 2 : ADMISSION_NAME.test(parent) ? 1 : 0
  const isAlwaysThere = table.columns.find(({ name }) => name === column)?.notNull ?? false
  return kind * 100 + (isAlwaysThere ? 10 : 0) + (normalName(column) === normalName(target.column) ? 1 : 0)
}
