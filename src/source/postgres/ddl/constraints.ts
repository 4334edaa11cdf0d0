/**
 * Keys, indexes, checks and foreign keys, as the server prints them.
 *
 * Of partitioned tables each index is made for itself and then attached to its parent's, which keeps their names and
 * lets them be built in parallel. Checks that hold for all rows come before the rows; what was never validated, after.
 */
import type { DdlStep } from '../../contract.ts'
import type { Row, Session } from '../connect.ts'
import { nameList } from '../introspect.ts'
import { quoteName, quoteQualified } from '../quote.ts'
import { isTrue, step, text, userObjects } from './statement.ts'
import { optionList, tableName } from './tables.ts'

export async function readConstraintSteps(session: Session): Promise<DdlStep[]> {
  return [
    ...(await readChecks(session)),
    ...(await readKeys(session)),
    ...(await readIndexes(session)),
    ...(await readIndexAttachments(session)),
    ...(await readForeignKeys(session)),
  ]
}

const DEFINITIONS = 'c.conname AS constraint_name, pg_get_constraintdef(c.oid) AS definition'

function constraintsOf(session: Session, condition: string): Promise<Row[]> {
  return session.query(
    `SELECT n.nspname AS schema, t.relname AS name, t.relkind AS kind, ${DEFINITIONS}, c.convalidated AS validated,
       x.indisclustered AS clustered, x.indisreplident AS identity, ic.relname AS index_name,
       array_to_json(ic.reloptions) AS options
     FROM ${userObjects('pg_class', 't', 'relnamespace')}
       JOIN pg_catalog.pg_constraint c ON c.conrelid = t.oid
       LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = c.conindid AND x.indrelid = t.oid
       LEFT JOIN pg_catalog.pg_class ic ON ic.oid = x.indexrelid
     WHERE t.relkind IN ('r', 'p') AND t.relpersistence <> 't' AND ${condition} ORDER BY 1, 2, 4`,
  )
}

async function readChecks(session: Session): Promise<DdlStep[]> {
  const rows = await constraintsOf(
    session,
    `c.conislocal AND (c.contype = 'c' OR (c.contype = 'n' AND NOT c.convalidated))`,
  )
  return rows.map((row) =>
    step(
      isTrue(row, 'validated') ? 'before-rows' : 'after',
      `CHECK CONSTRAINT ${objectName(row)}`,
      addConstraint(row, ''),
    ),
  )
}

async function readKeys(session: Session): Promise<DdlStep[]> {
  const rows = await constraintsOf(session, `c.contype IN ('p', 'u', 'x')`)
  return rows.map((row) =>
    step(
      'key-or-index',
      `CONSTRAINT ${objectName(row)}`,
      [addConstraint(row, 'ONLY '), ...keyOptions(row), ...indexRoles(row)].join(';\n'),
    ),
  )
}

/** Storage options of a key's index, which the server leaves out of a constraint's definition. */
function keyOptions(row: Row): string[] {
  if (row.options === null) return []
  const index = quoteQualified(text(row, 'schema'), text(row, 'index_name'))
  return [`ALTER INDEX ${index} SET (${optionList(nameList(row.options))})`]
}

async function readForeignKeys(session: Session): Promise<DdlStep[]> {
  const rows = await constraintsOf(session, `c.contype = 'f' AND c.conparentid = 0`)
  return rows.map((row) =>
    step('foreign-key', `FK CONSTRAINT ${objectName(row)}`, addConstraint(row, row.kind === 'p' ? '' : 'ONLY ')),
  )
}

function addConstraint(row: Row, only: string): string {
  const name = quoteName(text(row, 'constraint_name'))
  return `ALTER TABLE ${only}${tableName(row)} ADD CONSTRAINT ${name} ${row.definition}`
}

function objectName(row: Row): string {
  return `${row.schema}.${row.name} ${row.constraint_name}`
}

/** An index that a failed CREATE INDEX CONCURRENTLY left behind is not made again. */
async function readIndexes(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT n.nspname AS schema, t.relname AS name, ic.relname AS index_name, inn.nspname AS index_schema,
       pg_get_indexdef(x.indexrelid) AS definition, x.indisclustered AS clustered, x.indisreplident AS identity,
       (SELECT json_agg(json_build_array(a.attnum, a.attstattarget) ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = x.indexrelid AND coalesce(a.attstattarget, -1) >= 0) AS statistics
     FROM ${userObjects('pg_class', 't', 'relnamespace')}
       JOIN pg_catalog.pg_index x ON x.indrelid = t.oid JOIN pg_catalog.pg_class ic ON ic.oid = x.indexrelid
       JOIN pg_catalog.pg_namespace inn ON inn.oid = ic.relnamespace
     WHERE t.relkind IN ('r', 'p', 'm') AND t.relpersistence <> 't' AND (x.indisvalid OR t.relkind = 'p')
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint c
         WHERE c.conindid = x.indexrelid AND c.conrelid = t.oid AND c.contype IN ('p', 'u', 'x'))
     ORDER BY 4, 3`,
  )
  return rows.map((row) =>
    step(
      'key-or-index',
      `INDEX ${row.index_schema}.${row.index_name}`,
      [text(row, 'definition'), ...indexStatistics(row), ...indexRoles(row)].join(';\n'),
    ),
  )
}

function indexStatistics(row: Row): string[] {
  const targets = row.statistics === null ? [] : (JSON.parse(text(row, 'statistics')) as [number, number][])
  const index = quoteQualified(text(row, 'index_schema'), text(row, 'index_name'))
  return targets.map(([column, target]) => `ALTER INDEX ${index} ALTER COLUMN ${column} SET STATISTICS ${target}`)
}

/** What the table uses the index for. */
function indexRoles(row: Row): string[] {
  const index = quoteName(text(row, 'index_name'))
  const roles: string[] = []
  if (isTrue(row, 'clustered')) roles.push(`ALTER TABLE ${tableName(row)} CLUSTER ON ${index}`)
  if (isTrue(row, 'identity')) roles.push(`ALTER TABLE ONLY ${tableName(row)} REPLICA IDENTITY USING INDEX ${index}`)
  return roles
}

async function readIndexAttachments(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name, pn.nspname AS parent_schema, p.relname AS parent_name
     FROM ${userObjects('pg_class', 'c', 'relnamespace')}
       JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
       JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
     WHERE c.relkind IN ('i', 'I') ORDER BY 1, 2`,
  )
  return rows.map((row) => {
    const parent = quoteQualified(text(row, 'parent_schema'), text(row, 'parent_name'))
    return step(
      'attach',
      `INDEX ATTACH ${row.schema}.${row.name}`,
      `ALTER INDEX ${parent} ATTACH PARTITION ${tableName(row)}`,
    )
  })
}
