/**
 * A statement of our own rebuilding, with what is needed to put it in order.
 *
 * `id` is `catalog:oid`, the same for a table, its row type, its defaults and its rewrite rules: dependencies are asked
 * of the catalogs in these terms (order.ts).
 */
import type { DdlStep } from '../../contract.ts'
import { inExtension } from '../catalog.ts'
import type { Row } from '../connect.ts'

export interface Definition {
  readonly id: string
  /** Kinds are made in this order as far as dependencies allow, and by name within a kind. */
  readonly rank: number
  /** For example `TABLE public.patient`. */
  readonly object: string
  readonly sql: string
}

export const RANK = { schema: 0, extension: 1, type: 2, routine: 3, sequence: 4, table: 5, view: 6 } as const

export function id(catalog: string, oid: string | null | undefined): string {
  return `${catalog}:${oid}`
}

export function step(phase: DdlStep['phase'], object: string, sql: string): DdlStep {
  return { phase, object, sql }
}

/** The SQL of a schema-qualified, quoted name. `n` is the namespace of `catalog`'s row `alias`. */
export function userObjects(catalog: string, alias: string, namespace: string): string {
  return `pg_catalog.${catalog} ${alias} JOIN pg_catalog.pg_namespace n ON n.oid = ${alias}.${namespace}
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT ${inExtension(catalog, `${alias}.oid`)}`
}

/** A column's collation where it is not its type's own; `type` and `collation` are SQL. */
export function collateClause(collation: string, type: string): string {
  return `(SELECT ' COLLATE ' || quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
    FROM pg_catalog.pg_collation co JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
    JOIN pg_catalog.pg_type ct ON ct.oid = ${type} WHERE co.oid = ${collation} AND ct.typcollation <> ${collation})`
}

export function text(row: Row, field: string): string {
  return row[field] ?? ''
}

export function isTrue(row: Row, field: string): boolean {
  return row[field] === 't'
}
