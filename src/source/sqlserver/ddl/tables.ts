/** Schemas, alias types, sequences, and tables with columns, defaults and nothing else: rows come before keys. */
import type { DdlStep } from '../../contract.ts'
import type { Row, Session } from '../connect.ts'
import { type CatalogColumn, type CatalogTable, groupBy } from '../introspect.ts'
import { quoteName, quoteQualified, quoteText, shownName } from '../quote.ts'
import { declaration } from '../row-text.ts'

export async function containerSteps(session: Session): Promise<DdlStep[]> {
  const schemas = (await session.query(SCHEMAS)).map(({ name }) =>
    step(`SCHEMA ${name}`, `CREATE SCHEMA ${quoteName(name ?? '')}`),
  )
  const types = (await session.query(ALIAS_TYPES)).map((row) => {
    const type = declaration({
      base: row.base_type ?? '',
      maxLength: Number(row.max_length),
      precision: Number(row.precision),
      scale: Number(row.scale),
      collation: null,
    })
    const nullable = row.is_nullable === '1' ? 'NULL' : 'NOT NULL'
    return step(`TYPE ${shown(row)}`, `CREATE TYPE ${qualified(row)} FROM ${type} ${nullable}`)
  })
  const sequences = (await session.query(SEQUENCES)).map((row) =>
    step(
      `SEQUENCE ${shown(row)}`,
      `CREATE SEQUENCE ${qualified(row)} AS ${row.type_name} START WITH ${row.start_value} INCREMENT BY ${row.step} ` +
        `MINVALUE ${row.low} MAXVALUE ${row.high} ${row.is_cycling === '1' ? 'CYCLE' : 'NO CYCLE'}`,
    ),
  )
  return [...schemas, ...types, ...sequences]
}

export async function tableSteps(session: Session, tables: readonly CatalogTable[]): Promise<DdlStep[]> {
  const keyed = async (sql: string) =>
    new Map((await session.query(sql)).map((row) => [`${row.object_id}/${row.column_name}`, row]))
  const extras: ColumnExtras = {
    identities: await keyed(IDENTITIES),
    computed: await keyed(COMPUTED),
    defaults: await keyed(DEFAULTS),
  }
  const comments = groupBy(await session.query(COMMENTS), 'object_id')
  return tables.flatMap((table) => {
    const columns = table.columns.map((column) => columnLine(table, column, extras)).join(',\n  ')
    const made = step(`TABLE ${table.info.name}`, `CREATE TABLE ${table.info.sqlName} (\n  ${columns}\n)`)
    return [made, ...(comments.get(table.info.oid) ?? []).map(commentStep)]
  })
}

interface ColumnExtras {
  /** By object id and column. */
  readonly identities: ReadonlyMap<string, Row>
  readonly computed: ReadonlyMap<string, Row>
  readonly defaults: ReadonlyMap<string, Row>
}

/** Columns of the catalogs in their order, so that a line of a rebuilt table has the same fields. */
export function columnLine({ info }: CatalogTable, column: CatalogColumn, extras: ColumnExtras): string {
  const key = `${info.oid}/${column.name}`
  const name = quoteName(column.name)
  const computed = extras.computed.get(key)
  if (computed) return `${name} AS ${computed.definition}${computed.is_persisted === '1' ? ' PERSISTED' : ''}`
  const identity = extras.identities.get(key)
  const rule = extras.defaults.get(key)
  return [
    name,
    column.declared,
    column.type.collation === null || column.declared.startsWith('[') ? '' : `COLLATE ${column.type.collation}`,
    identity ? `IDENTITY(${identity.start_value},${identity.step})` : '',
    rule ? `CONSTRAINT ${quoteName(rule.name ?? '')} DEFAULT ${rule.definition}` : '',
    column.nullable ? 'NULL' : 'NOT NULL',
  ]
    .filter((part) => part !== '')
    .join(' ')
}

function commentStep(row: Row): DdlStep {
  const level = row.column_name === null ? '' : `, N'COLUMN', ${quoteText(row.column_name ?? '')}`
  return step(
    `COMMENT ON ${shown(row)}`,
    `EXEC sys.sp_addextendedproperty N'MS_Description', ${quoteText(row.comment ?? '')}, ` +
      `N'SCHEMA', ${quoteText(row.schema_name ?? '')}, N'TABLE', ${quoteText(row.name ?? '')}${level}`,
  )
}

