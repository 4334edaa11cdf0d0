/**
 * Checks that rows break, while a database is being rebuilt.
 *
 * Rows of a moment between two snapshots may break a check that the earlier snapshot knew: it was dropped in between, and
 * the change log does not tell so. Rows also break checks that look at other rows, at the time, or at a function that was
 * replaced. They are the hospital's rows all the same. So the check is taken off, the rows are loaded, and it is put
 * back: as it was where the rows hold it after all, else for the rows to come, as NOT VALID.
 *
 * Partitions are not attached yet while rows are loaded, and cannot be, to a parent with a check that they lack: the
 * parent's check of the same name and words goes and comes with theirs. From a parent it comes down to every child.
 */
import type { LoosenedCheck } from '../contract.ts'
import { statementName } from './catalog.ts'
import type { Session } from './connect.ts'
import { quoteName } from './quote.ts'

/** SQLSTATE. */
export const CHECK_VIOLATION = '23514'
/** A table has at most so many levels of parents. */
const LEVELS_MAX = 64

/** All checks of the table, wherever they come from. @returns in the order in which they are to be put back */
export async function loosenChecks(session: Session, table: string): Promise<LoosenedCheck[]> {
  const loosened: LoosenedCheck[] = []
  // A child may have a check of its own beside the one that it inherits: it is left when the other one is gone.
  for (let level = 0; level < LEVELS_MAX; level += 1) {
    const rows = await session.query(OUTERMOST, [table])
    if (rows.length === 0) break
    for (const row of rows) {
      const check = { table: row.sql_name ?? '', name: row.name ?? '', definition: row.definition ?? '' }
      await session.query(`ALTER TABLE ${check.table} DROP CONSTRAINT IF EXISTS ${quoteName(check.name)}`)
      loosened.push(check)
    }
  }
  return loosened
}

const OUTERMOST = `
  WITH RECURSIVE above(oid) AS (
    SELECT $1::regclass::oid
    UNION SELECT i.inhparent FROM above JOIN pg_catalog.pg_inherits i ON i.inhrelid = above.oid),
  own AS (SELECT k.conname, pg_get_constraintdef(k.oid) AS definition FROM pg_catalog.pg_constraint k
    WHERE k.conrelid = $1::regclass AND k.contype = 'c')
  SELECT ${statementName('n.nspname', 'c.relname')} AS sql_name, k.conname AS name, own.definition
  FROM own JOIN pg_catalog.pg_constraint k ON k.conname = own.conname AND k.contype = 'c' AND k.coninhcount = 0
      AND pg_get_constraintdef(k.oid) = own.definition
    JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid IN (SELECT oid FROM above) OR c.relkind = 'p'
  ORDER BY c.relkind = 'p' DESC, 1, 2`

/** @returns whether a parent has brought it already */
export async function hasCheck(session: Session, { table, name }: LoosenedCheck): Promise<boolean> {
  const rows = await session.query(
    'SELECT FROM pg_catalog.pg_constraint WHERE conrelid = $1::regclass AND conname = $2',
    [table, name],
  )
  return rows.length > 0
}

export function addCheck({ table, name, definition }: LoosenedCheck): string {
  return `ALTER TABLE ${table} ADD CONSTRAINT ${quoteName(name)} ${definition}`
}
