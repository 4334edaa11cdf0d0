/** What decides whether a table's changes can be followed, as the catalogs have it. */
import { inExtension, shownName, statementName, USER_SCHEMA } from '../catalog.ts'
import type { Row, Session } from '../connect.ts'
import { nameList } from '../introspect.ts'

export interface TableFacts {
  readonly name: string
  readonly sqlName: string
  readonly isUnlogged: boolean
  /** relreplident: `d`, `n`, `f` or `i`. */
  readonly identity: string
  readonly hasGenerated: boolean
  readonly key: KeyFacts | null
  /** Whether the identity is an index that can be used as one. */
  readonly hasIdentityIndex: boolean
  /** The first column whose text hangs on a name in the catalogs, with its type. */
  readonly namingColumn: string | null
  /** An index that could become the primary key as it is. */
  readonly candidateIndex: string | null
  readonly isPublished: boolean
  /** By itself, not only by what is above it. */
  readonly isListed: boolean
  readonly isPartition: boolean
  readonly hasColumnList: boolean
  readonly hasRowFilter: boolean
}

export interface KeyFacts {
  readonly constraint: string
  readonly columns: readonly string[]
  readonly isImmediate: boolean
  readonly isValid: boolean
  readonly isIdentity: boolean
  readonly hasGenerated: boolean
}

export async function readTableFacts(session: Session, publication: string): Promise<TableFacts[]> {
  const rows = await session.query(tableSql(session.serverVersionNumber), [publication])
  return rows.map((row) => ({
    name: row.name ?? '',
    sqlName: row.sql_name ?? '',
    isUnlogged: row.unlogged === 't',
    identity: row.identity ?? '',
    hasGenerated: row.has_generated === 't',
    key: keyFacts(row),
    hasIdentityIndex: row.has_identity_index === 't',
    namingColumn: row.naming_column ?? null,
    candidateIndex: row.candidate ?? null,
    isPublished: row.published === 't',
    isListed: row.is_listed === 't',
    isPartition: row.partition === 't',
    hasColumnList: row.column_list === 't',
    hasRowFilter: row.row_filter === 't',
  }))
}

function keyFacts(row: Row): KeyFacts | null {
  if (row.key_columns == null) return null
  return {
    constraint: row.key_name ?? '',
    columns: nameList(row.key_columns),
    isImmediate: row.key_immediate === 't',
    isValid: row.key_valid === 't',
    isIdentity: row.key_is_identity === 't',
    hasGenerated: row.key_generated === 't',
  }
}

