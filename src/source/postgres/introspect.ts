/**
 * The tables, keys and links of a database, from its catalogs.
 *
 * Every statement here sees one snapshot when the session is in a REPEATABLE READ transaction. Functions that print
 * definitions see the present instead (P22), so names are put together from catalog rows wherever that is possible;
 * format_type() is the one exception, and the tables of a consistent read are locked.
 */
import { Failure } from '../../errors.ts'
import type { ColumnInfo, ForeignKey, SchemaInfo, TableInfo } from '../contract.ts'
import { shownName, statementName, USER_TABLE } from './catalog.ts'
import type { Row, Session } from './connect.ts'
import { findNotCaptured } from './not-captured.ts'
import { readSequences } from './sequences.ts'

export interface IntrospectOptions {
  /** Only these tables, by oid; all when absent. */
  readonly oids?: readonly string[]
  /**
   * `measured` asks the file system, for which PostgreSQL takes a lock on each table: for tables we hold a lock on.
   * `recorded` is what the last VACUUM or ANALYZE wrote down.
   */
  readonly sizes: 'measured' | 'recorded'
}

export async function introspect(session: Session, options: IntrospectOptions): Promise<SchemaInfo> {
  const relations = await readRelations(session, options)
  const oids = relations.map((row) => row.oid ?? '')
  const columns = groupBy(await readColumns(session, oids), 'attrelid')
  const keys = groupBy(await readKeys(session, oids), 'relid')
  const links = groupBy(await readForeignKeys(session, oids), 'conrelid')
  const tables = relations.map((row) => {
    const oid = row.oid ?? ''
    return tableInfo(row, { columns: columns.get(oid) ?? [], keys: keys.get(oid) ?? [], links: links.get(oid) ?? [] })
  })
  assertReadableNames(session, tables)
  return {
    tables: tables.sort(byName),
    sequences: await readSequences(session),
    notCaptured: await findNotCaptured(session, tables),
  }
}

/** Unicode order, whatever the locale. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}

function readRelations(session: Session, { oids, sizes }: IntrospectOptions): Promise<Row[]> {
  const bytes =
    sizes === 'measured'
      ? 'pg_table_size(c.oid)'
      : `(c.relpages::bigint + coalesce(toast.relpages, 0)) * current_setting('block_size')::bigint`
  return session.query(
    `WITH RECURSIVE up(leaf, parent) AS (
       SELECT c.oid, i.inhparent FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid WHERE c.relispartition
       UNION ALL
       SELECT up.leaf, i.inhparent FROM up JOIN pg_catalog.pg_class c ON c.oid = up.parent AND c.relispartition
         JOIN pg_catalog.pg_inherits i ON i.inhrelid = up.parent)
     SELECT c.oid, ${shownName('n.nspname', 'c.relname')} AS name,
       ${statementName('n.nspname', 'c.relname')} AS sql_name,
       (SELECT ${shownName('pn.nspname', 'p.relname')} FROM up
          JOIN pg_catalog.pg_class p ON p.oid = up.parent AND NOT p.relispartition
          JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace WHERE up.leaf = c.oid) AS partition_of,
       c.relpersistence = 'u' AS unlogged,
       CASE WHEN c.reltuples > 0 THEN c.reltuples::numeric::bigint ELSE pg_stat_get_live_tuples(c.oid) END AS rows,
       ${bytes} AS bytes, d.description AS comment
     FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN pg_catalog.pg_class toast ON toast.oid = c.reltoastrelid
       LEFT JOIN pg_catalog.pg_description d
         ON d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::regclass AND d.objsubid = 0
     WHERE ${USER_TABLE} AND ($1::oid[] IS NULL OR c.oid = ANY ($1::oid[]))`,
    [oids === undefined ? null : [...oids]],
  )
}

function readColumns(session: Session, oids: readonly string[]): Promise<Row[]> {
  return session.query(
    `SELECT a.attrelid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null,
       a.attgenerated <> '' AS generated
     FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attrelid, a.attnum`,
    [[...oids]],
  )
}

/** Primary keys, and every other index that makes its plain columns unique over all rows. */
function readKeys(session: Session, oids: readonly string[]): Promise<Row[]> {
  return session.query(
    `SELECT i.indrelid AS relid, i.indisprimary AS is_primary,
       (SELECT json_agg(a.attname ORDER BY k.position) FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
          WHERE k.position <= i.indnkeyatts) AS columns
     FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
     WHERE i.indrelid = ANY ($1::oid[]) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
       AND i.indexprs IS NULL
     ORDER BY i.indrelid, c.relname`,
    [[...oids]],
  )
}

