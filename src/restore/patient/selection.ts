/** Which of the patient's rows a plan may write: by category, by table, or one by one. */
import { Failure } from '../../errors.ts'
import type { Manifest, TableManifest } from '../../repository/manifest.ts'
import type { RowFact, TableFacts } from './row-status.ts'
import { fieldOfText } from './stored-row.ts'

export interface Selection {
  /** Null for all. A row is taken when its table is wanted by either. */
  readonly categories: ReadonlySet<string> | null
  /** As `TableManifest.name`, or the partitioned table's. */
  readonly tables: ReadonlySet<string> | null
  /** Only these, whatever their table; never with the others. */
  readonly rows?: readonly SelectedRow[]
}

export interface SelectedRow {
  /** As `TableManifest.name`, or the partitioned table's. */
  readonly table: string
  /** The primary key's fields, as text. Of a key of one field all of them are that field, with commas between. */
  readonly key: readonly string[]
}

export interface SelectionAsked {
  readonly categories: readonly string[]
  readonly tables: readonly string[]
  /** Null: not selected one by one. */
  readonly rows: readonly SelectedRow[] | null
}

/** @throws bad-usage when rows are named beside tables or categories */
export function selectionOf({ categories, tables, rows }: SelectionAsked): Selection {
  const names = (given: readonly string[]) => (given.length > 0 ? new Set(given) : null)
  const asked = { categories: names(categories), tables: names(tables) }
  if (rows === null) return asked
  if (asked.categories === null && asked.tables === null) return { ...asked, rows }
  throw new Failure('bad-usage', 'rows are selected one by one, or by table and category, not both', {
    hints: [
      'Give --only and --only-from, or --table and --category; over the API `rows`, or `tables` and `categories`.',
    ],
  })
}

/** Whether a row of the table may be written. */
export type Selects = (table: TableFacts, row: RowFact) => boolean

/** @throws bad-usage when it names what the source, or the patient, does not have */
export function selector(manifest: Manifest, facts: readonly TableFacts[], selection: Selection): Selects {
  refuseUnknown(manifest, selection)
  const { categories, tables, rows } = selection
  if (rows) return rowSelector(facts, rows)
  if (categories === null && tables === null) return () => true
  return ({ table }) => namesOf(table).some((name) => tables?.has(name)) || (categories?.has(table.category) ?? false)
}

function rowSelector(facts: readonly TableFacts[], rows: readonly SelectedRow[]): Selects {
  const wanted = new Set<RowFact>()
  for (const [name, named] of Map.groupBy(rows, ({ table }) => table)) {
    const parts = facts.filter(({ table }) => namesOf(table).includes(name))
    const found = new Map(parts.flatMap((part) => part.rows.map((row) => [(row.past ?? row.present)!.key, row])))
    const taken = named.flatMap(({ key }) => found.get(textOf(parts[0]?.table, key)) ?? [])
    if (taken.length < named.length) throw notTheirs(name, named.length - taken.length, named.length)
    for (const row of taken) wanted.add(row)
  }
  return (_, row) => wanted.has(row)
}

/** As `StoredRow.key`. */
function textOf(table: TableManifest | undefined, key: readonly string[]): string {
  const fields = table?.primaryKey.length === 1 ? [key.join(',')] : key
  return fields.map((field) => fieldOfText(field).toString('latin1')).join('\t')
}

function namesOf({ name, partitionOf }: TableManifest): string[] {
  return partitionOf === null ? [name] : [name, partitionOf]
}

/** How many, not which: a key may be somebody's number. */
function notTheirs(table: string, missing: number, named: number): Failure {
  return new Failure('bad-usage', `${missing} of ${named} rows of ${table} are not this patient's, then or now`, {
    context: { table },
    hints: [
      'A row is named by its primary key as `chartkeep restore patient ID --rows` shows it; a table without one has no names.',
    ],
  })
}

function refuseUnknown({ tables }: Manifest, selection: Selection): void {
  const names = new Set(tables.flatMap(namesOf))
  const categories = new Set(tables.map(({ category }) => category))
  const named = [...(selection.tables ?? []), ...(selection.rows ?? []).map(({ table }) => table)]
  const table = named.find((name) => !names.has(name))
  const category = [...(selection.categories ?? [])].find((name) => !categories.has(name))
  if (table === undefined && category === undefined) return
  const what = table === undefined ? `category ${category}` : `table ${table}`
  const known = table === undefined ? [...categories] : [...names]
  throw new Failure('bad-usage', `the snapshot has no ${what}`, { hints: [`It has: ${known.sort().join(', ')}.`] })
}
