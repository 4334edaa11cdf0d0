/** Rows that are to be written, held against others until the end of the transaction. */
import type { WritingTransaction } from '../row-proof.ts'
import type { TableEdits } from '../write-order.ts'
import type { Session } from './connect.ts'
import { keysIn } from './edit-statements.ts'
import { RowLookup } from './live-rows.ts'
import { quoteName } from './quote.ts'

export function writingTransaction(session: Session): WritingTransaction {
  return {
    lock: async (edits) => await lockRows(session, edits),
    lookup: (query) => new RowLookup(session, query),
  }
}

async function lockRows(session: Session, { table, rows }: TableEdits): Promise<void> {
  if (table.primaryKey.length === 0) return
  const order = table.primaryKey.map(quoteName).join(', ')
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