/** A link to a partitioned table has a copy for each of its partitions, below it on the same table: those are left out. */
function readForeignKeys(session: Session, oids: readonly string[]): Promise<Row[]> {
  const names = (keys: string, relation: string) =>
    `(SELECT json_agg(a.attname ORDER BY k.position) FROM unnest(${keys}) WITH ORDINALITY k(attnum, position)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = ${relation} AND a.attnum = k.attnum)`
  return session.query(
    `SELECT f.conrelid, f.conname AS name, f.convalidated AS validated,
       ${shownName('n.nspname', 'r.relname')} AS "references",
       ${names('f.conkey', 'f.conrelid')} AS columns, ${names('f.confkey', 'f.confrelid')} AS referenced_columns
     FROM pg_catalog.pg_constraint f
       JOIN pg_catalog.pg_class r ON r.oid = f.confrelid
       JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
       LEFT JOIN pg_catalog.pg_constraint above ON above.oid = f.conparentid
     WHERE f.contype = 'f' AND f.conrelid = ANY ($1::oid[]) AND above.conrelid IS DISTINCT FROM f.conrelid
     ORDER BY f.conrelid, f.conname`,
    [[...oids]],
  )
}

interface TableParts {
  readonly columns: readonly Row[]
  readonly keys: readonly Row[]
  readonly links: readonly Row[]
}

function tableInfo(row: Row, { columns, keys, links }: TableParts): TableInfo {
  const primary = keys.find((key) => key.is_primary === 't')
  return {
    name: row.name ?? '',
    sqlName: row.sql_name ?? '',
    oid: row.oid ?? '',
    partitionOf: row.partition_of ?? null,
    columns: columns.filter((column) => column.generated !== 't').map(columnInfo),
    generatedColumns: columns.filter((column) => column.generated === 't').map((column) => column.name ?? ''),
    primaryKey: primary ? nameList(primary.columns) : [],
    uniqueKeys: keys.filter((key) => key.is_primary !== 't').map((key) => nameList(key.columns)),
    foreignKeys: links.map(foreignKey),
    unlogged: row.unlogged === 't',
    estimatedRows: Number(row.rows ?? 0),
    estimatedBytes: Number(row.bytes ?? 0),
    comment: row.comment ?? null,
  }
}

function columnInfo(row: Row): ColumnInfo {
  return { name: row.name ?? '', type: row.type ?? '', notNull: row.not_null === 't' }
}

function foreignKey(row: Row): ForeignKey {
  return {
    name: row.name ?? '',
    columns: nameList(row.columns),
    references: row.references ?? '',
    referencedColumns: nameList(row.referenced_columns),
    validated: row.validated === 't',
  }
}

/** Lists of names come as JSON: an array in PostgreSQL's own notation would need a parser of its own. */
export function nameList(json: string | null | undefined): string[] {
  return json === null || json === undefined ? [] : (JSON.parse(json) as string[])
}

function groupBy(rows: readonly Row[], field: string): Map<string, Row[]> {
  return Map.groupBy(rows, (row) => row[field] ?? '')
}

/** In a SQL_ASCII database names may be bytes of any encoding, and a name we cannot read is a table we cannot name. */
function assertReadableNames(session: Session, tables: readonly TableInfo[]): void {
  if (session.encoding !== 'SQL_ASCII') return
  for (const table of tables) {
    if (![table.name, ...table.columns.map((column) => column.name)].some((name) => name.includes('\uFFFD'))) continue
    throw new Failure('untranslatable-text', `the name of table ${table.name} or of one of its columns is not UTF-8`, {
      hints: ['Rename the table or column, or exclude the table.'],
    })
  }
}
