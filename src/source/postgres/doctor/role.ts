/** What our roles may do, and what they may not miss: rows that row-level security hides, tables without a grant (P8). */
import type { HealthTopic, Observation } from '../../health-contract.ts'
import { inExtension, shownName, USER_SCHEMA } from '../catalog.ts'
import type { Row, Session } from '../connect.ts'
import { quoteName } from '../quote.ts'
import { type Asked, type HealthGroup, isAskedAbout } from './group.ts'

export const readerRole: HealthGroup = {
  topics: ['role-rights', 'role-rls', 'role-replication', 'role-too-mighty', 'role-expires'],
  look: async (session, question) => {
    const role = await readRole(session, question, ['SELECT'])
    const seen = common(role, { rights: 'role-rights', rls: 'role-rls', expires: 'role-expires' })
    if (!role.replicates)
      seen.push(of(role, 'role-replication', 'NOREPLICATION', [`ALTER ROLE ${role.sql} REPLICATION;`]))
    if (role.might.length > 0) seen.push(of(role, 'role-too-mighty', role.might.join(', '), role.takeAway))
    return seen
  },
}

export const writerRole: HealthGroup = {
  topics: ['writer-rights', 'writer-rls', 'writer-too-mighty', 'writer-expires'],
  look: async (session, question) => {
    const role = await readRole(session, question, ['SELECT', 'INSERT', 'UPDATE', 'DELETE'])
    const seen = common(role, { rights: 'writer-rights', rls: 'writer-rls', expires: 'writer-expires' })
    // That it writes is what it is for.
    const might = role.might.filter((what) => what !== 'INSERT')
    if (role.replicates && !might.includes('SUPERUSER')) might.push('REPLICATION')
    if (might.length > 0) seen.push(of(role, 'writer-too-mighty', might.join(', '), role.takeAway))
    return seen
  },
}

interface RoleFacts {
  readonly name: string
  readonly sql: string
  readonly seesAllRows: boolean
  readonly replicates: boolean
  readonly might: readonly string[]
  readonly takeAway: readonly string[]
  readonly withoutRight: readonly string[]
  /** Until the password runs out, or null when it does not. */
  readonly daysLeft: number | null
}

async function readRole(session: Session, question: Asked, rights: readonly string[]): Promise<RoleFacts> {
  const [row] = await session.query(
    `SELECT rolname AS name, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolreplication,
       CASE WHEN rolvaliduntil < 'infinity' THEN extract(epoch FROM rolvaliduntil - clock_timestamp()) / 86400 END AS days
     FROM pg_catalog.pg_roles WHERE rolname = current_user`,
  )
  const privileges = await session.query(tablesSql(rights))
  const about = privileges.filter(({ name }) => isAskedAbout(question)(name ?? ''))
  const name = row?.name ?? ''
  const sql = quoteName(name)
  const isSuper = row?.rolsuper === 't'
  const writes = about.some(({ writes: may }) => may === 't')
  return {
    name,
    sql,
    seesAllRows: isSuper || row?.rolbypassrls === 't',
    replicates: isSuper || row?.rolreplication === 't',
    might: mightOf(row, writes),
    takeAway: [`ALTER ROLE ${sql} NOSUPERUSER NOCREATEDB NOCREATEROLE;`],
    withoutRight: about.filter(({ allowed }) => allowed !== 't').map((table) => table.name ?? ''),
    daysLeft: row?.days == null ? null : Number(row.days),
  }
}

function mightOf(row: Row | undefined, writes: boolean): string[] {
  const attributes = [
    ['rolsuper', 'SUPERUSER'],
    ['rolcreatedb', 'CREATEDB'],
    ['rolcreaterole', 'CREATEROLE'],
  ] as const
  const might: string[] = attributes.filter(([column]) => row?.[column] === 't').map(([, word]) => word)
  if (writes && row?.rolsuper !== 't') might.push('INSERT')
  return might
}

function tablesSql(rights: readonly string[]): string {
  const all = rights.map((right) => `has_table_privilege(c.oid, '${right}')`).join(' AND ')
  return `SELECT ${shownName('n.nspname', 'c.relname')} AS name, has_schema_privilege(n.oid, 'USAGE') AND ${all} AS allowed,
      has_table_privilege(c.oid, 'INSERT') OR has_table_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE')
        AS writes
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND ${USER_SCHEMA} AND NOT ${inExtension('pg_class', 'c.oid')}
    ORDER BY 1`
}

function common(
  role: RoleFacts,
  topics: { readonly rights: HealthTopic; readonly rls: HealthTopic; readonly expires: HealthTopic },
): Observation[] {
  const seen: Observation[] = []
  const { withoutRight, daysLeft, sql, name } = role
  if (withoutRight.length > 0) {
    seen.push({ topic: topics.rights, objects: withoutRight, found: `${name}: permission denied` })
  }
  if (!role.seesAllRows) seen.push(of(role, topics.rls, 'NOBYPASSRLS', [`ALTER ROLE ${sql} BYPASSRLS;`]))
  if (daysLeft !== null) {
    const remedySql = [`ALTER ROLE ${sql} VALID UNTIL 'infinity'; -- or a new password: \\password ${sql}`]
    const found = `VALID UNTIL: ${daysLeft.toFixed(1)} d`
    seen.push({ topic: topics.expires, objects: [name], found, measure: daysLeft, remedySql })
  }
  return seen
}

function of(role: RoleFacts, topic: HealthTopic, found: string, remedySql: readonly string[]): Observation {
  return { topic, objects: [role.name], found, remedySql }
}
