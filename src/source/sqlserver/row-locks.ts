/** Rows that are to be written, held against others until the end of the transaction. */
import { LineKeys } from '../line-keys.ts'
import type { WritingTransaction } from '../row-proof.ts'
import type { TableEdits } from '../write-order.ts'
import type { Session } from './connect.ts'
import type { CatalogTable } from './introspect.ts'
import { keysAmong } from './key-condition.ts'
import { named, readRows } from './live-rows.ts'
import { quoteName } from './quote.ts'

const KEYS_AT_ONCE = 500

/** @param tables as `readTables` gave them */
export function writingTransaction(session: Session, tables: readonly CatalogTable[]): WritingTransaction {
  return {
    lock: async (edits) => await lockRows(session, tables, edits),
    lookup: (query) => ({
      async *rows() {
        yield await readRows(session, tables, query)
      },
    }),
  }
}

async function lockRows(
  session: Session,
  tables: readonly CatalogTable[],
  { table, columns, rows }: TableEdits,
): Promise<void> {
  const known = tables.find(({ info }) => info.name === table.name)
  if (!known || table.primaryKey.length === 0) return
  const keys = new LineKeys(columns, table.primaryKey)
  const touched = rows.flatMap(({ present }) => (present === null ? [] : [keys.fields(present)]))
  const order = table.primaryKey.map((name) => `ck_row.${quoteName(name)}`).join(', ')
  for (let start = 0; start < touched.length; start += KEYS_AT_ONCE) {
    const where = keysAmong('ck_row', named(known, table.primaryKey), touched.slice(start, start + KEYS_AT_ONCE))
    const locked = `${table.sqlName} ck_row WITH (UPDLOCK, ROWLOCK)`
    await session.query(`SELECT 1 AS held FROM ${locked} WHERE ${where} ORDER BY ${order}`)
  }
}
