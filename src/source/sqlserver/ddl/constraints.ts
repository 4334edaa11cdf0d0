/**
 * Keys and indexes, foreign keys, checks. A constraint that the source trusts is made so that the server checks every row and
 * trusts it again; one that it does not trust, or has switched off, is made as it was.
 */
import type { DdlStep } from '../../contract.ts'
import type { Row, Session } from '../connect.ts'
import { groupBy } from '../introspect.ts'
import { quoteName, quoteQualified } from '../quote.ts'

export interface ConstraintSteps {
  readonly keys: readonly DdlStep[]
  readonly links: readonly DdlStep[]
  readonly checks: readonly DdlStep[]
}

export async function constraintSteps(session: Session): Promise<ConstraintSteps> {
  const indexes = [...groupBy(await session.query(INDEXES), 'index_key').values()].map(indexStep)
  const links = [...groupBy(await session.query(LINKS), 'link_id').values()].flatMap(linkSteps)
  const checks = (await session.query(CHECKS)).flatMap(checkSteps)
  return {
    keys: indexes.filter(({ phase }) => phase === 'key-or-index'),
    links: links.filter(({ phase }) => phase === 'foreign-key'),
    checks: [...links, ...checks].filter(({ phase }) => phase === 'after'),
  }
}

export function indexStep(columns: readonly Row[]): DdlStep {
  const [first] = columns
  const table = qualified(first)
  const name = quoteName(first?.index_name ?? '')
  const isOn = (row: Row) => row.is_included !== '1'
  const keyed = columns
    .filter(isOn)
    .map((row) => quoteName(row.column_name ?? '') + (row.is_descending === '1' ? ' DESC' : ''))
  const included = columns.filter((row) => !isOn(row)).map((row) => quoteName(row.column_name ?? ''))
  const clustered = first?.type === '1' ? 'CLUSTERED' : 'NONCLUSTERED'
  if (first?.is_primary_key === '1' || first?.is_unique_constraint === '1') {
    const kind = first.is_primary_key === '1' ? 'PRIMARY KEY' : 'UNIQUE'
    const sql = `ALTER TABLE ${table} ADD CONSTRAINT ${name} ${kind} ${clustered} (${keyed.join(', ')})`
    return { phase: 'key-or-index', object: `${kind} ${first.index_name}`, sql }
  }
  const unique = first?.is_unique === '1' ? 'UNIQUE ' : ''
  const include = included.length === 0 ? '' : ` INCLUDE (${included.join(', ')})`
  const filter = first?.filter_definition ? ` WHERE ${first.filter_definition}` : ''
  const ignoring = first?.ignore_dup_key === '1' ? ' WITH (IGNORE_DUP_KEY = ON)' : ''
  const sql = `CREATE ${unique}${clustered} INDEX ${name} ON ${table} (${keyed.join(', ')})${include}${filter}${ignoring}`
  return { phase: 'key-or-index', object: `INDEX ${first?.index_name}`, sql }
}

const ACTIONS: Readonly<Record<string, string>> = { '1': 'CASCADE', '2': 'SET NULL', '3': 'SET DEFAULT' }

export function linkSteps(columns: readonly Row[]): DdlStep[] {
  const [first] = columns
  const list = (field: string) => columns.map((row) => quoteName(row[field] ?? '')).join(', ')
  const action = (event: string, code: string | null | undefined) =>
    ACTIONS[code ?? ''] === undefined ? '' : ` ON ${event} ${ACTIONS[code ?? '']}`
  const other = quoteQualified(first?.referenced_schema ?? '', first?.referenced_table ?? '')
  const sql =
    `${adding(first)} ${quoteName(first?.name ?? '')} FOREIGN KEY (${list('column_name')}) REFERENCES ${other} (${list('referenced_column')})` +
    action('DELETE', first?.on_delete) +
    action('UPDATE', first?.on_update)
  return [{ phase: 'foreign-key', object: `FK CONSTRAINT ${first?.name}`, sql }, ...disabling(first)]
}

