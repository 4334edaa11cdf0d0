/**
 * Which history a database belongs to (I6): system identifier, timeline and database oid.
 *
 * The timeline is taken from the name of the log file being written: the control file tells the timeline of the last
 * checkpoint, which after a promotion is still the old one. A standby writes no log and has only the control file.
 */
import { Failure } from '../../errors.ts'
import type { SourceIdentity } from '../contract.ts'
import type { Session } from './connect.ts'

export async function readIdentity(session: Session): Promise<SourceIdentity> {
  const [row] = await session.query(`
    SELECT s.system_identifier AS system_id, d.oid AS database_oid, d.datname AS database_name,
      CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id::text FROM pg_control_checkpoint())
        ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline,
      pg_is_in_recovery() AS standby
    FROM pg_control_system() s, pg_catalog.pg_database d WHERE d.datname = current_database()`)
  if (!row) throw new Failure('source-failed', 'the server does not list the database we are connected to')
  return {
    engine: 'postgresql',
    systemId: row.system_id ?? '',
    timeline: row.standby === 't' ? Number(row.timeline) : Number.parseInt(row.timeline ?? '', 16),
    databaseOid: row.database_oid ?? '',
    databaseName: row.database_name ?? '',
    serverVersion: session.serverVersion,
    serverVersionNumber: session.serverVersionNumber,
    encoding: session.encoding,
  }
}
