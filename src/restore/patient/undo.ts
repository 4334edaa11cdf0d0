/**
 * The opposite of a changeset, as a plan like any other: previewed, approved, applied. A row in which somebody has
 * written since is left as it is, and said.
 */
import { Failure } from '../../errors.ts'
import type { TableInfo } from '../../source/contract.ts'
import type { LiveRows } from '../../source/row-contract.ts'
import type { Changeset, ChangesetEdit, ChangesetOutcome, ChangesetTable } from './changeset.ts'
import type { ContentRow, ContentTable, PlanContent } from './plan-document.ts'

/** @throws schema-changed when a table or column is gone; source-… */
export async function undoContent(
  live: LiveRows,
  changeset: Changeset,
  outcome: ChangesetOutcome,
): Promise<PlanContent> {
  const tables: ContentTable[] = []
  for (const table of changeset.tables.filter(({ rows }) => rows.length > 0)) {
    tables.push(await undoTable(live, table, new Set(Object.keys(outcome.triggered))))
  }
  return {
    kind: { kind: 'undo', changesetId: changeset.changesetId },
    sourceName: changeset.sourceName,
    patients: [changeset.patient, changeset.otherPatient].flatMap((key) =>
      key === undefined ? [] : [Buffer.from(key, 'latin1')],
    ),
    moment: { snapshotId: changeset.snapshotId, lsn: '', sourceTime: changeset.startedAt },
    tables,
    needed: [],
    leftOut: [],
  }
}

async function undoTable(
  live: LiveRows,
  { name, category, columns, rows }: ChangesetTable,
  triggered: ReadonlySet<string>,
): Promise<ContentTable> {
  const table = live.schema.tables.find((info) => info.name === name)
  if (!table || !columns.every((column) => table.columns.some((known) => known.name === column))) {
    throw new Failure('schema-changed', `table ${name} is gone, or lacks columns that it had`, {
      context: { table: name },
    })
  }
  const now = await rowsNow(live, table, columns, rows)
  const undone = rows.map((edit): ContentRow => {
    const key = keyText(table, columns, lineOf(edit))
    const present = now.get(key)?.pop() ?? null
    return { ...undoRow(edit, present, { name, columns, triggered }), key }
  })
  return { name, category, columns, columnsLost: [], columnsNew: [], same: 0, rows: undone }
}

interface UndoTable {
  readonly name: string
  readonly columns: readonly string[]
  readonly triggered: ReadonlySet<string>
}

function undoRow(edit: ChangesetEdit, present: Buffer | null, table: UndoTable): Omit<ContentRow, 'key'> {
  const past = edit.present
  const isAsWritten = edit.future === null ? present === null : isSame(edit.future, present, table)
  const common = { past, present, changed: [] as string[] }
  if (!isAsWritten) return { ...common, status: 'conflicting', action: 'none', cause: 'somebody has written it since' }
  if (edit.kind === 'insert') return { ...common, status: 'newer', action: 'delete', cause: null }
  if (edit.kind === 'delete') return { ...common, status: 'missing', action: 'insert', cause: null }
  const changed = differing(past!, present!, table.columns)
  return { ...common, status: 'changed', action: 'update', changed, cause: null }
}

/** But for columns that a trigger owns, as the plan allowed it. */
function isSame(written: Buffer, present: Buffer | null, { name, columns, triggered }: UndoTable): boolean {
  if (present === null) return false
  return differing(written, present, columns).every((column) => triggered.has(`${name}.${column}`))
}

function differing(a: Buffer, b: Buffer, columns: readonly string[]): string[] {
  if (a.equals(b)) return []
  const left = a.toString('latin1').split('\t')
  const right = b.toString('latin1').split('\t')
  return columns.filter((_, index) => left[index] !== right[index])
}

async function rowsNow(
  live: LiveRows,
  table: TableInfo,
  columns: readonly string[],
  edits: readonly ChangesetEdit[],
): Promise<Map<string, Buffer[]>> {
  const key = table.primaryKey.length > 0 ? table.primaryKey : columns.slice(0, 1)
  const values = edits.map((edit) => fieldsOf(columns, lineOf(edit), key))
  const found = new Map<string, Buffer[]>()
  const wanted = values.filter((fields) => !fields.some((field) => field.toString('latin1') === '\\N'))
  for (const line of await live.rows({ table, columns, where: { columns: key, values: wanted } })) {
    const text = keyText(table, columns, line)
    found.set(text, [...(found.get(text) ?? []), line])
  }
  return found
}

/** As of stored rows: which row it is. */
function keyText(table: TableInfo, columns: readonly string[], line: Buffer): string {
  const text = line.toString('latin1')
  if (table.primaryKey.length === 0) return text
  const fields = text.split('\t')
  return table.primaryKey.map((column) => fields[columns.indexOf(column)] ?? '').join('\t')
}

function fieldsOf(columns: readonly string[], line: Buffer, wanted: readonly string[]): Buffer[] {
  const fields = line.toString('latin1').split('\t')
  return wanted.map((column) => Buffer.from(fields[columns.indexOf(column)] ?? '', 'latin1'))
}

function lineOf({ future, present }: ChangesetEdit): Buffer {
  return (future ?? present)!
}
