/**
 * What triggers wrote beside the plan (P19): in other tables, or more rows than the plan names in its own. The server
 * counts what a transaction wrote, table by table; our own share is known.
 */
import type { AppliedRows, WrittenCounts } from '../row-contract.ts'
import type { TableEdits } from '../write-order.ts'
import type { Session } from './connect.ts'

const KINDS = ['insert', 'update', 'delete'] as const

/** To be asked inside the transaction, when everything is written. By table, in order of names. */
export async function sideEffectsOf(
  session: Session,
  tables: readonly TableEdits[],
): Promise<AppliedRows['sideEffects']> {
  const [setting] = await session.query("SELECT current_setting('track_counts') AS counts")
  if (setting?.counts !== 'on') return null
  const own = new Map(tables.map((edits) => [edits.table.oid, edits.rows]))
  const written = await session.query(
    `SELECT relid AS oid, quote_ident(schemaname) || '.' || quote_ident(relname) AS name,
       n_tup_ins AS insert, n_tup_upd AS update, n_tup_del AS delete
     FROM pg_catalog.pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 ORDER BY 2`,
  )
  const found = new Map<string, WrittenCounts>()
  for (const row of written) {
    const ours = own.get(row.oid ?? '') ?? []
    const [inserted = 0, updated = 0, deleted = 0] = KINDS.map(
      (kind) => Number(row[kind] ?? 0) - ours.filter((edit) => edit.kind === kind).length,
    )
    if (inserted === 0 && updated === 0 && deleted === 0) continue
    found.set(row.name ?? '', { inserted, updated, deleted })
  }
  return found
}