function tableSql(version: number): string {
  const multiranges = version >= 140_000 ? 'UNION SELECT rngmultitypid, rngsubtype FROM pg_catalog.pg_range' : ''
  const lists =
    version >= 150_000
      ? 'r.prattrs IS NOT NULL AS has_list, r.prqual IS NOT NULL AS has_filter'
      : 'false AS has_list, false AS has_filter'
  return `WITH RECURSIVE
    wanted AS MATERIALIZED (SELECT c.*, n.nspname FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND ${USER_SCHEMA} AND NOT ${inExtension('pg_class', 'c.oid')}),
    above(leaf, relid) AS (
      SELECT oid, oid FROM wanted
      UNION ALL
      SELECT above.leaf, i.inhparent FROM above JOIN pg_catalog.pg_inherits i ON i.inhrelid = above.relid
        JOIN pg_catalog.pg_class c ON c.oid = above.relid AND c.relispartition),
    listed AS (SELECT above.leaf, bool_or(has_list) AS has_list, bool_or(has_filter) AS has_filter FROM above
      JOIN (SELECT r.prrelid, ${lists} FROM pg_catalog.pg_publication_rel r
        JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE p.pubname = $1) r ON r.prrelid = above.relid
      GROUP BY above.leaf),
    published AS (SELECT DISTINCT above.leaf FROM above
      JOIN (SELECT g.relid FROM pg_catalog.pg_publication p, pg_get_publication_tables(p.pubname::text) g
            WHERE p.pubname = $1) g ON g.relid = above.relid),
    contained(outer_type, inner_type) AS MATERIALIZED (
      SELECT oid, typelem FROM pg_catalog.pg_type WHERE typelem <> 0
      UNION SELECT oid, typbasetype FROM pg_catalog.pg_type WHERE typbasetype <> 0
      UNION SELECT t.oid, a.atttypid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_attribute a
        ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
      UNION SELECT rngtypid, rngsubtype FROM pg_catalog.pg_range
      ${multiranges}),
    naming(type) AS (
      SELECT oid FROM pg_catalog.pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typname ~ '^reg'
      UNION
      SELECT outer_type FROM naming JOIN contained ON inner_type = naming.type)
    SELECT ${shownName('c.nspname', 'c.relname')} AS name, ${statementName('c.nspname', 'c.relname')} AS sql_name,
      c.relpersistence = 'u' AS unlogged, c.relreplident AS identity, c.relispartition AS partition,
      EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attgenerated <> '')
        AS has_generated,
      k.conname AS key_name, k.columns AS key_columns, k.indimmediate AS key_immediate,
      k.indisvalid AND k.indisready AS key_valid, k.indisreplident AS key_is_identity, k.has_generated AS key_generated,
      EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid
        AND i.indimmediate) AS has_identity_index,
      (SELECT a.attname || ' of type ' || format_type(a.atttypid, NULL) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid IN (SELECT type FROM naming)
        ORDER BY a.attnum LIMIT 1) AS naming_column,
      (SELECT x.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
          AND i.indexprs IS NULL AND NOT i.indisprimary AND NOT c.relispartition
          AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) k(attnum) JOIN pg_catalog.pg_attribute a
            ON a.attrelid = c.oid AND a.attnum = k.attnum WHERE NOT a.attnotnull)
        ORDER BY i.indnkeyatts, x.relname LIMIT 1) AS candidate,
      EXISTS (SELECT FROM published p WHERE p.leaf = c.oid) AS published,
      EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
        WHERE r.prrelid = c.oid AND p.pubname = $1) AS is_listed,
      coalesce(l.has_list, false) AS column_list, coalesce(l.has_filter, false) AS row_filter
    FROM wanted c LEFT JOIN listed l ON l.leaf = c.oid
      LEFT JOIN LATERAL (SELECT i.*, con.conname,
          (SELECT json_agg(a.attname ORDER BY k.position) FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
             WHERE k.position <= i.indnkeyatts) AS columns,
          EXISTS (SELECT FROM unnest(i.indkey::int2[]) k(attnum) JOIN pg_catalog.pg_attribute a
             ON a.attrelid = c.oid AND a.attnum = k.attnum WHERE a.attgenerated <> '') AS has_generated
        FROM pg_catalog.pg_index i
        LEFT JOIN pg_catalog.pg_constraint con ON con.conindid = i.indexrelid AND con.contype = 'p'
        WHERE i.indrelid = c.oid AND i.indisprimary) k ON true
    ORDER BY 1`
}

export interface PublicationFacts {
  readonly insertsAll: boolean
  readonly sendsUpdatesOrDeletes: boolean
  readonly viaRoot: boolean
  readonly sendsGenerated: boolean
  /** FOR ALL TABLES, or all tables of a schema: what is made later is in it at once. */
  readonly takesNewTables: boolean
}

/** Null when there is none of that name. */
export async function readPublication(session: Session, publication: string): Promise<PublicationFacts | null> {
  const version = session.serverVersionNumber
  const generated = version >= 180_000 ? `p.pubgencols <> 'n'` : 'false'
  const schemas =
    version >= 150_000 ? 'EXISTS (SELECT FROM pg_catalog.pg_publication_namespace s WHERE s.pnpubid = p.oid)' : 'false'
  const [row] = await session.query(
    `SELECT p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AS all_kinds, p.pubupdate OR p.pubdelete AS binds,
       p.pubviaroot, ${generated} AS generated, p.puballtables OR ${schemas} AS open
     FROM pg_catalog.pg_publication p WHERE p.pubname = $1`,
    [publication],
  )
  if (row === undefined) return null
  return {
    insertsAll: row.all_kinds === 't',
    sendsUpdatesOrDeletes: row.binds === 't',
    viaRoot: row.pubviaroot === 't',
    sendsGenerated: row.generated === 't',
    takesNewTables: row.open === 't',
  }
}

export interface ServerFacts {
  readonly walLevel: string
  readonly isStandby: boolean
  readonly mayReplicate: boolean
  readonly role: string
  /** In MB; -1 when there is no limit. */
  readonly slotWalKeepSize: string
  readonly synchronousStandbys: string
}

export async function readServerFacts(session: Session): Promise<ServerFacts> {
  const [row] = await session.query(
    `SELECT current_setting('wal_level') AS wal_level, pg_is_in_recovery() AS standby, r.rolname AS role,
       r.rolreplication OR r.rolsuper AS may_replicate,
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep,
       current_setting('synchronous_standby_names') AS standbys
     FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`,
  )
  return {
    walLevel: row?.wal_level ?? '',
    isStandby: row?.standby === 't',
    mayReplicate: row?.may_replicate === 't',
    role: row?.role ?? '',
    slotWalKeepSize: row?.keep ?? '',
    synchronousStandbys: row?.standbys ?? '',
  }
}
