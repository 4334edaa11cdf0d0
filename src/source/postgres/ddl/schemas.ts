/** Schemas and extensions: what everything else lies in. */
import type { Session } from '../connect.ts'
import { quoteName } from '../quote.ts'
import { type Definition, id, RANK, text } from './statement.ts'

/** Every database is born with a schema public. */
export async function readSchemas(session: Session): Promise<Definition[]> {
  const rows = await session.query(
    `SELECT n.oid, n.nspname AS name FROM pg_catalog.pg_namespace n
     WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'public')
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_namespace'::regclass
         AND e.objid = n.oid AND e.deptype = 'e')`,
  )
  return rows.map((row) => ({
    id: id('pg_namespace', row.oid),
    rank: RANK.schema,
    object: `SCHEMA ${text(row, 'name')}`,
    sql: `CREATE SCHEMA ${quoteName(text(row, 'name'))}`,
  }))
}

/** By the order they were made in: an extension's number is above those of the extensions it needs. */
export async function readExtensions(session: Session): Promise<Definition[]> {
  const rows = await session.query(
    `SELECT x.oid, x.extname AS name, n.nspname AS schema, lpad(x.oid::text, 10, '0') AS sort
     FROM pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace
     WHERE x.oid >= 16384 ORDER BY x.oid`,
  )
  return rows.map((row) => ({
    id: id('pg_extension', row.oid),
    rank: RANK.extension + Number(text(row, 'sort')) / 1e10,
    object: `EXTENSION ${text(row, 'name')}`,
    sql: `CREATE EXTENSION IF NOT EXISTS ${quoteName(text(row, 'name'))} WITH SCHEMA ${quoteName(text(row, 'schema'))}`,
  }))
}
