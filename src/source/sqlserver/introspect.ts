/**
 * The tables, keys and links of a database, from its catalog views.
 *
 * Metadata is not versioned: catalogs show the present, and under SNAPSHOT isolation looking at them may itself fail
 * (error 3961). So they are asked on a session of their own, after the read has begun; a table that changes its shape
 * later fails when it is read, by the same error (learn.microsoft.com, "MSSQLSERVER_3961").
 */
import type { ColumnInfo, ForeignKey, SchemaInfo, TableInfo } from '../contract.ts'
import type { Row, Session } from './connect.ts'
import { findNotCaptured } from './not-captured.ts'
import { quoteQualified, quoteText, shownName } from './quote.ts'
import { declaration, type SqlType } from './row-text.ts'
import { readSequences } from './sequences.ts'

/** A column as the catalogs have it. */
export interface CatalogColumn {
  readonly name: string
  /** What it is declared as: an alias type by its name, else `declaration(type)`. */
  readonly declared: string
  readonly type: SqlType
  readonly nullable: boolean
  readonly isIdentity: boolean
  readonly isComputed: boolean
}

export interface CatalogTable {
  readonly info: TableInfo
  readonly columns: readonly CatalogColumn[]
  /** Those of `info.columns`, in order. */
  readonly captured: readonly CatalogColumn[]
}

export async function introspect(session: Session): Promise<SchemaInfo> {
  return await describe(session, await readTables(session))
}

/** @param tables all that `readTables` gave */
export async function describe(session: Session, tables: readonly CatalogTable[]): Promise<SchemaInfo> {
  return {
    tables: tables.map(({ info }) => info),
    sequences: await readSequences(session, tables),
    notCaptured: await findNotCaptured(session, tables),
  }
}

/** What `setup-sql` makes for capture is ours: no snapshot holds it, and none compares it. */
const OWN_TABLE = /^chartkeep\./

/** By name, in Unicode order. */
export async function readTables(session: Session): Promise<CatalogTable[]> {
  return (await readAllTables(session)).filter(({ info }) => !OWN_TABLE.test(info.name))
}

/** With our own. */
export async function readAllTables(session: Session): Promise<CatalogTable[]> {
  const rows = await session.query(TABLES)
  const columns = groupBy(await session.query(`${COLUMNS} ORDER BY c.object_id, c.column_id`), 'object_id')
  const keys = groupBy(await session.query(KEYS), 'object_id')
  const links = groupBy(await session.query(LINKS), 'object_id')
  const tables = rows.map((row) => {
    const id = row.object_id ?? ''
    return catalogTable(row, {
      columns: (columns.get(id) ?? []).map(catalogColumn),
      keys: keys.get(id) ?? [],
      links: links.get(id) ?? [],
    })
  })
  return tables.sort((a, b) => (a.info.name < b.info.name ? -1 : 1))
}

/** Of one table that is there, in their order, with those that are the server's own. */
export async function readColumns(session: Session, sqlName: string): Promise<CatalogColumn[]> {
  const one = `${COLUMNS} AND c.object_id = OBJECT_ID(${quoteText(sqlName)}) ORDER BY c.column_id`
  return (await session.query(one)).map(catalogColumn)
}

/** rowversion is the server's own: it gives each row a new one when it is stored again. */
export function isOwnValue({ type, isComputed }: CatalogColumn): boolean {
  return isComputed || type.base === 'timestamp'
}

interface TableParts {
  readonly columns: readonly CatalogColumn[]
  readonly keys: readonly Row[]
  readonly links: readonly Row[]
}

function catalogTable(row: Row, { columns, keys, links }: TableParts): CatalogTable {
  const captured = columns.filter((column) => !isOwnValue(column))
  const estimatedRows = Number(row.row_count ?? 0)
  const byIndex = [...groupBy(keys, 'index_id').values()]
  const named = (key: readonly Row[]) => key.map((column) => column.column_name ?? '')
  const unique = byIndex.filter((key) => key[0]?.is_primary_key !== '1')
  const own = new Set(columns.filter(isOwnValue).map(({ name }) => name))
  const info: TableInfo = {
    name: shownName(row.schema_name ?? '', row.table_name ?? ''),
    sqlName: quoteQualified(row.schema_name ?? '', row.table_name ?? ''),
    oid: row.object_id ?? '',
    partitionOf: null,
    columns: captured.map(columnInfo),
    generatedColumns: [...own],
    primaryKey: usable(named(byIndex.find((key) => key[0]?.is_primary_key === '1') ?? []), own),
    uniqueKeys: unique.map(named).filter((key) => usable(key, own).length > 0),
    foreignKeys: [...groupBy(links, 'name').values()].map(foreignKey),
    unlogged: false,
    estimatedRows,
    estimatedBytes: estimatedRows * captured.reduce((sum, { type }) => sum + estimatedLength(type), 0),
    comment: row.comment ?? null,
  }
  return { info, columns, captured }
}

/** A key that stands on a computed column is not among the fields of a line. */
function usable(key: readonly string[], own: ReadonlySet<string>): readonly string[] {
  return key.some((name) => own.has(name)) ? [] : key
}

