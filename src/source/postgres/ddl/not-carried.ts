/**
 * Kinds of object that our own statements do not carry, found by name: a hospital that uses one must install a fitting
 * pg_dump, and should learn it from the backup, not from a restore.
 */
import type { NotCaptured } from '../../contract.ts'
import { inExtension } from '../catalog.ts'
import type { Session } from '../connect.ts'
import { userObjects } from './statement.ts'

const REASON = 'rebuilt only by pg_dump, and none that fits the server was found'

/** Objects of schemas: catalog, its alias, columns for namespace and name, and which rows. */
const IN_SCHEMAS: readonly (readonly [string, string, string, string, string])[] = [
  ['aggregate', 'pg_proc', 'pronamespace', 'proname', `o.prokind = 'a'`],
  ['operator', 'pg_operator', 'oprnamespace', 'oprname', 'true'],
  ['operator class', 'pg_opclass', 'opcnamespace', 'opcname', 'true'],
  ['operator family', 'pg_opfamily', 'opfnamespace', 'opfname', 'true'],
  ['collation', 'pg_collation', 'collnamespace', 'collname', 'true'],
  ['conversion', 'pg_conversion', 'connamespace', 'conname', 'true'],
  ['text search configuration', 'pg_ts_config', 'cfgnamespace', 'cfgname', 'true'],
  ['text search dictionary', 'pg_ts_dict', 'dictnamespace', 'dictname', 'true'],
  ['text search parser', 'pg_ts_parser', 'prsnamespace', 'prsname', 'true'],
  ['text search template', 'pg_ts_template', 'tmplnamespace', 'tmplname', 'true'],
  ['foreign table', 'pg_class', 'relnamespace', 'relname', `o.relkind = 'f'`],
  [
    'index',
    'pg_class',
    'relnamespace',
    'relname',
    `o.relkind = 'i' AND EXISTS (SELECT FROM pg_catalog.pg_index x
    JOIN pg_catalog.pg_class t ON t.oid = x.indrelid WHERE x.indexrelid = o.oid AND NOT x.indisvalid
    AND t.relkind IN ('r', 'm'))`,
  ],
  [
    'base type',
    'pg_type',
    'typnamespace',
    'typname',
    `o.typtype IN ('b', 'p') AND o.typelem = 0 AND o.typrelid = 0
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_type el WHERE el.typarray = o.oid)`,
  ],
  [
    'range type',
    'pg_type',
    'typnamespace',
    'typname',
    `EXISTS (SELECT FROM pg_catalog.pg_range r
    WHERE r.rngtypid = o.oid AND r.rngcanonical <> 0)`,
  ],
]

/** Objects of the whole database. */
const DATABASE_WIDE: readonly (readonly [string, string, string])[] = [
  ['event trigger', 'pg_event_trigger', 'o.evtname'],
  ['publication', 'pg_publication', 'o.pubname'],
  ['foreign-data wrapper', 'pg_foreign_data_wrapper', 'o.fdwname'],
  ['foreign server', 'pg_foreign_server', 'o.srvname'],
  ['language', 'pg_language', 'o.lanname'],
  ['access method', 'pg_am', 'o.amname'],
  ['cast', 'pg_cast', `format_type(o.castsource, NULL) || ' as ' || format_type(o.casttarget, NULL)`],
  ['transform', 'pg_transform', 'format_type(o.trftype, NULL)'],
]

/** A range type makes the cast to its multirange type. */
function madeByAnother(catalog: string): string {
  return `EXISTS (SELECT FROM pg_catalog.pg_depend i WHERE i.classid = 'pg_catalog.${catalog}'::regclass
    AND i.objid = o.oid AND i.deptype = 'i')`
}

export async function findNotCarried(session: Session): Promise<NotCaptured[]> {
  const parts = [
    ...IN_SCHEMAS.map(
      ([kind, catalog, namespace, name, condition]) =>
        `SELECT '${kind}' AS kind, quote_ident(n.nspname) || '.' || quote_ident(o.${name}) AS name
           FROM ${userObjects(catalog, 'o', namespace)} WHERE ${condition}`,
    ),
    ...DATABASE_WIDE.map(
      ([kind, catalog, name]) =>
        `SELECT '${kind}', ${name} FROM pg_catalog.${catalog} o
           WHERE o.oid >= 16384 AND NOT ${inExtension(catalog, 'o.oid')} AND NOT ${madeByAnother(catalog)}`,
    ),
    `SELECT 'default privileges', 'of role ' || quote_ident(pg_get_userbyid(o.defaclrole)) FROM pg_catalog.pg_default_acl o`,
    `SELECT 'security label', i.identity FROM pg_catalog.pg_seclabel o,
       LATERAL pg_identify_object(o.classoid, o.objoid, o.objsubid) i`,
    `SELECT 'tablespace', quote_ident(n.nspname) || '.' || quote_ident(o.relname) || ' in ' || quote_ident(s.spcname)
       FROM ${userObjects('pg_class', 'o', 'relnamespace')} JOIN pg_catalog.pg_tablespace s ON s.oid = o.reltablespace`,
  ]
  const rows = await session.query(
    `SELECT DISTINCT kind, name FROM (${parts.join(' UNION ALL ')}) all_kinds ORDER BY 1, 2`,
  )
  return rows.map((row) => ({ kind: row.kind ?? '', name: row.name ?? '', reason: REASON }))
}
