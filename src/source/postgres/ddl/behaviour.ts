/** What acts on tables: triggers, rules, row-level security; and statistics objects. After the rows, all of it. */
import type { DdlStep } from '../../contract.ts'
import type { Row, Session } from '../connect.ts'
import { nameList } from '../introspect.ts'
import { quoteName, quoteQualified } from '../quote.ts'
import { isTrue, step, text, userObjects } from './statement.ts'
import { tableName } from './tables.ts'

export async function readBehaviourSteps(session: Session): Promise<DdlStep[]> {
  return [
    ...(await readStatistics(session)),
    ...(await readRules(session)),
    ...(await readTriggers(session)),
    ...(await readRowSecurity(session)),
    ...(await readPolicies(session)),
  ]
}

/** A partition has its parent's triggers by being one; only a different state of such a copy is written down. */
async function readTriggers(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind, t.tgname AS trigger_name, t.tgenabled AS state,
       t.tgparentid <> 0 AS copied, coalesce(above.tgenabled, 'O') AS usual_state, pg_get_triggerdef(t.oid) AS definition
     FROM ${userObjects('pg_class', 'c', 'relnamespace')} JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid
       LEFT JOIN pg_catalog.pg_trigger above ON above.oid = t.tgparentid
     WHERE NOT t.tgisinternal OR t.tgparentid <> 0 AND above.oid IS NOT NULL AND NOT above.tgisinternal
     ORDER BY t.tgparentid <> 0, 1, 2, 4`,
  )
  return rows.flatMap((row) => {
    const object = `TRIGGER ${row.schema}.${row.name} ${row.trigger_name}`
    const steps = isTrue(row, 'copied') ? [] : [step('after', object, text(row, 'definition'))]
    if (row.state !== row.usual_state) steps.push(step('after', object, `ALTER TABLE ${triggerState(row)}`))
    return steps
  })
}

const STATES: Readonly<Record<string, string>> = {
  O: 'ENABLE',
  D: 'DISABLE',
  R: 'ENABLE REPLICA',
  A: 'ENABLE ALWAYS',
}

function triggerState(row: Row): string {
  return `${tableName(row)} ${STATES[text(row, 'state')]} TRIGGER ${quoteName(text(row, 'trigger_name'))}`
}

async function readRules(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name, r.rulename AS rule_name, r.ev_enabled AS state,
       pg_get_ruledef(r.oid) AS definition
     FROM ${userObjects('pg_class', 'c', 'relnamespace')} JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid
     WHERE r.rulename <> '_RETURN' ORDER BY 1, 2, 3`,
  )
  return rows.map((row) => {
    const change = `ALTER TABLE ${tableName(row)} ${STATES[text(row, 'state')]} RULE ${quoteName(text(row, 'rule_name'))}`
    const sql = row.state === 'O' ? text(row, 'definition') : `${row.definition}\n${change}`
    return step('after', `RULE ${row.schema}.${row.name} ${row.rule_name}`, sql)
  })
}

async function readRowSecurity(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced
     FROM ${userObjects('pg_class', 'c', 'relnamespace')}
     WHERE c.relrowsecurity OR c.relforcerowsecurity ORDER BY 1, 2`,
  )
  return rows.map((row) => {
    const statements: string[] = []
    if (isTrue(row, 'enabled')) statements.push(`ALTER TABLE ${tableName(row)} ENABLE ROW LEVEL SECURITY`)
    if (isTrue(row, 'forced')) statements.push(`ALTER TABLE ONLY ${tableName(row)} FORCE ROW LEVEL SECURITY`)
    return step('after', `ROW SECURITY ${row.schema}.${row.name}`, statements.join(';\n'))
  })
}

const COMMANDS: Readonly<Record<string, string>> = {
  '*': 'ALL',
  r: 'SELECT',
  a: 'INSERT',
  w: 'UPDATE',
  d: 'DELETE',
}

async function readPolicies(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name, p.polname AS policy_name, p.polcmd AS command,
       p.polpermissive AS permissive, pg_get_expr(p.polqual, p.polrelid) AS using,
       pg_get_expr(p.polwithcheck, p.polrelid) AS with_check,
       (SELECT json_agg(r.rolname ORDER BY r.rolname) FROM pg_catalog.pg_roles r WHERE r.oid = ANY (p.polroles)) AS roles
     FROM ${userObjects('pg_class', 'c', 'relnamespace')} JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid ORDER BY 1, 2, 3`,
  )
  return rows.map((row) => {
    const roles = nameList(row.roles).map(quoteName).join(', ')
    const parts = [`CREATE POLICY ${quoteName(text(row, 'policy_name'))} ON ${tableName(row)}`]
    if (!isTrue(row, 'permissive')) parts.push('AS RESTRICTIVE')
    parts.push(`FOR ${COMMANDS[text(row, 'command')]} TO ${roles === '' ? 'PUBLIC' : roles}`)
    if (row.using !== null) parts.push(`USING (${row.using})`)
    if (row.with_check !== null) parts.push(`WITH CHECK (${row.with_check})`)
    return step('after', `POLICY ${row.schema}.${row.name} ${row.policy_name}`, parts.join(' '))
  })
}

async function readStatistics(session: Session): Promise<DdlStep[]> {
  const rows = await session.query(
    `SELECT n.nspname AS schema, s.stxname AS name, pg_get_statisticsobjdef(s.oid) AS definition,
       CASE WHEN coalesce(s.stxstattarget, -1) >= 0 THEN s.stxstattarget END AS target
     FROM ${userObjects('pg_statistic_ext', 's', 'stxnamespace')} ORDER BY 1, 2`,
  )
  return rows.map((row) => {
    const name = quoteQualified(text(row, 'schema'), text(row, 'name'))
    const target = row.target === null ? '' : `;\nALTER STATISTICS ${name} SET STATISTICS ${row.target}`
    return step('after', `STATISTICS ${row.schema}.${row.name}`, `${row.definition}${target}`)
  })
}
