/** Before anything is written, every row is as the plan found it; afterwards, every row is as the plan wants it. */
import { Failure } from '../errors.ts'
import { isNull, splitLine } from './line-fields.ts'
import { LineKeys } from './line-keys.ts'
import type { QueryValues, RowEdit, RowQuery } from './row-contract.ts'
import type { TableEdits } from './write-order.ts'

/** The transaction that writes. */
export interface WritingTransaction {
  /** Locks what is to be changed or taken out of one table, in the order of keys. */
  lock(edits: TableEdits): Promise<void>
  lookup(query: RowQuery): RowLookup
}

export interface RowLookup {
  /** As `LiveRows.rows`, with what the transaction itself has written until then; part by part. May be asked again. */
  rows(): AsyncIterable<readonly Buffer[]>
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
    const now = await rowsNow(lookupOf(writing, edits), edits, ({ present }) => present)
    for (const [index, edit] of edits.rows.entries()) {
      const found = now.take(index)
      // Of a table without a key, equal rows are nothing unusual.
      const isFree = edit.kind === 'insert' && (found === null || edits.table.primaryKey.length === 0)
      if (!isFree && !(edit.present && found?.equals(edit.present))) throw moved(edits)
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
    const now = await rowsNow(lookupOf(writing, edits), edits, ({ future }) => future)
    for (const [index, edit] of edits.rows.entries()) {
      const found = now.take(index)
      if (edit.future === null && (found === null || edits.table.primaryKey.length === 0)) continue
      if (edit.future === null || found === null)
        throw unproved(edits, edit.future === null ? 'a row is still there' : 'a row is not there')
      for (const column of differences(edit, found)) {
        const name = `${edits.table.name}.${column}`
        if (!allowed.has(name)) throw unproved(edits, `a trigger changed column ${column}`)
        triggered.set(name, (triggered.get(name) ?? 0) + 1)
      }
    }
  }
  return triggered
}

/** Looks while the next rows are on their way. */
async function rowsNow(
  lookup: RowLookup,
  edits: TableEdits,
  expected: (edit: RowEdit) => Buffer | null,
): Promise<RowsNow> {
  const now = new RowsNow(edits, expected)
  for await (const lines of lookup.rows()) for (const line of lines) now.add(line)
  return now
}

/**
 * The rows of a table's edits that are there now, each to be taken by one edit. Most come as they are expected, in the
 * order of the edits: these are known by their bytes. The others are found by their keys.
 */
class RowsNow {
  readonly #edits: TableEdits
  readonly #expected: (edit: RowEdit) => Buffer | null
  readonly #keys: LineKeys
  /** Of each edit, whether its row was there as expected. */
  readonly #isAsExpected: Uint8Array
  /** The edit whose row is expected next. */
  #next = 0
  /** By key. Of equal rows of a table without one, each. */
  readonly #others = new Map<string, Buffer | Buffer[]>()

  constructor(edits: TableEdits, expected: (edit: RowEdit) => Buffer | null) {
    this.#edits = edits
    this.#expected = expected
    this.#keys = new LineKeys(edits.columns, edits.table.primaryKey)
    this.#isAsExpected = new Uint8Array(edits.rows.length)
  }

  add(line: Buffer): void {
    if (this.#nextExpected()?.equals(line)) {
      this.#isAsExpected[this.#next] = 1
      this.#next += 1
      return
    }
    const text = this.#keys.text(line)
    const same = this.#others.get(text)
    if (Array.isArray(same)) same.push(line)
    else this.#others.set(text, same === undefined ? line : [same, line])
  }

  /** Of equal rows each is taken once; of a row with a key there is one, and one edit of it. */
  take(index: number): Buffer | null {
    const { rows, table } = this.#edits
    const edit = rows[index]!
    if (this.#isAsExpected[index] === 1) return this.#expected(edit)
    if (this.#others.size === 0) return null
    // The key is the same before and after.
    const key = this.#keys.text((edit.present ?? edit.future)!)
    const found = this.#others.get(key)
    if (Array.isArray(found)) return found.pop() ?? null
    if (table.primaryKey.length === 0) this.#others.delete(key)
    return found ?? null
  }

  #nextExpected(): Buffer | null {
    const { rows } = this.#edits
    for (; this.#next < rows.length; this.#next += 1) {
      const line = this.#expected(rows[this.#next]!)
      if (line !== null) return line
    }
    return null
  }
}

const lookups = new WeakMap<WritingTransaction, WeakMap<TableEdits, RowLookup>>()

/** The same rows are looked at before and after they are written: once is enough to say which. */
function lookupOf(writing: WritingTransaction, edits: TableEdits): RowLookup {
  const ofTables = lookups.get(writing) ?? new WeakMap<TableEdits, RowLookup>()
  lookups.set(writing, ofTables)
  const known = ofTables.get(edits)
  if (known) return known
  const { table, columns } = edits
  const lookup = writing.lookup({ table, columns, where: table.primaryKey.length > 0 ? byKeys(edits) : byFirst(edits) })
  ofTables.set(edits, lookup)
  return lookup
}

function byKeys({ table, columns, rows }: TableEdits): RowQuery['where'] {
  const wanted = new LineKeys(columns, table.primaryKey)
  const keyOf = ({ present, future }: RowEdit) => wanted.fields((present ?? future)!)
  const values: QueryValues = {
    length: rows.length,
    slice: (start = 0, end = rows.length) => rows.slice(start, end).map(keyOf),
    each: (position, start, end, take) => {
      for (const { present, future } of rows.slice(start, end)) wanted.give((present ?? future)!, position, take)
    },
  }
  return { columns: table.primaryKey, values, areKeys: true }
}

/** A table without a key has its first column for it. */
function byFirst({ columns, rows }: TableEdits): RowQuery['where'] {
  const by = columns.slice(0, 1)
  const wanted = new LineKeys(columns, by)
  const values = rows.map(({ present, future }) => wanted.fields((present ?? future)!))
  return { columns: by, values: values.filter((fields) => !fields.some(isNull)) }
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
