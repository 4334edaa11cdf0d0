/**
 * Comments, owners and grants of the objects that our statements make.
 *
 * The server names each object as its own statements do (pg_identify_object). A grant is written as its difference
 * from what an object of that kind starts with, so that a right that was taken away is taken away again.
 */
import type { DdlStep } from '../../contract.ts'
import type { Row, Session } from '../connect.ts'
import { quoteName, quoteText } from '../quote.ts'
import { isTrue, step, text, userObjects } from './statement.ts'

export async function readRightsSteps(session: Session): Promise<DdlStep[]> {
  return [...(await readComments(session)), ...(await readOwners(session)), ...(await readGrants(session))]
}

/** By the server's word for a kind, the word of COMMENT ON. */
const COMMENTED: Readonly<Record<string, string>> = {
  schema: 'SCHEMA',
  extension: 'EXTENSION',
  type: 'TYPE',
  'composite type': 'TYPE',
  table: 'TABLE',
  'table column': 'COLUMN',
  'view column': 'COLUMN',
  'materialized view column': 'COLUMN',
  'composite type column': 'COLUMN',
  'index column': 'COLUMN',
  index: 'INDEX',
  sequence: 'SEQUENCE',
  view: 'VIEW',
  'materialized view': 'MATERIALIZED VIEW',
  function: 'FUNCTION',
  procedure: 'PROCEDURE',
  'table constraint': 'CONSTRAINT',
  'domain constraint': 'CONSTRAINT',
  trigger: 'TRIGGER',
  rule: 'RULE',
  policy: 'POLICY',
  'statistics object': 'STATISTICS',
}

/** What nobody changed since the database or the extension was made needs no statement. */
async function readComments(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT o.type, o.identity, d.description FROM pg_catalog.pg_description d,
       LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) o
     WHERE (d.objoid >= 16384 OR (o.type = 'schema' AND o.identity = 'public' AND d.description <> 'standard public schema'))
       AND coalesce(o.schema, '') !~ '^pg_'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid
         AND e.deptype = 'e')
     ORDER BY 1, 2`,
  )
  return rows.flatMap((row) => {
    const kind = COMMENTED[text(row, 'type')]
    if (kind === undefined) return []
    const identity =
      row.type === 'domain constraint' ? text(row, 'identity').replace(' on ', ' ON DOMAIN ') : text(row, 'identity')
    const sql = `COMMENT ON ${kind} ${identity} IS ${quoteText(text(row, 'description'))}`
    return [step('after', `COMMENT ${kind} ${row.identity}`, sql)]
  })
}

const RELATION_KIND = `CASE c.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
  WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END`

/** A sequence that belongs to a column has the owner of its table; the schema public is born with an owner. */
async function readOwners(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT 'SCHEMA' AS kind, quote_ident(n.nspname) AS identity, pg_get_userbyid(n.nspowner) AS owner
       FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
         AND NOT (n.nspname = 'public' AND (n.nspowner = 10 OR pg_get_userbyid(n.nspowner) = 'pg_database_owner'))
     UNION ALL
     SELECT ${RELATION_KIND}, quote_ident(n.nspname) || '.' || quote_ident(c.relname), pg_get_userbyid(c.relowner)
       FROM ${userObjects('pg_class', 'c', 'relnamespace')}
       WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'c') AND c.relpersistence <> 't' AND NOT (c.relkind = 'S' AND EXISTS (
         SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
           AND d.deptype IN ('a', 'i')))
     UNION ALL
     SELECT CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END,
         quote_ident(n.nspname) || '.' || quote_ident(t.typname), pg_get_userbyid(t.typowner)
       FROM ${userObjects('pg_type', 't', 'typnamespace')} WHERE t.typtype IN ('e', 'd', 'r')
     UNION ALL
     SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, (pg_identify_object('pg_catalog.pg_proc'::regclass,
         p.oid, 0)).identity, pg_get_userbyid(p.proowner)
       FROM ${userObjects('pg_proc', 'p', 'pronamespace')} WHERE p.prokind IN ('f', 'p', 'w')
     UNION ALL
     SELECT 'STATISTICS', quote_ident(n.nspname) || '.' || quote_ident(s.stxname), pg_get_userbyid(s.stxowner)
       FROM ${userObjects('pg_statistic_ext', 's', 'stxnamespace')}
     ORDER BY 1, 2`,
  )
  return rows.map((row) =>
    step(
      'after',
      `OWNER ${row.kind} ${row.identity}`,
      `ALTER ${row.kind} ${row.identity} OWNER TO ${quoteName(text(row, 'owner'))}`,
    ),
  )
}

