/** Before anything is written, every row is as the plan found it; afterwards, every row is as the plan wants it. */
import { Failure } from '../errors.ts'
import { isNull, splitLine } from './line-fields.ts'
import { LineKeys } from './line-keys.ts'
import type { RowEdit, RowQuery } from './row-contract.ts'
import type { TableEdits } from './write-order.ts'

/** The transaction that writes. */
export interface WritingTransaction {
  /** Locks what is to be changed or taken out of one table, in the order of keys. */
  lock(edits: TableEdits): Promise<void>
  /** As `LiveRows.rows`, with what the transaction itself has written. */
  rows(query: RowQuery): Promise<Buffer[]>
}

/**
 * Locks what will be changed, in the order of keys, so that no two restores and no ward wait for one another in a
 * circle (P20); then compares.
 * @throws plan-moved
 */
export async function checkPresent(writing: WritingTransaction, tables: readonly TableEdits[]): Promise<void> {
  const inOrder = [...tables].sort((a, b) => (a.table.name < b.table.name ? -1 : 1))
  for (const edits of inOrder) await writing.lock(edits)
  for (const edits of inOrder) {
    const { texts } = lookupOf(edits)
    const found = await rowsNow(writing, edits)
    for (const [index, edit] of edits.rows.entries()) {
      const now = take(found, texts[index]!, edits)
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
  writing: WritingTransaction,
  tables: readonly TableEdits[],
  allowed: ReadonlySet<string>,
): Promise<Map<string, number>> {
  const triggered = new Map<string, number>()
  for (const edits of tables) {
    const { texts } = lookupOf(edits)
    const found = await rowsNow(writing, edits)
    for (const [index, edit] of edits.rows.entries()) {
      const now = take(found, texts[index]!, edits)
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

/** Of equal rows of a table without a key, each. */
type FoundRows = Map<string, Buffer | Buffer[]>

async function rowsNow(writing: WritingTransaction, edits: TableEdits): Promise<FoundRows> {
  const { table, columns } = edits
  const { keys, where } = lookupOf(edits)
  const found: FoundRows = new Map()
  for (const line of await writing.rows({ table, columns, where })) {
    const text = keys.text(line)
    const same = found.get(text)
    if (Array.isArray(same)) same.push(line)
    else found.set(text, same === undefined ? line : [same, line])
  }
  return found
}

/** How the rows of one table's edits are found, and told apart. */
interface Lookup {
  readonly keys: LineKeys
  readonly where: RowQuery['where']
  /** Of each edit the key of its row, which is the same before and after. */
  readonly texts: readonly string[]
}

const lookups = new WeakMap<TableEdits, Lookup>()

/** The same rows are looked at before and after they are written: once is enough to say which. */
function lookupOf(edits: TableEdits): Lookup {
  const known = lookups.get(edits)
  if (known) return known
  const { table, columns, rows } = edits
  const keys = new LineKeys(columns, table.primaryKey)
  const by = lookedUpBy(edits)
  const wanted = new LineKeys(columns, by)
  const lines = rows.map(({ present, future }) => (present ?? future)!)
  const values = lines.map((line) => wanted.fields(line)).filter((key) => !key.some(isNull))
  const lookup = { keys, where: { columns: by, values }, texts: lines.map((line) => keys.text(line)) }
  lookups.set(edits, lookup)
  return lookup
}

/** A table without a key has its first column for it. */
function lookedUpBy({ table, columns }: TableEdits): readonly string[] {
  return table.primaryKey.length > 0 ? table.primaryKey : columns.slice(0, 1)
}

/** Of equal rows each is taken once; of a row with a key there is one, and one edit of it. */
function take(found: FoundRows, key: string, { table }: TableEdits): Buffer | null {
  const rows = found.get(key)
  if (Array.isArray(rows)) return rows.pop() ?? null
  if (table.primaryKey.length === 0) found.delete(key)
  return rows ?? null
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
