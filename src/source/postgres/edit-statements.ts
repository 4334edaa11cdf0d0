/** Statements that change or take out rows which were found and locked before. */
import { differingColumns, isNull, splitLine } from '../line-fields.ts'
import { LineKeys } from '../line-keys.ts'
import type { RowEdit } from '../row-contract.ts'
import type { TableEdits } from '../write-order.ts'
import { fieldLiteral, nullLiteral } from './copy-field.ts'
import { keysAmong } from './key-condition.ts'
import { quoteName } from './quote.ts'

export interface CountedStatement {
  readonly sql: string
  /** How many rows it must touch. */
  readonly rows: number
  readonly table: string
}

/** Rows in one statement: long enough to be worth a round trip, short enough to be parsed in a moment. */
const ROWS_AT_ONCE = 10_000

/** One statement for a table: foreign keys within it are checked at its end. Of equal rows without a key, as many as are named. */
export function deleteStatements(edits: TableEdits, encoding: string): CountedStatement[] {
  const { table, columns } = edits
  const rows = edits.rows.filter(({ kind }) => kind === 'delete')
  if (rows.length === 0) return []
  if (table.primaryKey.length > 0) {
    return [
      {
        sql: `DELETE FROM ONLY ${table.sqlName} WHERE ${keysIn(rows, encoding)}`,
        rows: rows.length,
        table: table.name,
      },
    ]
  }
  return rows.map((row) => {
    const fields = splitLine(row.present!)
    const where = columns.map((column, index) => sameText(row, column, fields[index]!, encoding)).join(' AND ')
    const one = `SELECT ctid FROM ONLY ${table.sqlName} WHERE ${where} LIMIT 1`
    return { sql: `DELETE FROM ONLY ${table.sqlName} WHERE ctid = (${one})`, rows: 1, table: table.name }
  })
}

/**
 * Only the columns that differ: what nobody asked to change stays, whatever a trigger or a default makes of it. One
 * statement for rows in which the same columns differ.
 */
export function updateStatements({ table, columns, rows }: TableEdits, encoding: string): CountedStatement[] {
  const updates = rows.filter(({ kind }) => kind === 'update')
  const groups = Map.groupBy(updates, (edit) => differingColumns(edit).join(','))
  return [...groups.values()].flatMap((group) => {
    const fields = differingColumns(group[0]!)
    const names = fields.map((field) => columns[field]!)
    const statements: CountedStatement[] = []
    for (let start = 0; start < group.length; start += ROWS_AT_ONCE) {
      const part = group.slice(start, start + ROWS_AT_ONCE)
      statements.push({ sql: updateSql(part, names, encoding), rows: part.length, table: table.name })
    }
    return statements
  })
}

/** Columns of the new values are numbered: no name of the table can be one of them. */
function updateSql(edits: readonly RowEdit[], names: readonly string[], encoding: string): string {
  const { table, columns } = edits[0]!
  const { primaryKey } = table
  const field = (line: readonly Buffer[], column: string) => line[columns.indexOf(column)]!
  const values = edits.map((edit) => {
    const [present, future] = [splitLine(edit.present!), splitLine(edit.future!)]
    const key = primaryKey.map((column) => literal(edit, column, field(present, column), encoding))
    return `(${[...key, ...names.map((column) => typedLiteral(edit, column, field(future, column), encoding))].join(', ')})`
  })
  const numbered = [...primaryKey, ...names].map((_, index) => `ck${index}`)
  const where = primaryKey.map((column, index) => `ck_old.${quoteName(column)} = ck_new.ck${index}`).join(' AND ')
  const set = names.map((column, index) => `${quoteName(column)} = ck_new.ck${primaryKey.length + index}`).join(', ')
  const from = `(VALUES ${values.join(', ')}) ck_new (${numbered.join(', ')})`
  return `UPDATE ONLY ${table.sqlName} ck_old SET ${set} FROM ${from} WHERE ${where}`
}

/** The rows' keys as one condition: the database joins with them, whether there are ten or fifty thousand. */
export function keysIn(rows: readonly RowEdit[], encoding: string): string {
  const { table, columns } = rows[0]!
  const keys = new LineKeys(columns, table.primaryKey)
  const values = rows.map((row) => keys.fields((row.present ?? row.future)!))
  return keysAmong(table, table.primaryKey, values, encoding)
}

/** By the text that the database prints: of rows that are equal to `=` only, none may be taken for another. */
function sameText(edit: RowEdit, column: string, field: Buffer, encoding: string): string {
  if (isNull(field)) return `${quoteName(column)} IS NULL`
  return `${quoteName(column)}::text = (${literal(edit, column, field, encoding)})::text`
}

function literal({ table }: RowEdit, column: string, field: Buffer, encoding: string): string {
  if (isNull(field)) return 'NULL'
  return fieldLiteral(field, table.columns.find(({ name }) => name === column)!.type, encoding)
}

/** With its type also where it is NULL: in a list of values, the first one says what the column is. */
function typedLiteral(edit: RowEdit, column: string, field: Buffer, encoding: string): string {
  if (!isNull(field)) return literal(edit, column, field, encoding)
  return nullLiteral(edit.table.columns.find(({ name }) => name === column)!.type)
}
