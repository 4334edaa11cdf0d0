/** Functions and procedures, as the server prints them; aggregates it does not print. */
import type { Session } from '../connect.ts'
import { type Definition, id, RANK, text, userObjects } from './statement.ts'

export async function readRoutines(session: Session): Promise<Definition[]> {
  const rows = await session.query(
    `SELECT p.oid, n.nspname AS schema, p.proname AS name, pg_get_function_identity_arguments(p.oid) AS arguments,
       CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind, pg_get_functiondef(p.oid) AS definition
     FROM ${userObjects('pg_proc', 'p', 'pronamespace')} WHERE p.prokind IN ('f', 'p', 'w')
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass
         AND d.objid = p.oid AND d.deptype = 'i')`,
  )
  return rows.map((row) => ({
    id: id('pg_proc', row.oid),
    rank: RANK.routine,
    object: `${row.kind} ${row.schema}.${row.name}(${row.arguments})`,
    sql: text(row, 'definition'),
  }))
}
