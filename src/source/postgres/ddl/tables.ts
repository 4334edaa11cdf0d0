/**
 * Tables, partitioned tables and what belongs to their columns.
 *
 * A partition is made on its own and attached, so that its columns keep their order. Plain defaults and checks are
 * added when every object is there, because they may call functions that need the table. NOT NULL is part of the
 * column; since 18 it has a name, which is kept.
 */
import type { DdlStep } from '../../contract.ts'
import type { Row, Session } from '../connect.ts'
import { quoteName, quoteQualified, quoteText } from '../quote.ts'
import { OPTION_COLUMNS, sequenceOptions } from './sequences.ts'
import { collateClause, type Definition, id, isTrue, RANK, step, text, userObjects } from './statement.ts'

export async function readTables(session: Session): Promise<Definition[]> {
  const columns = Map.groupBy(await readColumns(session), (row) => text(row, 'relid'))
  const tables = await session.query(
    `SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relpersistence = 'u' AS unlogged, c.relispartition AS partition,
       pg_get_partkeydef(c.oid) AS partition_key, ${STORAGE_OPTIONS} AS options,
       (SELECT am.amname FROM pg_catalog.pg_am am WHERE am.oid = c.relam AND am.amname <> 'heap') AS access_method,
       (SELECT string_agg(quote_ident(pn.nspname) || '.' || quote_ident(p.relname), ', ' ORDER BY i.inhseqno)
        FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
          JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid) AS parents
     FROM ${userObjects('pg_class', 'c', 'relnamespace')}
     WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'`,
  )
  return tables.map((table) => ({
    id: id('pg_class', table.oid),
    rank: RANK.table,
    object: `TABLE ${table.schema}.${table.name}`,
    sql: createTable(table, columns.get(text(table, 'oid')) ?? []),
  }))
}

/** Of the table and of its TOAST table, ready to stand between parentheses. */
const STORAGE_OPTIONS = `(SELECT string_agg(o.prefix || quote_ident(split_part(o.option, '=', 1)) || '=' ||
    quote_literal(substr(o.option, strpos(o.option, '=') + 1)), ', ')
  FROM (SELECT '' AS prefix, unnest(c.reloptions) AS option
    UNION ALL SELECT 'toast.', unnest(toast.reloptions) FROM pg_catalog.pg_class toast WHERE toast.oid = c.reltoastrelid) o)`

/** What a partition has from its parent only because it is one (an identity since 17) is left to the attaching. */
function readColumns(session: Session): Promise<Row[]> {
  const compression = session.serverVersionNumber >= 140_000 ? 'a.attcompression' : `''`
  return session.query(
    `SELECT a.attrelid AS relid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       ${collateClause('a.attcollation', 'a.atttypid')} AS collate, a.attislocal AS local,
       a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint u WHERE u.conrelid = a.attrelid
         AND u.contype = 'n' AND u.conkey = ARRAY[a.attnum] AND NOT u.convalidated) AS not_null,
       a.attgenerated AS generated, a.attidentity AS identity, ${compression} AS compression,
       (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d
          WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) AS expression,
       nn.conname AS not_null_name, nn.connoinherit AS not_null_no_inherit, nn.conislocal AS not_null_local,
       (SELECT quote_ident(sn.nspname) || '.' || quote_ident(s.relname) FROM pg_catalog.pg_class s
          JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace WHERE s.oid = q.seqrelid) AS sequence,
       ${OPTION_COLUMNS}
     FROM pg_catalog.pg_attribute a
       JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
       LEFT JOIN pg_catalog.pg_constraint nn ON nn.conrelid = a.attrelid AND nn.contype = 'n'
         AND nn.conkey = ARRAY[a.attnum] AND nn.convalidated
       LEFT JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid
         AND d.refobjsubid = a.attnum AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'i'
       LEFT JOIN pg_catalog.pg_sequence q ON q.seqrelid = d.objid
     WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid >= 16384
     ORDER BY a.attrelid, a.attnum`,
  )
}

