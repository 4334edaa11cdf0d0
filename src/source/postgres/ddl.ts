/**
 * The statements that rebuild a schema: pg_dump's wherever one that fits is installed, else our own.
 *
 * pg_dump knows every kind of object and reads them all at the snapshot; it refuses servers newer than itself, and many
 * machines have none. Our own statements carry the usual kinds and list the rest (P22, I10). Which of the two it was is
 * written down with the statements.
 */
import type { ConnectionSettings, SchemaDdl } from '../contract.ts'
import type { Session } from './connect.ts'
import { writeSchemaDdl } from './ddl/from-catalogs.ts'
import { dumpSchema, findPgDump } from './ddl-from-pg-dump.ts'

export interface DdlRequest {
  /** In the transaction of the snapshot. */
  readonly keeper: Session
  readonly connection: ConnectionSettings
  readonly snapshot: string
  readonly lockTimeoutMs: number
}

export async function readSchemaDdl(request: DdlRequest): Promise<SchemaDdl> {
  const pgDump = await findPgDump(request.keeper.serverVersionNumber)
  return pgDump === undefined ? writeSchemaDdl(request.keeper) : dumpSchema(pgDump, request)
}
