/** Statements that change or take out rows which were found and locked before. */
import type { RowEdit } from '../row-contract.ts'
import { fieldLiteral } from './copy-field.ts'
import { quoteName } from './quote.ts'
import type { TableEdits } from './write-order.ts'

export interface CountedStatement {
  readonly sql: string
  /** How many rows it must touch. */
  readonly rows: number
  readonly table: string
}

const TAB = 0x09
const NULL_FIELD = '\\N'

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

/** Only the columns that differ: what nobody asked to change stays, whatever a trigger or a default makes of it. */
export function updateStatement(edit: RowEdit, encoding: string): CountedStatement {
  const { table, columns } = edit
  const present = splitLine(edit.present!)
  const future = splitLine(edit.future!)
  const changes = columns.flatMap((column, index) =>
    present[index]!.equals(future[index]!)
      ? []
      : [`${quoteName(column)} = ${literal(edit, column, future[index]!, encoding)}`],
  )
  const where = keyCondition(edit, edit.present!, encoding)
  return { sql: `UPDATE ONLY ${table.sqlName} SET ${changes.join(', ')} WHERE ${where}`, rows: 1, table: table.name }
}

/** The rows' keys as one condition: the database joins with them, whether there are ten or fifty thousand. */
export function keysIn(rows: readonly RowEdit[], encoding: string): string {
  const { primaryKey } = rows[0]!.table
  const values = rows.map((row) => {
    const fields = splitLine((row.present ?? row.future)!)
    return `(${primaryKey.map((column) => literal(row, column, fields[row.columns.indexOf(column)]!, encoding)).join(', ')})`
  })
  return `(${primaryKey.map(quoteName).join(', ')}) IN (VALUES ${values.join(', ')})`
}

/** By the text that the database prints: of rows that are equal to `=` only, none may be taken for another. */
function sameText(edit: RowEdit, column: string, field: Buffer, encoding: string): string {
  if (isNull(field)) return `${quoteName(column)} IS NULL`
  return `${quoteName(column)}::text = (${literal(edit, column, field, encoding)})::text`
}

export function keyCondition(edit: RowEdit, line: Buffer, encoding: string): string {
  const fields = splitLine(line)
  const parts = edit.table.primaryKey.map((column) =>
    condition(edit, column, fields[edit.columns.indexOf(column)]!, encoding),
  )
  return `(${parts.join(' AND ')})`
}

export function splitLine(line: Buffer): Buffer[] {
  const fields: Buffer[] = []
  let start = 0
  for (let end = line.indexOf(TAB); end >= 0; end = line.indexOf(TAB, start)) {
    fields.push(line.subarray(start, end))
    start = end + 1
  }
  fields.push(line.subarray(start))
  return fields
}

function condition(edit: RowEdit, column: string, field: Buffer, encoding: string): string {
  if (isNull(field)) return `${quoteName(column)} IS NULL`
  return `${quoteName(column)} = ${literal(edit, column, field, encoding)}`
}

function literal({ table }: RowEdit, column: string, field: Buffer, encoding: string): string {
  if (isNull(field)) return 'NULL'
  return fieldLiteral(field, table.columns.find(({ name }) => name === column)!.type, encoding)
}

function isNull(field: Buffer): boolean {
  return field.length === 2 && field.toString('latin1') === NULL_FIELD
}
