/**
 * Which database this is (I6): the identifier that it was made with, and its name.
 *
 * `service_broker_guid` is made with the database, travels with backups, and is the same on every replica of an
 * availability group, as the name is; numbers of databases and names of servers are not. A restored copy under the source's
 * own name, wherever it stands, counts as the source: the careful side. A server that gives none (Babelfish) is told by its
 * own name. The timeline is the recovery fork: RESTORE to an earlier moment begins another (learn.microsoft.com,
 * "sys.database_recovery_status").
 */

import { Failure } from '../../errors.ts'
import type { SourceIdentity } from '../contract.ts'
import { forkNumber } from './changes/fork.ts'
import { type CdcLsn, fromDecimal } from './changes/lsn.ts'
import type { Session } from './connect.ts'
import { hasCatalogView } from './readable.ts'

const NO_GUID = /^(00000000-0000-0000-0000-000000000000)?$/
/** 2016: before it, float has no style that keeps every digit. */
const OLDEST_MAJOR = 13

/** `0` where SNAPSHOT isolation is off. */
export const SNAPSHOT_STATE = 'SELECT snapshot_isolation_state AS state FROM sys.databases WHERE name = DB_NAME()'

export async function readIdentity(session: Session): Promise<SourceIdentity> {
  const [row] = await session.query(`
    SELECT d.name AS name, CONVERT(nvarchar(36), d.service_broker_guid) AS guid,
      CONVERT(nvarchar(256), SERVERPROPERTY('ServerName')) AS server,
      CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')) AS version
    FROM sys.databases d WHERE d.name = DB_NAME()`)
  if (!row) throw new Failure('source-failed', 'the server does not list the database we are connected to')
  const version = row.version ?? ''
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < OLDEST_MAJOR) {
    throw new Failure(
      'unsupported-server',
      `the server is SQL Server ${version}; chartkeep reads 2016 (13.0) and later`,
    )
  }
  const guid = row.guid ?? ''
  const { fork } = await readRecovery(session)
  return {
    engine: 'sqlserver',
    systemId: (NO_GUID.test(guid) ? (row.server ?? '') : guid).toLowerCase(),
    timeline: forkNumber(fork),
    databaseOid: row.name ?? '',
    databaseName: row.name ?? '',
    serverVersion: version,
    serverVersionNumber: major * 100 + minor,
    encoding: 'UTF8',
  }
}

/** Of a server that tells no forks: empty. */
export async function readRecovery(
  session: Session,
): Promise<{ readonly fork: string; readonly firstFork: string; readonly forkPoint: CdcLsn | null }> {
  if (!(await hasCatalogView(session, 'sys.database_recovery_status')))
    return { fork: '', firstFork: '', forkPoint: null }
  const [row] = await session.query(`
    SELECT CONVERT(nvarchar(36), r.recovery_fork_guid) AS fork, CONVERT(nvarchar(36), r.first_recovery_fork_guid) AS first_fork,
      CONVERT(nvarchar(30), r.fork_point_lsn) AS point
    FROM sys.database_recovery_status r WHERE r.database_id = DB_ID()`)
  const fork = row?.fork ?? ''
  return { fork, firstFork: row?.first_fork ?? fork, forkPoint: row?.point == null ? null : fromDecimal(row.point) }
}
