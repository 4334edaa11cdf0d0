/**
 * The mark on a database that is being rebuilt, and the clearing of one that carries it.
 *
 * The mark is the database's comment: it survives a crash, everybody sees it in `\l+`, and it goes when the rebuild is
 * proved. Clearing drops what users can have made, statement by statement, so that no transaction has to lock more
 * tables than the server has room for.
 */
import { inExtension, statementName, USER_SCHEMA } from './catalog.ts'
import type { Session } from './connect.ts'
import { quoteName, quoteText } from './quote.ts'

export async function readMark(session: Session): Promise<string | null> {
  const [row] = await session.query(
    `SELECT shobj_description(oid, 'pg_database') AS mark FROM pg_catalog.pg_database WHERE datname = current_database()`,
  )
  return row?.mark ?? null
}

export async function setMark(session: Session, mark: string | null): Promise<void> {
  const [row] = await session.query('SELECT current_database() AS name')
  const text = mark === null ? 'NULL' : quoteText(mark)
  await session.query(`COMMENT ON DATABASE ${quoteName(row?.name ?? '')} IS ${text}`)
}

export async function clearDatabase(session: Session): Promise<void> {
  // What a dropped object takes with it is gone when its turn comes: IF EXISTS, and one pass is enough.
  for (const row of await session.query(OBJECTS)) await session.query(`DROP ${row.statement} CASCADE`)
}

const RELATION_KINDS = `CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
  WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END`

/**
 * Schemas of their own whole; in `public`, which stays, object by object. What belongs to another object (an identity's
 * sequence) goes with that; a partitioned table belongs to its own columns, and to nothing else.
 */
const OBJECTS = `
  SELECT statement FROM (
    SELECT 1 AS step, 'SCHEMA IF EXISTS ' || quote_ident(n.nspname) AS statement FROM pg_catalog.pg_namespace n
      WHERE ${USER_SCHEMA} AND n.nspname <> 'public' AND NOT ${inExtension('pg_namespace', 'n.oid')}
    UNION ALL
    SELECT 2, ${RELATION_KINDS} || ' IF EXISTS ' || ${statementName('n.nspname', 'c.relname')}
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND NOT c.relispartition
        AND NOT ${inExtension('pg_class', 'c.oid')}
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
          AND d.objid = c.oid AND d.refobjid <> c.oid AND d.deptype = 'i')
    UNION ALL
    SELECT 3, CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END || ' IF EXISTS '
        || ${statementName('n.nspname', 'p.proname')} || '(' || pg_get_function_identity_arguments(p.oid) || ')'
      FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname = 'public' AND NOT ${inExtension('pg_proc', 'p.oid')}
    UNION ALL
    SELECT 4, 'TYPE IF EXISTS ' || ${statementName('n.nspname', 't.typname')}
      FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
      WHERE n.nspname = 'public' AND t.typelem = 0 AND t.typtype IN ('e', 'd', 'c', 'r')
        AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
        AND NOT ${inExtension('pg_type', 't.oid')}
  ) found ORDER BY step`
