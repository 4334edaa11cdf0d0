/** Rows that were found and locked before are changed or taken out. */
import { Failure } from '../../errors.ts'
import { differingColumns, splitLine } from '../line-fields.ts'
import { LineKeys } from '../line-keys.ts'
import type { RowEdit } from '../row-contract.ts'
import type { TableEdits } from '../write-order.ts'
import type { Session } from './connect.ts'
import { readColumns } from './introspect.ts'
import { sameText } from './key-condition.ts'
import { quoteName } from './quote.ts'
import { type LoadColumn, STAGING, type Staging, withStaging } from './staging.ts'

/** One statement for a table: foreign keys within it are checked at its end. */
export async function deleteRows(session: Session, { table, columns, rows }: TableEdits): Promise<void> {
  const gone = rows.filter(({ kind }) => kind === 'delete')
  if (gone.length === 0) return
  if (table.primaryKey.length === 0) return await deleteKeyless(session, { table, columns, rows: gone })
  const keys = new LineKeys(columns, table.primaryKey)
  const lines = gone.map(({ present }) => keys.text(Buffer.from(present!)))
  const staged = { sqlName: table.sqlName, columns: table.primaryKey }
  await withStaging(session, staged, async (staging) => {
    await staging.fill(lines.map(utf8))
    const sql = `DELETE ck_row FROM ${table.sqlName} ck_row JOIN ${STAGING} ck_new ON ${joined(staging.columns)}`
    await counted(session, sql, { table: table.name, rows: gone.length })
  })
}

/** Of equal rows, as many as are named. */
async function deleteKeyless(session: Session, { table, columns, rows }: TableEdits): Promise<void> {
  const known = await readColumns(session, table.sqlName)
  for (const { present } of rows) {
    const fields = splitLine(present!)
    const where = columns.map((name, index) => {
      const column = known.find((candidate) => candidate.name === name)
      if (!column) throw new Failure('schema-changed', `table ${table.name} has no column ${name} any more`)
      return sameText('ck_row', column, fields[index]!)
    })
    const sql = `DELETE TOP (1) ck_row FROM ${table.sqlName} ck_row WHERE ${where.join(' AND ')}`
    await counted(session, sql, { table: table.name, rows: 1 })
  }
}

/**
 * Only the columns that differ: what nobody asked to change stays, whatever a trigger or a default makes of it. One
 * statement for rows in which the same columns differ.
 */
export async function updateRows(session: Session, { table, columns, rows }: TableEdits): Promise<void> {
  const updates = rows.filter(({ kind }) => kind === 'update')
  const groups = Map.groupBy(updates, (edit) => differingColumns(edit).join(','))
  for (const group of groups.values()) {
    const changed = differingColumns(group[0]!).map((field) => columns[field]!)
    const staged = [...table.primaryKey, ...changed]
    await withStaging(session, { sqlName: table.sqlName, columns: staged }, async (staging) => {
      await staging.fill(group.map((edit) => stagedLine(edit, staged)))
      const sql = updateSql(table.sqlName, staging, table.primaryKey.length)
      await counted(session, sql, { table: table.name, rows: group.length })
    })
  }
}

/** The first columns of the staged lines are the key. */
function updateSql(sqlName: string, { columns }: Staging, keyLength: number): string {
  const set = columns.slice(keyLength).map(({ catalog, form, staged }) => {
    return `${quoteName(catalog.name)} = ${form.write(`ck_new.${staged}`)}`
  })
  const keys = joined(columns.slice(0, keyLength))
  return `UPDATE ck_row SET ${set.join(', ')} FROM ${sqlName} ck_row JOIN ${STAGING} ck_new ON ${keys}`
}

function joined(keys: readonly LoadColumn[]): string {
  const equal = keys.map(({ catalog, form, staged }) => {
    return `ck_row.${quoteName(catalog.name)} = ${form.write(`ck_new.${staged}`)}`
  })
  return equal.join(' AND ')
}

/** Keys of a row that stays are the same before and after. */
function stagedLine({ columns, future }: RowEdit, wanted: readonly string[]): string {
  const fields = splitLine(future!)
  return wanted.map((name) => fields[columns.indexOf(name)]!.toString('utf8')).join('\t')
}

/** `LineKeys` gives bytes as Latin-1. */
function utf8(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8')
}

/** What was locked and compared cannot be gone: a trigger then turned the statement aside. */
async function counted(
  session: Session,
  sql: string,
  expected: { readonly table: string; readonly rows: number },
): Promise<void> {
  const [row] = await session.query(`${sql}; SELECT @@ROWCOUNT AS touched`)
  if (Number(row?.touched) === expected.rows) return
  const { table, rows } = expected
  throw new Failure(
    'restore-unproved',
    `in ${table}, ${row?.touched} rows were written, not ${rows}: a trigger may turn them aside; nothing was written`,
    { context: { table } },
  )
}
