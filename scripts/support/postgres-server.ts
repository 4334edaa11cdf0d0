/** The servers of tests, the demo and the soak: those on which drills are held. */
import {
  type PostgresOptions,
  type PostgresServer,
  startPostgres as startScratch,
} from '../../src/source/postgres/scratch-server/server.ts'

export {
  availablePostgresVersions,
  type PostgresOptions,
  type PostgresServer,
} from '../../src/source/postgres/scratch-server/server.ts'

/** @throws unsupported-server when this machine cannot run the version; source-failed when it does not start */
export function startPostgres(options: Omit<PostgresOptions, 'nowMs'> = {}): Promise<PostgresServer> {
  return startScratch({ ...options, nowMs: Date.now })
}
