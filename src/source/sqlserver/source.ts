/** A SQL Server database as a source: one session for questions, and what `openRead` opens for itself. */
import type { ConnectionSettings, ReadOptions, SchemaInfo, Source, SourceIdentity } from '../contract.ts'
import { askServer } from './changes/ask-server.ts'
import { cdcChanges } from './changes/change-source.ts'
import { connect } from './connect.ts'
import { toSqlServerFailure } from './failures.ts'
import { readIdentity } from './identity.ts'
import { introspect } from './introspect.ts'
import { sqlServerProfile } from './profile.ts'
import { openConsistentRead } from './read.ts'

/** DDL takes part in transactions; a snapshot is one session's own, so that one connection reads all tables. */
export const sqlServerCapabilities = { transactionalDdl: true, sharedSnapshot: false } as const

/** @throws source-unreachable, source-login-refused, source-not-found, unsupported-server */
export async function openSqlServerSource(settings: ConnectionSettings): Promise<Source> {
  const session = await connect(settings, 'source')
  const failing = async <T>(doing: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw toSqlServerFailure(error, { doing, side: 'source' })
    }
  }
  const changes = cdcChanges(async () => askServer(await connect(settings, 'source')))
  return {
    capabilities: sqlServerCapabilities,
    profile: sqlServerProfile(session, failing),
    changes,
    identify: (): Promise<SourceIdentity> => failing('identifying the source', () => readIdentity(session)),
    introspect: (): Promise<SchemaInfo> => failing('reading the catalogs', () => introspect(session)),
    openRead: (options: ReadOptions) => openConsistentRead(settings, options),
    async [Symbol.asyncDispose]() {
      await changes[Symbol.asyncDispose]()
      await session[Symbol.asyncDispose]()
    },
  }
}