function catalogColumn(row: Row): CatalogColumn {
  const type: SqlType = {
    base: row.base_type ?? row.type_name ?? '',
    maxLength: Number(row.max_length),
    precision: Number(row.precision),
    scale: Number(row.scale),
    collation: row.collation_name ?? null,
  }
  const alias = row.is_alias === '1' && row.type_name !== 'sysname'
  return {
    name: row.column_name ?? '',
    declared: alias ? quoteQualified(row.type_schema ?? '', row.type_name ?? '') : declaration(type),
    type,
    nullable: row.is_nullable === '1',
    isIdentity: row.is_identity === '1',
    isComputed: row.is_computed === '1',
  }
}

function columnInfo({ name, type, nullable }: CatalogColumn): ColumnInfo {
  return { name, type: declaration(type), notNull: !nullable }
}

function foreignKey(rows: readonly Row[]): ForeignKey {
  const [first] = rows
  return {
    name: first?.name ?? '',
    columns: rows.map((row) => row.column_name ?? ''),
    references: shownName(first?.referenced_schema ?? '', first?.referenced_table ?? ''),
    referencedColumns: rows.map((row) => row.referenced_column ?? ''),
    validated: first?.is_not_trusted !== '1' && first?.is_disabled !== '1',
  }
}

/** Text of a row, roughly: only the order in which tables are read hangs on it. */
function estimatedLength({ maxLength }: SqlType): number {
  return maxLength === -1 ? 200 : Math.min(200, maxLength)
}

export function groupBy(rows: readonly Row[], field: string): Map<string, Row[]> {
  return Map.groupBy(rows, (row) => row[field] ?? '')
}

const TABLES = `
  SELECT CONVERT(nvarchar(20), t.object_id) AS object_id, s.name AS schema_name, t.name AS table_name,
    CONVERT(nvarchar(20), (SELECT SUM(p.rows) FROM sys.partitions p
      WHERE p.object_id = t.object_id AND p.index_id IN (0, 1))) AS row_count,
    (SELECT CONVERT(nvarchar(4000), e.value) FROM sys.extended_properties e WHERE e.class = 1
      AND e.major_id = t.object_id AND e.minor_id = 0 AND e.name = 'MS_Description') AS comment
  FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id
  WHERE t.is_ms_shipped = 0`

/** CLR types share a system type; they go by their own name. */
const COLUMNS = `
  SELECT CONVERT(nvarchar(20), c.object_id) AS object_id, c.name AS column_name, y.name AS type_name,
    s.name AS type_schema, b.name AS base_type,
    CASE WHEN y.is_user_defined = 1 OR y.name = 'sysname' THEN 1 ELSE 0 END AS is_alias,
    CONVERT(int, c.max_length) AS max_length, CONVERT(int, c.[precision]) AS [precision], CONVERT(int, c.scale) AS scale,
    c.collation_name AS collation_name, CONVERT(int, c.is_nullable) AS is_nullable,
    CONVERT(int, c.is_identity) AS is_identity, CONVERT(int, c.is_computed) AS is_computed
  FROM sys.columns c JOIN sys.tables t ON t.object_id = c.object_id
    JOIN sys.types y ON y.user_type_id = c.user_type_id
    LEFT JOIN sys.schemas s ON s.schema_id = y.schema_id
    LEFT JOIN sys.types b ON b.user_type_id = c.system_type_id AND b.system_type_id = c.system_type_id
  WHERE t.is_ms_shipped = 0`

/** Of every index that makes its columns unique over all rows. */
const KEYS = `
  SELECT CONVERT(nvarchar(20), i.object_id) AS object_id, CONVERT(nvarchar(20), i.index_id) AS index_id,
    CONVERT(int, i.is_primary_key) AS is_primary_key, c.name AS column_name
  FROM sys.indexes i JOIN sys.tables t ON t.object_id = i.object_id
    JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id
    JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id
  WHERE i.is_unique = 1 AND i.is_disabled = 0 AND i.has_filter = 0 AND k.key_ordinal > 0 AND t.is_ms_shipped = 0
  ORDER BY i.object_id, i.index_id, k.key_ordinal`

const LINKS = `
  SELECT CONVERT(nvarchar(20), f.parent_object_id) AS object_id, f.name AS name, c.name AS column_name,
    rs.name AS referenced_schema, r.name AS referenced_table, rc.name AS referenced_column,
    CONVERT(int, f.is_not_trusted) AS is_not_trusted, CONVERT(int, f.is_disabled) AS is_disabled
  FROM sys.foreign_keys f
    JOIN sys.foreign_key_columns k ON k.constraint_object_id = f.object_id
    JOIN sys.columns c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id
    JOIN sys.tables r ON r.object_id = f.referenced_object_id
    JOIN sys.schemas rs ON rs.schema_id = r.schema_id
    JOIN sys.columns rc ON rc.object_id = k.referenced_object_id AND rc.column_id = k.referenced_column_id
  ORDER BY f.parent_object_id, f.name, k.constraint_column_id`