function createTable(table: Row, columns: readonly Row[]): string {
  const isPartition = isTrue(table, 'partition')
  const own = columns.filter((column) => isPartition || isTrue(column, 'local')).map(columnClause)
  const lines = [...own, ...(isPartition ? [] : columns.flatMap(inheritedNotNull))]
  const parts = [`CREATE ${isTrue(table, 'unlogged') ? 'UNLOGGED ' : ''}TABLE ${tableName(table)} (`]
  parts.push(`${lines.map((line) => `\n  ${line}`).join(',')}\n)`)
  if (!isPartition && table.parents !== null) parts.push(` INHERITS (${table.parents})`)
  if (table.partition_key !== null) parts.push(` PARTITION BY ${table.partition_key}`)
  if (table.access_method !== null) parts.push(` USING ${quoteName(text(table, 'access_method'))}`)
  if (table.options !== null) parts.push(` WITH (${table.options})`)
  return parts.join('')
}

/**
 * A NOT NULL of its own on a column that is inherited. Only here can it keep its name: once the table is there, the column
 * has the parent's, and a column has one.
 */
function inheritedNotNull(column: Row): string[] {
  if (isTrue(column, 'local') || column.not_null_name === null || !isTrue(column, 'not_null_local')) return []
  const inherit = isTrue(column, 'not_null_no_inherit') ? ' NO INHERIT' : ''
  const names = [text(column, 'not_null_name'), text(column, 'name')].map(quoteName)
  return [`CONSTRAINT ${names[0]} NOT NULL ${names[1]}${inherit}`]
}

function columnClause(column: Row): string {
  const parts = [quoteName(text(column, 'name')), ` ${column.type}${text(column, 'collate')}`]
  if (text(column, 'compression') !== '') {
    parts.push(` COMPRESSION ${column.compression === 'l' ? 'lz4' : 'pglz'}`)
  }
  if (text(column, 'generated') !== '') {
    const stored = column.generated === 's' ? 'STORED' : 'VIRTUAL'
    parts.push(` GENERATED ALWAYS AS (${column.expression}) ${stored}`)
  }
  if (text(column, 'identity') !== '' && column.sequence !== null) {
    const when = column.identity === 'a' ? 'ALWAYS' : 'BY DEFAULT'
    parts.push(` GENERATED ${when} AS IDENTITY (SEQUENCE NAME ${column.sequence} ${sequenceOptions(column)})`)
  }
  if (column.not_null_name !== null) {
    const inherit = isTrue(column, 'not_null_no_inherit') ? ' NO INHERIT' : ''
    parts.push(` CONSTRAINT ${quoteName(text(column, 'not_null_name'))} NOT NULL${inherit}`)
  } else if (isTrue(column, 'not_null')) parts.push(' NOT NULL')
  return parts.join('')
}

export async function readPartitionSteps(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name, pn.nspname AS parent_schema, p.relname AS parent_name,
       pg_get_expr(c.relpartbound, c.oid) AS bound
     FROM ${userObjects('pg_class', 'c', 'relnamespace')}
       JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
       JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
     WHERE c.relispartition AND c.relkind IN ('r', 'p') ORDER BY 1, 2`,
  )
  return rows.map((row) => {
    const parent = quoteQualified(text(row, 'parent_schema'), text(row, 'parent_name'))
    return step(
      'before-rows',
      `TABLE ATTACH ${row.schema}.${row.name}`,
      `ALTER TABLE ONLY ${parent} ATTACH PARTITION ${tableName(row)} ${row.bound}`,
    )
  })
}

/** Defaults of tables and of views' columns; each relation for itself, as the catalogs have it. */
export async function readDefaultSteps(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name, a.attname AS column_name, pg_get_expr(d.adbin, d.adrelid) AS expression
     FROM ${userObjects('pg_class', 'c', 'relnamespace')}
       JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped AND a.attgenerated = ''
       JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
     WHERE c.relkind IN ('r', 'p', 'v') AND c.relpersistence <> 't' ORDER BY 1, 2, a.attnum`,
  )
  return rows.map((row) =>
    step(
      'before-rows',
      `DEFAULT ${row.schema}.${row.name}.${row.column_name}`,
      `ALTER TABLE ONLY ${tableName(row)} ALTER COLUMN ${quoteName(text(row, 'column_name'))} SET DEFAULT ${row.expression}`,
    ),
  )
}