function step(object: string, sql: string): DdlStep {
  return { phase: 'before-rows', object, sql }
}

function shown(row: Row): string {
  return shownName(row.schema_name ?? '', row.name ?? '')
}

function qualified(row: Row): string {
  return quoteQualified(row.schema_name ?? '', row.name ?? '')
}

/** Not the system's own, nor those of the fixed roles. */
export const USER_SCHEMAS = `s.name NOT IN ('dbo', 'guest', 'sys', 'INFORMATION_SCHEMA', 'information_schema', 'db_owner',
  'db_accessadmin', 'db_securityadmin', 'db_ddladmin', 'db_backupoperator', 'db_datareader', 'db_datawriter',
  'db_denydatareader', 'db_denydatawriter')`

const SCHEMAS = `SELECT s.name AS name FROM sys.schemas s WHERE ${USER_SCHEMAS} ORDER BY s.name`

const ALIAS_TYPES = `
  SELECT s.name AS schema_name, y.name AS name, b.name AS base_type, CONVERT(int, y.max_length) AS max_length,
    CONVERT(int, y.[precision]) AS [precision], CONVERT(int, y.scale) AS scale, CONVERT(int, y.is_nullable) AS is_nullable
  FROM sys.types y JOIN sys.schemas s ON s.schema_id = y.schema_id
    JOIN sys.types b ON b.user_type_id = y.system_type_id AND b.system_type_id = y.system_type_id
  WHERE y.is_user_defined = 1 AND y.is_table_type = 0 AND y.is_assembly_type = 0 ORDER BY s.name, y.name`

const SEQUENCES = `
  SELECT s.name AS schema_name, q.name AS name, y.name AS type_name, CONVERT(nvarchar(40), q.start_value) AS start_value,
    CONVERT(nvarchar(40), q.increment) AS step, CONVERT(nvarchar(40), q.minimum_value) AS low,
    CONVERT(nvarchar(40), q.maximum_value) AS high, CONVERT(int, q.is_cycling) AS is_cycling
  FROM sys.sequences q JOIN sys.schemas s ON s.schema_id = q.schema_id
    JOIN sys.types y ON y.user_type_id = q.system_type_id
  WHERE q.is_ms_shipped = 0 ORDER BY s.name, q.name`

const IDENTITIES = `
  SELECT CONVERT(nvarchar(20), i.object_id) AS object_id, i.name AS column_name,
    COALESCE(CONVERT(nvarchar(40), i.seed_value), CONVERT(nvarchar(40), IDENT_SEED(s.name + '.' + t.name))) AS start_value,
    COALESCE(CONVERT(nvarchar(40), i.increment_value), CONVERT(nvarchar(40), IDENT_INCR(s.name + '.' + t.name))) AS step
  FROM sys.identity_columns i JOIN sys.tables t ON t.object_id = i.object_id
    JOIN sys.schemas s ON s.schema_id = t.schema_id`

const COMPUTED = `
  SELECT CONVERT(nvarchar(20), c.object_id) AS object_id, c.name AS column_name, c.definition AS definition,
    CONVERT(int, c.is_persisted) AS is_persisted
  FROM sys.computed_columns c`

const DEFAULTS = `
  SELECT CONVERT(nvarchar(20), d.parent_object_id) AS object_id, c.name AS column_name, d.name AS name,
    d.definition AS definition
  FROM sys.default_constraints d
    JOIN sys.columns c ON c.object_id = d.parent_object_id AND c.column_id = d.parent_column_id`

const COMMENTS = `
  SELECT CONVERT(nvarchar(20), t.object_id) AS object_id, s.name AS schema_name, t.name AS name, c.name AS column_name,
    CONVERT(nvarchar(4000), e.value) AS comment
  FROM sys.extended_properties e JOIN sys.tables t ON t.object_id = e.major_id
    JOIN sys.schemas s ON s.schema_id = t.schema_id
    LEFT JOIN sys.columns c ON c.object_id = e.major_id AND c.column_id = e.minor_id
  WHERE e.class = 1 AND e.name = 'MS_Description'`
