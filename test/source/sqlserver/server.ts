/**
 * The SQL Server of `TEST_SQLSERVER_URL` (docs/sqlserver.md, "Tests against a server"): databases to try things in, and
 * what it is able to do, found by trying.
 */
import type { ConnectionSettings } from '../../../src/source/contract.ts'
import { connect } from '../../../src/source/sqlserver/connect.ts'

/** `sqlserver://login@host:port`, without a database; parameters stay. Undefined: tests that need it are skipped. */
export const serverUrl = process.env.TEST_SQLSERVER_URL
export const password = process.env.TEST_SQLSERVER_PASSWORD ?? ''

const made: string[] = []

export function settingsOf(database: string): ConnectionSettings {
  const url = new URL(serverUrl ?? '')
  url.pathname = `/${database}`
  return { url: url.href, password }
}

/** Batches, parted by lines that say GO. */
export async function run(settings: ConnectionSettings, sql: string): Promise<void> {
  await using session = await connect(settings, 'target')
  for (const batch of sql.split(/^GO$/m)) await session.query(batch)
}

export async function ask(settings: ConnectionSettings, sql: string) {
  await using session = await connect(settings, 'target')
  return await session.query(sql)
}

/** Empty; reads under SNAPSHOT isolation are allowed in it. */
export async function createDatabase(): Promise<ConnectionSettings> {
  const name = `chartkeep_test_${process.pid}_${made.length}`
  await run(settingsOf('master'), `CREATE DATABASE ${name}`)
  made.push(name)
  const settings = settingsOf(name)
  const [state] = await ask(
    settings,
    `SELECT snapshot_isolation_state AS state FROM sys.databases WHERE name = '${name}'`,
  )
  // Where it is on for every database, the statement that allows it need not exist.
  if (state?.state !== '1') await run(settings, `ALTER DATABASE ${name} SET ALLOW_SNAPSHOT_ISOLATION ON`)
  return settings
}

export async function dropDatabases(): Promise<void> {
  for (const name of made.splice(0)) await run(settingsOf('master'), `DROP DATABASE ${name}`)
}

/** Whether the server takes a statement, run in `settings`' database; what it makes stays there. */
export async function carries(settings: ConnectionSettings, sql: string): Promise<boolean> {
  return await run(settings, sql).then(
    () => true,
    () => false,
  )
}