/** Each object that has rights of its own, with the rights its kind starts with. */
const GRANTABLE = `
  SELECT 'TABLE' AS kind, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS identity, '' AS columns,
      c.relacl AS rights, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner) AS usual,
      c.relowner AS owner, c.relkind = 'S' AS is_sequence
    FROM ${userObjects('pg_class', 'c', 'relnamespace')}
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND c.relpersistence <> 't' AND c.relacl IS NOT NULL
  UNION ALL
  SELECT 'TABLE', quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(a.attname), a.attacl,
      acldefault('c', c.relowner), c.relowner, false
    FROM ${userObjects('pg_class', 'c', 'relnamespace')} JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
    WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm')
  UNION ALL
  SELECT 'SCHEMA', quote_ident(n.nspname), '', n.nspacl, coalesce((SELECT i.initprivs FROM pg_catalog.pg_init_privs i
      WHERE i.classoid = 'pg_catalog.pg_namespace'::regclass AND i.objoid = n.oid), acldefault('n', n.nspowner)),
      n.nspowner, false
    FROM pg_catalog.pg_namespace n
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspacl IS NOT NULL
  UNION ALL
  SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
      (pg_identify_object('pg_catalog.pg_proc'::regclass, p.oid, 0)).identity, '', p.proacl, acldefault('f', p.proowner),
      p.proowner, false
    FROM ${userObjects('pg_proc', 'p', 'pronamespace')} WHERE p.prokind IN ('f', 'p', 'w') AND p.proacl IS NOT NULL
  UNION ALL
  SELECT 'TYPE', quote_ident(n.nspname) || '.' || quote_ident(t.typname), '', t.typacl, acldefault('T', t.typowner),
      t.typowner, false
    FROM ${userObjects('pg_type', 't', 'typnamespace')}
    WHERE t.typtype IN ('e', 'd', 'r', 'c') AND t.typacl IS NOT NULL`

async function readGrants(session: Session): Promise<DdlStep[]> {
  const difference = (rights: string, other: string) =>
    `SELECT r.grantee, r.privilege_type, r.is_grantable FROM aclexplode(${rights}) r
     WHERE NOT EXISTS (SELECT FROM aclexplode(${other}) u WHERE u.grantee = r.grantee
       AND u.privilege_type = r.privilege_type AND u.is_grantable = r.is_grantable)`
  const rows = await session.query(
    `WITH object AS (${GRANTABLE})
     SELECT o.kind, o.identity, o.columns, o.is_sequence, x.action, x.privilege_type AS privilege, x.is_grantable AS grantable,
       x.grantee = 0 AS public, pg_get_userbyid(x.grantee) AS role
     FROM object o, LATERAL (
       SELECT 'REVOKE' AS action, * FROM (${difference('o.usual', 'o.rights')}) taken
       UNION ALL SELECT 'GRANT', * FROM (${difference('o.rights', 'o.usual')}) given) x
     ORDER BY o.kind, o.identity, o.columns, x.action DESC, x.grantee = 0 DESC, 9, 6`,
  )
  return rows.map(grantStep)
}

function grantStep(row: Row): DdlStep {
  const kind = isTrue(row, 'is_sequence') ? 'SEQUENCE' : text(row, 'kind')
  const privilege = `${row.privilege}${row.columns === '' ? '' : ` (${row.columns})`}`
  const role = isTrue(row, 'public') ? 'PUBLIC' : quoteName(text(row, 'role'))
  const object = `${kind} ${row.identity}`
  const sql =
    row.action === 'REVOKE'
      ? `REVOKE ${privilege} ON ${object} FROM ${role}`
      : `GRANT ${privilege} ON ${object} TO ${role}${isTrue(row, 'grantable') ? ' WITH GRANT OPTION' : ''}`
  return step(
    'after',
    `ACL ${object} ${row.action} ${row.privilege} ${isTrue(row, 'public') ? 'PUBLIC' : row.role}`,
    sql,
  )
}
