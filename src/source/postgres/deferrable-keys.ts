/** Which foreign keys can wait for the end of the transaction. */
import type { DeferrableKeys, TableEdits } from '../write-order.ts'
import type { Session } from './connect.ts'

export async function deferrableKeys(session: Session, tables: readonly TableEdits[]): Promise<DeferrableKeys> {
  const rows = await session.query(
    `SELECT conrelid AS oid, conname AS name FROM pg_catalog.pg_constraint
     WHERE contype = 'f' AND condeferrable AND conrelid = ANY ($1::oid[])`,
    [tables.map(({ table }) => table.oid)],
  )
  const names = (oid: string) => new Set(rows.filter((row) => row.oid === oid).map(({ name }) => name ?? ''))
  return new Map(tables.map(({ table }) => [table.name, names(table.oid)]))
}
