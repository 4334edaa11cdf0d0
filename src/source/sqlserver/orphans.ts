/**
 * Rows that a deletion would take along, or cut loose, without anybody having named them: children by ON DELETE CASCADE,
 * SET NULL or SET DEFAULT, made since, or in tables that no plan speaks of.
 */
import { Failure } from '../../errors.ts'
import { LineKeys } from '../line-keys.ts'
import type { TableEdits } from '../write-order.ts'
import type { Row, Session } from './connect.ts'
import { groupBy, readColumns } from './introspect.ts'
import { keysAmong } from './key-condition.ts'
import { quoteName, quoteQualified, quoteText, shownName } from './quote.ts'

/**
 * @param deletions all of the plan's: of a circle, children go after what they refer to
 * @throws plan-moved
 */
export async function refuseOrphans(
  session: Session,
  edits: TableEdits,
  deletions: readonly TableEdits[],
): Promise<void> {
  const { table, rows } = edits
  if (rows.length === 0 || table.primaryKey.length === 0) return
  const references = groupBy(await session.query(referencesTo(table.sqlName)), 'id')
  if (references.size === 0) return
  const parents = await keysOf(session, 'ck_parent', edits)
  for (const reference of references.values()) {
    const [first] = reference
    const name = shownName(first?.schema_name ?? '', first?.table_name ?? '')
    const own = deletions.find((other) => other.table.name === name && other.rows.length > 0)
    const others = own && own.table.primaryKey.length > 0 ? ` AND NOT ${await keysOf(session, 'ck_child', own)}` : ''
    const child = quoteQualified(first?.schema_name ?? '', first?.table_name ?? '')
    const [found] = await session.query(
      `SELECT TOP (1) 1 AS found FROM ${child} ck_child JOIN ${table.sqlName} ck_parent ON ${joined(reference)} ` +
        `WHERE ${parents}${others}`,
    )
    if (!found) continue
    throw new Failure(
      'plan-moved',
      `rows of ${name} refer to rows of ${table.name} that would be taken out; nothing was written`,
      {
        context: { table: table.name },
        hints: ['They would go, or lose their parent, unseen. Make a new plan, or take them out first.'],
      },
    )
  }
}

async function keysOf(session: Session, alias: string, { table, columns, rows }: TableEdits): Promise<string> {
  const known = await readColumns(session, table.sqlName)
  const keys = new LineKeys(columns, table.primaryKey)
  const wanted = table.primaryKey.map((name) => known.find((column) => column.name === name)!)
  return keysAmong(
    alias,
    wanted,
    rows.map(({ present }) => keys.fields(present!)),
  )
}

function joined(reference: readonly Row[]): string {
  const equal = reference.map(
    (row) => `ck_child.${quoteName(row.column_name ?? '')} = ck_parent.${quoteName(row.referenced_column ?? '')}`,
  )
  return equal.join(' AND ')
}

function referencesTo(sqlName: string): string {
  return `
  SELECT CONVERT(nvarchar(20), f.object_id) AS id, s.name AS schema_name, t.name AS table_name, c.name AS column_name,
    rc.name AS referenced_column
  FROM sys.foreign_keys f JOIN sys.tables t ON t.object_id = f.parent_object_id
    JOIN sys.schemas s ON s.schema_id = t.schema_id
    JOIN sys.foreign_key_columns k ON k.constraint_object_id = f.object_id
    JOIN sys.columns c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id
    JOIN sys.columns rc ON rc.object_id = k.referenced_object_id AND rc.column_id = k.referenced_column_id
  WHERE f.referenced_object_id = OBJECT_ID(${quoteText(sqlName)})
  ORDER BY f.object_id, k.constraint_column_id`
}