function checkSteps(row: Row): DdlStep[] {
  const sql = `${adding(row)} ${quoteName(row.name ?? '')} CHECK ${row.definition}`
  return [{ phase: 'after', object: `CHECK CONSTRAINT ${row.name}`, sql }, ...disabling(row)]
}

/** A new constraint looks at every row unless it is told not to: WITH CHECK is what saying nothing means. */
function adding(row: Row | undefined): string {
  return `ALTER TABLE ${qualified(row)}${row?.is_not_trusted === '1' ? ' WITH NOCHECK' : ''} ADD CONSTRAINT`
}

function disabling(row: Row | undefined): DdlStep[] {
  if (row?.is_disabled !== '1') return []
  const sql = `ALTER TABLE ${qualified(row)} NOCHECK CONSTRAINT ${quoteName(row.name ?? '')}`
  return [{ phase: 'after', object: `SWITCHED OFF CONSTRAINT ${row.name}`, sql }]
}

function qualified(row: Row | undefined): string {
  return quoteQualified(row?.schema_name ?? '', row?.table_name ?? '')
}

/** Clustered before the others: making it later would make each of them twice. */
const INDEXES = `
  SELECT CONVERT(nvarchar(20), i.object_id) + '/' + CONVERT(nvarchar(20), i.index_id) AS index_key, s.name AS schema_name,
    t.name AS table_name, i.name AS index_name, CONVERT(int, i.type) AS type, CONVERT(int, i.is_unique) AS is_unique,
    CONVERT(int, i.is_primary_key) AS is_primary_key, CONVERT(int, i.is_unique_constraint) AS is_unique_constraint,
    i.filter_definition AS filter_definition, CONVERT(int, i.ignore_dup_key) AS ignore_dup_key, c.name AS column_name,
    CONVERT(int, k.is_descending_key) AS is_descending, CONVERT(int, k.is_included_column) AS is_included
  FROM sys.indexes i JOIN sys.tables t ON t.object_id = i.object_id
    JOIN sys.schemas s ON s.schema_id = t.schema_id
    JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id
    JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id
  WHERE i.type IN (1, 2) AND i.is_hypothetical = 0 AND i.is_disabled = 0 AND t.is_ms_shipped = 0
    AND (k.key_ordinal > 0 OR k.is_included_column = 1)
  ORDER BY i.object_id, i.type, i.index_id, k.key_ordinal, k.index_column_id`

const LINKS = `
  SELECT CONVERT(nvarchar(20), f.object_id) AS link_id, s.name AS schema_name, t.name AS table_name, f.name AS name,
    c.name AS column_name, rs.name AS referenced_schema, r.name AS referenced_table, rc.name AS referenced_column,
    CONVERT(int, f.delete_referential_action) AS on_delete, CONVERT(int, f.update_referential_action) AS on_update,
    CONVERT(int, f.is_not_trusted) AS is_not_trusted, CONVERT(int, f.is_disabled) AS is_disabled
  FROM sys.foreign_keys f JOIN sys.tables t ON t.object_id = f.parent_object_id
    JOIN sys.schemas s ON s.schema_id = t.schema_id
    JOIN sys.foreign_key_columns k ON k.constraint_object_id = f.object_id
    JOIN sys.columns c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id
    JOIN sys.tables r ON r.object_id = f.referenced_object_id
    JOIN sys.schemas rs ON rs.schema_id = r.schema_id
    JOIN sys.columns rc ON rc.object_id = k.referenced_object_id AND rc.column_id = k.referenced_column_id
  ORDER BY f.parent_object_id, f.name, k.constraint_column_id`

const CHECKS = `
  SELECT s.name AS schema_name, t.name AS table_name, c.name AS name, c.definition AS definition,
    CONVERT(int, c.is_not_trusted) AS is_not_trusted, CONVERT(int, c.is_disabled) AS is_disabled
  FROM sys.check_constraints c JOIN sys.tables t ON t.object_id = c.parent_object_id
    JOIN sys.schemas s ON s.schema_id = t.schema_id
  ORDER BY c.parent_object_id, c.name`
