/**
 * What a SQL Server database tells of its health. Topics that mean nothing to it (slots, publications, schema tools) are
 * left out; that SNAPSHOT isolation is off ends the examination, as it ends every backup.
 */
import { Failure } from '../../../errors.ts'
import type { ConnectionSettings } from '../../contract.ts'
import type { DatabaseHealth, HealthQuestion, HealthTopic, Observation } from '../../health-contract.ts'
import { askServer } from '../changes/ask-server.ts'
import { connect, type Session } from '../connect.ts'
import { SNAPSHOT_OFF, serverFailure, toSqlServerFailure } from '../failures.ts'
import { readIdentity, SNAPSHOT_STATE } from '../identity.ts'
import { type CatalogTable, readTables } from '../introspect.ts'
import { findNotCaptured } from '../not-captured.ts'
import { quoteName, quoteText } from '../quote.ts'
import { hiddenTables } from '../readable.ts'
import { MARK_CHARACTERS_MAX, mayMark } from '../restore-mark.ts'
import { lookAtTracking } from '../tracking/health.ts'
import { lookAtChanges } from './changes.ts'

interface Looked {
  readonly session: Session
  /** Those that are backed up. */
  readonly tables: readonly CatalogTable[]
  readonly slot: string | null
  readonly nowMs: () => number
}

interface HealthGroup {
  readonly topics: readonly HealthTopic[]
  readonly look: (looked: Looked) => Promise<readonly Observation[]>
}

const clock: HealthGroup = {
  topics: ['clock-server'],
  look: async ({ session, nowMs }) => {
    const beforeMs = nowMs()
    const [row] = await session.query(
      "SELECT CONVERT(nvarchar(20), DATEDIFF(second, '20000101', SYSUTCDATETIME())) AS seconds, " +
        'CONVERT(nvarchar(20), DATEPART(millisecond, SYSUTCDATETIME())) AS ms',
    )
    const serverMs = Date.UTC(2000, 0, 1) + Number(row?.seconds) * 1000 + Number(row?.ms)
    const offsetSeconds = (serverMs - (beforeMs + nowMs()) / 2) / 1000
    const found = `${offsetSeconds >= 0 ? '+' : ''}${offsetSeconds.toFixed(1)} s`
    return [{ topic: 'clock-server', objects: [], found, measure: Math.abs(offsetSeconds) }]
  },
}

const reader: HealthGroup = {
  topics: ['role-rights', 'role-rls', 'role-too-mighty'],
  look: async (looked) => [
    ...(await withoutRight(looked, 'role-rights', ['SELECT'])),
    ...(await hidden(looked, 'role-rls')),
    ...(await mighty(looked.session, 'role-too-mighty', [
      'db_owner',
      'db_ddladmin',
      'db_datawriter',
      'db_securityadmin',
    ])),
  ],
}

const writer: HealthGroup = {
  topics: ['writer-rights', 'writer-rls', 'writer-too-mighty'],
  look: async (looked) => [
    ...(await withoutRight(looked, 'writer-rights', ['SELECT', 'INSERT', 'UPDATE', 'DELETE'])),
    ...(await withoutAlter(looked)),
    ...(await withoutMark(looked.session)),
    ...(await hidden(looked, 'writer-rls')),
    ...(await mighty(looked.session, 'writer-too-mighty', ['db_owner', 'db_ddladmin', 'db_securityadmin'])),
  ],
}

const contents: HealthGroup = {
  topics: ['table-without-key', 'not-kept'],
  look: async ({ session, tables }) => {
    const keyless = tables.filter(({ info }) => info.primaryKey.length === 0).map(({ info }) => info.name)
    const external = (await findNotCaptured(session, [])).filter(({ kind }) => kind === 'external table')
    return [
      ...(keyless.length === 0
        ? []
        : [{ topic: 'table-without-key' as const, objects: keyless, found: 'no PRIMARY KEY' }]),
      ...external.map(({ name, kind }) => ({ topic: 'not-kept' as const, objects: [name], found: kind })),
    ]
  },
}

const changes: HealthGroup = {
  topics: [
    'server-changes-logged',
    'table-coarse',
    'slot-missing',
    'slot-lost',
    'slot-idle',
    'capture-job-still',
    'changes-kept-short',
  ],
  look: async ({ session, slot, tables }) =>
    slot === null
      ? []
      : await lookAtChanges(
          askServer(session),
          slot,
          tables.map(({ info }) => info.name),
        ),
}

/** Beside capture nothing goes by net changes. */
const tracking: HealthGroup = {
  topics: ['table-untracked'],
  look: async ({ session, slot, tables }) => (slot === null ? await lookAtTracking(session, tables) : []),
}

/** As the login that reads. @throws source-unreachable, source-login-refused, source-not-found, setting-not-pinned */
export async function examineSqlServer(
  connection: ConnectionSettings,
  question: HealthQuestion,
): Promise<DatabaseHealth> {
  return await examine(connection, question, [clock, reader, contents, changes, tracking])
}

/** As the login that puts patients back. @throws as `examineSqlServer` */
export async function examineSqlServerWriter(
  connection: ConnectionSettings,
  question: HealthQuestion,
): Promise<DatabaseHealth> {
  return await examine(connection, question, [writer])
}

