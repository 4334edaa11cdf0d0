/**
 * Which objects of the catalogs are the user's: conditions shared by everything that asks them.
 *
 * Not ours to keep: the system's schemas, temporary ones, and what belongs to an extension, which makes it itself.
 */

/** `n` is pg_namespace. */
export const USER_SCHEMA = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`

/** The object is a member of an extension. */
export function inExtension(catalog: string, oid: string): string {
  return `EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.${catalog}'::regclass
    AND e.objid = ${oid} AND e.refclassid = 'pg_catalog.pg_extension'::regclass AND e.deptype = 'e')`
}

/** Qualified, quoted only where the database would: the name used everywhere in chartkeep. */
export function shownName(schema: string, name: string): string {
  return `quote_ident(${schema}) || '.' || quote_ident(${name})`
}

/** Always quoted, for statements. */
export function statementName(schema: string, name: string): string {
  const quoted = (part: string) => `'"' || replace(${part}, '"', '""') || '"'`
  return `${quoted(schema)} || '.' || ${quoted(name)}`
}

/** `c` is pg_class, `n` its pg_namespace: what holds rows that can be captured. */
export const USER_TABLE = `c.relkind = 'r' AND c.relpersistence <> 't' AND ${USER_SCHEMA}
  AND NOT ${inExtension('pg_class', 'c.oid')}`
