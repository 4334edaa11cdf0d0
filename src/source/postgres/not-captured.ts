/**
 * What a snapshot of this database does not hold (I10), found in the catalogs: nobody should learn at a restore that
 * something was never kept. What the rebuilding statements cannot carry is listed by them, in `SchemaDdl.notCarried`.
 */
import type { NotCaptured, TableInfo } from '../contract.ts'
import { inExtension, shownName, USER_SCHEMA } from './catalog.ts'
import type { Session } from './connect.ts'

export async function findNotCaptured(session: Session, tables: readonly TableInfo[]): Promise<NotCaptured[]> {
  const found: NotCaptured[] = []
  for (const table of tables) {
    for (const column of table.generatedColumns) {
      found.push({
        kind: 'generated column',
        name: `${table.name}.${column}`,
        reason: 'the database computes it again from the other columns',
      })
    }
  }
  const rows = await session.query(FIND)
  for (const row of rows) {
    const count = row.count === null ? {} : { count: Number(row.count) }
    found.push({ kind: row.kind ?? '', name: row.name ?? '', reason: row.reason ?? '', ...count })
  }
  return found
}

const RELATIONS = `pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`

const FIND = `
  SELECT 'large objects' AS kind, current_database()::text AS name,
    'rows keep their numbers; their contents are not kept' AS reason, count(*) AS count
    FROM pg_catalog.pg_largeobject_metadata HAVING count(*) > 0
  UNION ALL
  SELECT 'foreign table', ${shownName('n.nspname', 'c.relname')}, 'its rows are in another database', NULL
    FROM ${RELATIONS} WHERE c.relkind = 'f' AND ${USER_SCHEMA} AND NOT ${inExtension('pg_class', 'c.oid')}
  UNION ALL
  SELECT 'materialized view', ${shownName('n.nspname', 'c.relname')},
    'a rebuilt database computes it again from the tables', NULL
    FROM ${RELATIONS} WHERE c.relkind = 'm' AND ${USER_SCHEMA} AND NOT ${inExtension('pg_class', 'c.oid')}
  UNION ALL
  SELECT 'extension table', ${shownName('n.nspname', 'c.relname')},
    'it belongs to an extension, which makes it without rows', nullif(greatest(c.reltuples, 0), 0)::bigint
    FROM ${RELATIONS} WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema'
      AND ${inExtension('pg_class', 'c.oid')}
  UNION ALL
  SELECT 'roles', 'all roles of the server', 'roles belong to the server, not to the database', count(*)
    FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_'
  UNION ALL
  SELECT 'role or database settings', coalesce('role ' || quote_ident(r.rolname), '') ||
      CASE WHEN s.setrole <> 0 AND s.setdatabase <> 0 THEN ' in ' ELSE '' END ||
      coalesce('database ' || quote_ident(d.datname), ''),
    'ALTER ROLE and ALTER DATABASE settings belong to the server', cardinality(s.setconfig)
    FROM pg_catalog.pg_db_role_setting s
      LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
      LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
    WHERE s.setdatabase = 0 OR d.datname = current_database()
  UNION ALL
  SELECT 'subscription', s.subname, 'a rebuilt database must not start to replicate by itself', NULL
    FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
    WHERE d.datname = current_database()
  UNION ALL
  SELECT 'replication slot', s.slot_name, 'a slot is a place in the log of one server', NULL
    FROM pg_catalog.pg_replication_slots s WHERE s.database = current_database() AND NOT s.temporary
  ORDER BY kind, name`
