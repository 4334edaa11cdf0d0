/**
 * Rows that a deletion would take along, or cut loose, without anybody having named them: children by ON DELETE CASCADE,
 * SET NULL or SET DEFAULT, made since, or in tables that no plan speaks of.
 */
import { Failure } from '../../errors.ts'
import type { TableEdits } from '../write-order.ts'
import type { Session } from './connect.ts'
import { keysIn } from './edit-statements.ts'
import { quoteName } from './quote.ts'

/**
 * @param deletions all of the plan's: of a circle, children go after what they refer to
 * @throws plan-moved
 */
export async function refuseOrphans(
  session: Session,
  { table, rows }: TableEdits,
  deletions: readonly TableEdits[],
): Promise<void> {
  const gone = rows.filter(({ kind }) => kind === 'delete')
  if (gone.length === 0 || table.primaryKey.length === 0) return
  const keys = keysIn(gone, session.encoding)
  for (const { child, columns, referenced } of await references(session, table.oid)) {
    const wanted = `SELECT ${referenced.map(quoteName).join(', ')} FROM ONLY ${table.sqlName} WHERE ${keys}`
    const others = ownDeletions(child, deletions)
      .map((own) => ` AND NOT (${keysIn(own.rows, session.encoding)})`)
      .join('')
    const [row] = await session.query(
      `SELECT EXISTS (SELECT FROM ${child} WHERE (${columns.map(quoteName).join(', ')}) IN (${wanted})${others}) AS found`,
    )
    if (row?.found !== 't') continue
    throw new Failure(
      'plan-moved',
      `rows of ${child} refer to rows of ${table.name} that would be taken out; nothing was written`,
      {
        context: { table: table.name },
        hints: ['They would go, or lose their parent, unseen. Make a new plan, or take them out first.'],
      },
    )
  }
}

/** What the plan takes out of the table, or of its partitions. */
function ownDeletions(child: string, deletions: readonly TableEdits[]): TableEdits[] {
  return deletions.filter(
    ({ table, rows }) =>
      rows.length > 0 && table.primaryKey.length > 0 && (table.name === child || table.partitionOf === child),
  )
}

interface Referring {
  readonly child: string
  readonly columns: readonly string[]
  readonly referenced: readonly string[]
}

async function references(session: Session, oid: string): Promise<Referring[]> {
  const rows = await session.query(
    `SELECT format('%I.%I', n.nspname, c.relname) AS child,
       (SELECT json_agg(a.attname ORDER BY u.at) FROM unnest(k.conkey) WITH ORDINALITY u(number, at)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number) AS columns,
       (SELECT json_agg(a.attname ORDER BY u.at) FROM unnest(k.confkey) WITH ORDINALITY u(number, at)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number) AS referenced
     FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE k.contype = 'f' AND k.confrelid = $1::oid`,
    [oid],
  )
  return rows.map((row) => ({
    child: row.child ?? '',
    columns: JSON.parse(row.columns ?? '[]'),
    referenced: JSON.parse(row.referenced ?? '[]'),
  }))
}
