/**
 * Puts definitions in an order in which each finds what it needs.
 *
 * The catalogs record what depends on what, but in smaller pieces than we make: a default depends on a function, not
 * its table; a view's query is a rewrite rule. Each piece is taken for the object that carries it. Defaults and checks
 * are added after all objects, which leaves no ordinary circles; a sequence does not need the column that owns it.
 * Two objects that need each other (a view and a function that reads it in a BEGIN ATOMIC body) cannot be made by
 * single statements: they are reported.
 */
import type { NotCaptured } from '../../contract.ts'
import type { Session } from '../connect.ts'
import type { Definition } from './statement.ts'

export interface Ordered {
  readonly definitions: readonly Definition[]
  readonly notCarried: readonly NotCaptured[]
}

export async function orderDefinitions(session: Session, definitions: readonly Definition[]): Promise<Ordered> {
  const needs = await readNeeds(session)
  const byId = new Map(definitions.map((definition) => [definition.id, definition]))
  const ordered: Definition[] = []
  const state = new Map<string, 'open' | 'done'>()
  const notCarried: NotCaptured[] = []

  const visit = (definition: Definition): void => {
    state.set(definition.id, 'open')
    for (const neededId of needs.get(definition.id) ?? []) {
      const needed = byId.get(neededId)
      if (needed === undefined || needed === definition) continue
      if (state.get(neededId) === 'open') notCarried.push(circle(definition, needed))
      else if (!state.has(neededId)) visit(needed)
    }
    state.set(definition.id, 'done')
    ordered.push(definition)
  }

  for (const definition of [...definitions].sort(byRankAndName)) if (!state.has(definition.id)) visit(definition)
  return { definitions: ordered, notCarried }
}

function byRankAndName(a: Definition, b: Definition): number {
  if (a.rank !== b.rank) return a.rank - b.rank
  return a.object < b.object ? -1 : a.object > b.object ? 1 : 0
}

function circle(one: Definition, other: Definition): NotCaptured {
  return { kind: 'circular definition', name: one.object, reason: `it and ${other.object} need each other` }
}

/** A piece of an object, as the object. Constraints and plain defaults come later, and count for nothing here. */
const CARRIER = `
  carrier(classid, objid, catalog, oid) AS (
    SELECT 'pg_catalog.pg_type'::regclass, t.oid, 'pg_class', t.typrelid FROM pg_catalog.pg_type t WHERE t.typrelid <> 0
    UNION ALL SELECT 'pg_catalog.pg_type'::regclass, t.oid, coalesce(e.catalog, 'pg_type'), coalesce(e.oid, t.oid)
      FROM pg_catalog.pg_type t LEFT JOIN LATERAL (
        SELECT CASE WHEN el.typrelid <> 0 THEN 'pg_class' ELSE 'pg_type' END AS catalog,
          CASE WHEN el.typrelid <> 0 THEN el.typrelid ELSE el.oid END AS oid
        FROM pg_catalog.pg_type el WHERE el.oid = t.typelem AND el.typarray = t.oid) e ON true WHERE t.typrelid = 0
    UNION ALL SELECT 'pg_catalog.pg_class'::regclass, c.oid, 'pg_class', c.oid FROM pg_catalog.pg_class c
    UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, p.oid, 'pg_proc', p.oid FROM pg_catalog.pg_proc p
    UNION ALL SELECT 'pg_catalog.pg_rewrite'::regclass, r.oid, 'pg_class', r.ev_class FROM pg_catalog.pg_rewrite r
      WHERE r.rulename = '_RETURN'
    UNION ALL SELECT 'pg_catalog.pg_attrdef'::regclass, d.oid, 'pg_class', d.adrelid FROM pg_catalog.pg_attrdef d
      JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated <> '')`

async function readNeeds(session: Session): Promise<Map<string, string[]>> {
  const rows = await session.query(`
    WITH ${CARRIER}
    SELECT DISTINCT one.catalog || ':' || one.oid AS needing, other.catalog || ':' || other.oid AS needed
    FROM pg_catalog.pg_depend d
      JOIN carrier one ON one.classid = d.classid AND one.objid = d.objid
      JOIN carrier other ON other.classid = d.refclassid AND other.objid = d.refobjid
    WHERE d.deptype IN ('n', 'a', 'i') AND (one.catalog, one.oid) <> (other.catalog, other.oid)
      AND d.objid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_class s
        WHERE s.oid = one.oid AND one.catalog = 'pg_class' AND s.relkind = 'S')
    ORDER BY 1, 2`)
  const needs = new Map<string, string[]>()
  for (const row of rows) {
    const list = needs.get(row.needing ?? '')
    if (list) list.push(row.needed ?? '')
    else needs.set(row.needing ?? '', [row.needed ?? ''])
  }
  return needs
}