/**
 * What a column may carry beside its definition: a storage strategy, a statistics target, options; a NOT NULL of its own
 * on a column that is inherited; the type of a typed table.
 */
export async function readColumnSteps(session: Session): Promise<DdlStep[]> {
  const steps = [...(await readColumnSettings(session)), ...(await readInheritedNotNulls(session))]
  const typed = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name, format_type(c.reloftype, NULL) AS type
     FROM ${userObjects('pg_class', 'c', 'relnamespace')} WHERE c.reloftype <> 0 AND c.relkind IN ('r', 'p') ORDER BY 1, 2`,
  )
  for (const row of typed) {
    const sql = `ALTER TABLE ONLY ${tableName(row)} OF ${row.type}`
    steps.push(step('before-rows', `TABLE TYPE ${row.schema}.${row.name}`, sql))
  }
  return steps
}

async function readColumnSettings(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name, a.attname AS column_name,
       CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
         WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END AS storage,
       CASE WHEN coalesce(a.attstattarget, -1) >= 0 THEN a.attstattarget END AS statistics,
       array_to_string(a.attoptions, ', ') AS options
     FROM ${userObjects('pg_class', 'c', 'relnamespace')}
       JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
       JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' ORDER BY 1, 2, a.attnum`,
  )
  return rows.flatMap((row) => {
    const changes: string[] = []
    if (row.storage !== null) changes.push(`SET STORAGE ${row.storage}`)
    if (row.statistics !== null) changes.push(`SET STATISTICS ${row.statistics}`)
    if (row.options !== null) changes.push(`SET (${row.options})`)
    const column = quoteName(text(row, 'column_name'))
    return changes.map((change) =>
      step(
        'before-rows',
        `COLUMN ${row.schema}.${row.name}.${row.column_name}`,
        `ALTER TABLE ONLY ${tableName(row)} ALTER COLUMN ${column} ${change}`,
      ),
    )
  })
}

/** Before 18, where it has no name, and is no constraint. */
async function readInheritedNotNulls(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name, a.attname AS column_name
     FROM ${userObjects('pg_class', 'c', 'relnamespace')}
       JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         AND NOT a.attislocal AND a.attnotnull
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint nn WHERE nn.conrelid = c.oid AND nn.contype = 'n'
         AND nn.conkey = ARRAY[a.attnum]) ORDER BY 1, 2, a.attnum`,
  )
  return rows.map((row) => {
    const change = `ALTER COLUMN ${quoteName(text(row, 'column_name'))} SET NOT NULL`
    const object = `NOT NULL ${row.schema}.${row.name}.${row.column_name}`
    return step('before-rows', object, `ALTER TABLE ONLY ${tableName(row)} ${change}`)
  })
}

/** REPLICA IDENTITY FULL or NOTHING; by an index it stands beside the index. */
export async function readReplicaIdentitySteps(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name, CASE c.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END AS identity
     FROM ${userObjects('pg_class', 'c', 'relnamespace')}
     WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND c.relreplident IN ('f', 'n') ORDER BY 1, 2`,
  )
  return rows.map((row) =>
    step(
      'before-rows',
      `REPLICA IDENTITY ${row.schema}.${row.name}`,
      `ALTER TABLE ONLY ${tableName(row)} REPLICA IDENTITY ${row.identity}`,
    ),
  )
}

export function tableName(row: Row): string {
  return quoteQualified(text(row, 'schema'), text(row, 'name'))
}

/** `a=b` pairs as the catalogs keep them, for a WITH clause. */
export function optionList(json: readonly string[]): string {
  return json
    .map((option) => {
      const at = option.indexOf('=')
      return `${quoteName(option.slice(0, at))}=${quoteText(option.slice(at + 1))}`
    })
    .join(', ')
}
