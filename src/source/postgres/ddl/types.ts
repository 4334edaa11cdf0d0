/**
 * Enums, domains, composite and range types.
 *
 * A domain's checks and default may call functions that take the domain: they are added when all objects are there.
 */
import type { DdlStep } from '../../contract.ts'
import type { Session } from '../connect.ts'
import { nameList } from '../introspect.ts'
import { quoteName, quoteQualified, quoteText } from '../quote.ts'
import { collateClause, type Definition, id, isTrue, RANK, step, text, userObjects } from './statement.ts'

export async function readTypes(session: Session): Promise<Definition[]> {
  return [
    ...(await readEnums(session)),
    ...(await readDomains(session)),
    ...(await readComposites(session)),
    ...(await readRanges(session)),
  ]
}

async function readEnums(session: Session): Promise<Definition[]> {
  const rows = await session.query(
    `SELECT t.oid, n.nspname AS schema, t.typname AS name,
       (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) AS labels
     FROM ${userObjects('pg_type', 't', 'typnamespace')} WHERE t.typtype = 'e'`,
  )
  return rows.map((row) => {
    const labels = nameList(row.labels).map(quoteText).join(', ')
    return typeDefinition(row, `CREATE TYPE ${nameOf(row)} AS ENUM (${labels})`)
  })
}

async function readDomains(session: Session): Promise<Definition[]> {
  const rows = await session.query(
    `SELECT t.oid, n.nspname AS schema, t.typname AS name, format_type(t.typbasetype, t.typtypmod) AS base,
       ${collateClause('t.typcollation', 't.typbasetype')} AS collate, t.typnotnull AS not_null,
       (SELECT c.conname FROM pg_catalog.pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'n') AS not_null_name
     FROM ${userObjects('pg_type', 't', 'typnamespace')} WHERE t.typtype = 'd'`,
  )
  return rows.map((row) => {
    const named = row.not_null_name === null ? '' : ` CONSTRAINT ${quoteName(text(row, 'not_null_name'))}`
    const notNull = isTrue(row, 'not_null') ? `${named} NOT NULL` : ''
    const sql = `CREATE DOMAIN ${nameOf(row)} AS ${row.base}${text(row, 'collate')}${notNull}`
    return typeDefinition(row, sql, 'DOMAIN')
  })
}

/** A composite type is kept as a relation, which is also how other objects refer to it. */
async function readComposites(session: Session): Promise<Definition[]> {
  const rows = await session.query(
    `SELECT c.oid, n.nspname AS schema, c.relname AS name,
       (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) ||
          coalesce(${collateClause('a.attcollation', 'a.atttypid')}, ''), ', ' ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
     FROM ${userObjects('pg_class', 'c', 'relnamespace')} WHERE c.relkind = 'c'`,
  )
  return rows.map((row) => ({
    ...typeDefinition(row, `CREATE TYPE ${nameOf(row)} AS (${text(row, 'columns')})`),
    id: id('pg_class', row.oid),
  }))
}

/** With a canonical function, a range type and that function need each other: those are listed as not carried. */
async function readRanges(session: Session): Promise<Definition[]> {
  const multirange =
    session.serverVersionNumber >= 140_000
      ? `(SELECT m.typname FROM pg_catalog.pg_type m
    WHERE m.oid = r.rngmultitypid)`
      : 'NULL'
  const rows = await session.query(
    `SELECT t.oid, n.nspname AS schema, t.typname AS name, format_type(r.rngsubtype, NULL) AS subtype,
       quote_ident(opn.nspname) || '.' || quote_ident(op.opcname) AS operator_class,
       ${collateClause('r.rngcollation', 'r.rngsubtype')} AS collate,
       CASE WHEN r.rngsubdiff = 0 THEN NULL ELSE quote_ident(dn.nspname) || '.' || quote_ident(dp.proname) END AS diff,
       ${multirange} AS multirange
     FROM ${userObjects('pg_type', 't', 'typnamespace')}
       JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid AND r.rngcanonical = 0
       JOIN pg_catalog.pg_opclass op ON op.oid = r.rngsubopc
       JOIN pg_catalog.pg_namespace opn ON opn.oid = op.opcnamespace
       LEFT JOIN pg_catalog.pg_proc dp ON dp.oid = r.rngsubdiff
       LEFT JOIN pg_catalog.pg_namespace dn ON dn.oid = dp.pronamespace`,
  )
  return rows.map((row) => {
    const parts = [`subtype = ${row.subtype}`, `subtype_opclass = ${row.operator_class}`]
    if (row.collate !== null) parts.push(`collation = ${text(row, 'collate').replace(' COLLATE ', '')}`)
    if (row.diff !== null) parts.push(`subtype_diff = ${row.diff}`)
    if (row.multirange !== null) {
      parts.push(`multirange_type_name = ${quoteQualified(text(row, 'schema'), text(row, 'multirange'))}`)
    }
    return typeDefinition(row, `CREATE TYPE ${nameOf(row)} AS RANGE (${parts.join(', ')})`)
  })
}

/** Defaults and checks of domains; a check that was never validated must not be tried on the rows. */
export async function readDomainSteps(session: Session): Promise<DdlStep[]> {
  const defaults = await session.query(
    `SELECT n.nspname AS schema, t.typname AS name, pg_get_expr(t.typdefaultbin, 0) AS expression
     FROM ${userObjects('pg_type', 't', 'typnamespace')} WHERE t.typtype = 'd' AND t.typdefaultbin IS NOT NULL
     ORDER BY 1, 2`,
  )
  const checks = await session.query(
    `SELECT n.nspname AS schema, t.typname AS name, c.conname AS check_name, pg_get_constraintdef(c.oid) AS definition,
       c.convalidated AS validated
     FROM ${userObjects('pg_type', 't', 'typnamespace')}
       JOIN pg_catalog.pg_constraint c ON c.contypid = t.oid AND c.contype = 'c' ORDER BY 1, 2, 3`,
  )
  return [
    ...defaults.map((row) =>
      step('before-rows', `DEFAULT ${nameOf(row)}`, `ALTER DOMAIN ${nameOf(row)} SET DEFAULT ${row.expression}`),
    ),
    ...checks.map((row) =>
      step(
        isTrue(row, 'validated') ? 'before-rows' : 'after',
        `CHECK CONSTRAINT ${nameOf(row)}.${row.check_name}`,
        `ALTER DOMAIN ${nameOf(row)} ADD CONSTRAINT ${quoteName(text(row, 'check_name'))} ${row.definition}`,
      ),
    ),
  ]
}

type NamedRow = Readonly<Record<string, string | null>>

function nameOf(row: NamedRow): string {
  return quoteQualified(text(row, 'schema'), text(row, 'name'))
}

function typeDefinition(row: NamedRow, sql: string, kind = 'TYPE'): Definition {
  return { id: id('pg_type', row.oid), rank: RANK.type, object: `${kind} ${row.schema}.${row.name}`, sql }
}