async function examine(
  connection: ConnectionSettings,
  { tables: names, slot, nowMs }: HealthQuestion,
  groups: readonly HealthGroup[],
): Promise<DatabaseHealth> {
  await using session = await connect(connection, 'source', STATEMENT_TIMEOUT_MS)
  const looked: HealthTopic[] = []
  const observations: Observation[] = []
  const notLooked: { topic: HealthTopic; reason: string }[] = []
  const doing = 'examining the database'
  try {
    const identity = await readIdentity(session)
    const [state] = await session.query(SNAPSHOT_STATE)
    if (state?.state === '0') throw serverFailure(SNAPSHOT_OFF, { doing, side: 'source' })
    const wanted = names === null ? null : new Set(names)
    const tables = (await readTables(session)).filter(({ info }) => wanted === null || wanted.has(info.name))
    for (const { topics, look } of groups) {
      try {
        observations.push(...(await look({ session, tables, slot, nowMs })))
        looked.push(...topics)
      } catch (error) {
        const failure = toSqlServerFailure(error, { doing, side: 'source' })
        if (!(failure instanceof Failure) || failure.code === 'defect') throw failure
        notLooked.push(...topics.map((topic) => ({ topic, reason: failure.message })))
      }
    }
    return { identity, slotConfirmedLsn: null, looked, observations, notLooked }
  } catch (error) {
    throw toSqlServerFailure(error, { doing, side: 'source' })
  }
}

const STATEMENT_TIMEOUT_MS = 60_000

async function withoutRight(
  { session, tables }: Looked,
  topic: HealthTopic,
  rights: readonly string[],
): Promise<Observation[]> {
  const lacking: string[] = []
  for (const { info } of tables) {
    const asked = rights.map((right) => `HAS_PERMS_BY_NAME(${quoteText(info.sqlName)}, 'OBJECT', '${right}')`)
    const [row] = await session.query(`SELECT ${asked.map((ask, index) => `${ask} AS r${index}`).join(', ')}`)
    if (Object.values(row ?? {}).includes('0')) lacking.push(info.name)
  }
  return lacking.length === 0 ? [] : [{ topic, objects: lacking, found: `${rights.join(', ')}: permission denied` }]
}

/** A number for an identity column is taken only from who may alter the table. */
async function withoutAlter({ session, tables }: Looked): Promise<Observation[]> {
  const lacking: string[] = []
  for (const { info, columns } of tables) {
    if (!columns.some(({ isIdentity }) => isIdentity)) continue
    const [row] = await session.query(
      `SELECT HAS_PERMS_BY_NAME(${quoteText(info.sqlName)}, 'OBJECT', 'ALTER') AS alters`,
    )
    if (row?.alters === '0') lacking.push(info.name)
  }
  if (lacking.length === 0) return []
  return [{ topic: 'writer-rights', objects: lacking, found: 'ALTER (for IDENTITY_INSERT): permission denied' }]
}

/** Restores go ahead without it, and history cannot tell them from what the application did. */
async function withoutMark(session: Session): Promise<Observation[]> {
  if ((await mayMark(session, MARK_CHARACTERS_MAX)) !== false) return []
  const [row] = await session.query('SELECT USER_NAME() AS name')
  const remedySql = [
    `GRANT SELECT, INSERT, DELETE ON OBJECT::[chartkeep].[mark] TO ${quoteName(row?.name ?? '')};`,
    '-- where its token is shorter than nvarchar(200): drop the table, and run the last part of `chartkeep setup-sql`',
  ]
  return [{ topic: 'writer-rights', objects: ['chartkeep.mark'], found: 'restores leave no mark (P21)', remedySql }]
}

async function hidden({ session, tables }: Looked, topic: HealthTopic): Promise<Observation[]> {
  const { filtered, masked } = await hiddenTables(session, tables)
  return [
    ...(filtered.length === 0 ? [] : [{ topic, objects: filtered, found: 'a security policy filters rows' }]),
    ...(masked.length === 0 ? [] : [{ topic, objects: masked, found: 'values are masked: no UNMASK' }]),
  ]
}

async function mighty(session: Session, topic: HealthTopic, roles: readonly string[]): Promise<Observation[]> {
  const asked = roles.map((role, index) => `IS_MEMBER('${role}') AS m${index}`)
  const [row] = await session.query(
    `SELECT SUSER_SNAME() AS login, USER_NAME() AS name, IS_SRVROLEMEMBER('sysadmin') AS sa, ${asked.join(', ')}`,
  )
  const user = row?.name ?? ''
  if (row?.sa === '1') {
    const remedySql = [`ALTER SERVER ROLE sysadmin DROP MEMBER ${quoteName(row.login ?? '')};`]
    return [{ topic, objects: [row.login ?? ''], found: 'sysadmin', remedySql }]
  }
  const held = roles.filter((_, index) => row?.[`m${index}`] === '1')
  if (held.length === 0) return []
  const remedySql = held.map((role) => `ALTER ROLE ${role} DROP MEMBER ${quoteName(user)};`)
  return [{ topic, objects: [user], found: held.join(', '), remedySql }]
}
