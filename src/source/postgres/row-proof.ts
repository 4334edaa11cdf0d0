/** Before anything is written, every row is as the plan found it; afterwards, every row is as the plan wants it. */
import { Failure } from '../../errors.ts'
import type { RowEdit } from '../row-contract.ts'
import type { Session } from './connect.ts'
import { keysIn, splitLine } from './edit-statements.ts'
import { readRows } from './live-rows.ts'
import type { TableEdits } from './write-order.ts'

/**
 * Locks what will be changed, in the order of keys, so that no two restores and no ward wait for one another in a
 * circle (P20); then compares.
 * @throws plan-moved
 */
export async function checkPresent(session: Session, tables: readonly TableEdits[]): Promise<void> {
  const inOrder = [...tables].sort((a, b) => (a.table.name < b.table.name ? -1 : 1))
  for (const edits of inOrder) await lockRows(session, edits)
  for (const edits of inOrder) {
    const found = await rowsNow(session, edits)
    for (const edit of edits.rows) {
      const now = take(found, keyText(edit, edit.present ?? edit.future!))
      // Of a table without a key, equal rows are nothing unusual.
      const isFree = edit.kind === 'insert' && (now === null || edits.table.primaryKey.length === 0)
      if (!isFree && !(edit.present && now?.equals(edit.present))) throw moved(edits)
    }
  }
}

/**
 * @returns which columns triggers changed, in how many rows: only ever such as `allowed` names
 * @throws restore-unproved
 */
export async function proveFuture(
  session: Session,
  tables: readonly TableEdits[],
  allowed: ReadonlySet<string>,
): Promise<Map<string, number>> {
  const triggered = new Map<string, number>()
  for (const edits of tables) {
    const found = await rowsNow(session, edits)
    for (const edit of edits.rows) {
      const now = take(found, keyText(edit, edit.future ?? edit.present!))
      if (edit.future === null && (now === null || edits.table.primaryKey.length === 0)) continue
      if (edit.future === null || now === null)
        throw unproved(edits, edit.future === null ? 'a row is still there' : 'a row is not there')
      for (const column of differences(edit, now)) {
        const name = `${edits.table.name}.${column}`
        if (!allowed.has(name)) throw unproved(edits, `a trigger changed column ${column}`)
        triggered.set(name, (triggered.get(name) ?? 0) + 1)
      }
    }
  }
  return triggered
}

async function lockRows(session: Session, { table, rows }: TableEdits): Promise<void> {
  if (table.primaryKey.length === 0) return
  const order = table.primaryKey.map((column) => `"${column.replaceAll('"', '""')}"`).join(', ')
  for (const [kind, strength] of [
    ['update', 'NO KEY UPDATE'],
    ['delete', 'UPDATE'],
  ] as const) {
    const touched = rows.filter((edit) => edit.kind === kind)
    if (touched.length === 0) continue
    const where = keysIn(touched, session.encoding)
    await session.query(`SELECT FROM ONLY ${table.sqlName} WHERE ${where} ORDER BY ${order} FOR ${strength}`)
  }
}

type FoundRows = Map<string, Buffer[]>

async function rowsNow(session: Session, edits: TableEdits): Promise<FoundRows> {
  const { table, columns, rows } = edits
  const key = table.primaryKey.length > 0 ? table.primaryKey : columns.slice(0, 1)
  const values = rows.map((edit) => keyFields(edit, edit.present ?? edit.future!, key))
  const wanted = values.filter((fields) => !fields.some((field) => field.toString('latin1') === '\\N'))
  const lines = await readRows(session, { table, columns, where: { columns: key, values: wanted } })
  const found: FoundRows = new Map()
  for (const line of lines) {
    const text = keyText(rows[0]!, line)
    const same = found.get(text)
    if (same) same.push(line)
    else found.set(text, [line])
  }
  return found
}

function take(found: FoundRows, key: string): Buffer | null {
  return found.get(key)?.pop() ?? null
}

function keyFields({ columns }: RowEdit, line: Buffer, key: readonly string[]): Buffer[] {
  const fields = splitLine(line)
  return key.map((column) => fields[columns.indexOf(column)]!)
}

/** Of a table without a key the whole line. */
function keyText(edit: RowEdit, line: Buffer): string {
  const { primaryKey } = edit.table
  if (primaryKey.length === 0) return line.toString('latin1')
  return keyFields(edit, line, primaryKey)
    .map((field) => field.toString('latin1'))
    .join('\t')
}

function differences(edit: RowEdit, now: Buffer): string[] {
  if (now.equals(edit.future!)) return []
  const wanted = splitLine(edit.future!)
  return splitLine(now).flatMap((field, index) => (field.equals(wanted[index]!) ? [] : [edit.columns[index]!]))
}

function moved({ table }: TableEdits): Failure {
  return new Failure('plan-moved', `a row of ${table.name} is not as the plan found it; nothing was written`, {
    context: { table: table.name },
    hints: ['Somebody works on this patient. Make a new plan, and look at it again.'],
  })
}

function unproved({ table }: TableEdits, what: string): Failure {
  return new Failure('restore-unproved', `in ${table.name}, ${what} that the plan does not name; nothing was written`, {
    context: { table: table.name },
    hints: ['Where a trigger rightly owns a column, name it under `writer.triggerColumns` in the configuration.'],
  })
}
