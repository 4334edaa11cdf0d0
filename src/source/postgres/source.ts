/** A PostgreSQL database as a source: one connection for questions, and what `openRead` opens for itself. */
import type { ConnectionSettings, ReadOptions, SchemaInfo, Source, SourceIdentity } from '../contract.ts'
import { connect, type Session } from './connect.ts'
import { toPostgresFailure } from './failures.ts'
import { readIdentity } from './identity.ts'
import { introspect } from './introspect.ts'
import { postgresProfile } from './profile.ts'
import { openConsistentRead } from './read.ts'
import { postgresChanges } from './stream/change-source.ts'
import { despiteVanishing } from './vanished.ts'

const postgresCapabilities = { transactionalDdl: true, sharedSnapshot: true } as const

/** @throws source-unreachable, source-login-refused, source-not-found, setting-not-pinned, unsupported-server */
export async function openPostgresSource(settings: ConnectionSettings): Promise<Source> {
  const session = await connect(settings, 'read')
  const changes = postgresChanges(settings)
  const failing = async <T>(doing: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw toPostgresFailure(error, { doing, side: 'source' })
    }
  }
  return {
    capabilities: postgresCapabilities,
    profile: postgresProfile(session, failing),
    changes,
    identify: (): Promise<SourceIdentity> => failing('identifying the source', () => readIdentity(session)),
    introspect: (): Promise<SchemaInfo> =>
      failing('reading the catalogs', () => despiteVanishing(() => catalogsOf(session))),
    openRead: (options: ReadOptions) => despiteVanishing(() => openConsistentRead(settings, options)),
    async [Symbol.asyncDispose]() {
      await changes[Symbol.asyncDispose]()
      await session[Symbol.asyncDispose]()
    },
  }
}

async function catalogsOf(session: Session): Promise<SchemaInfo> {
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  try {
    return await introspect(session, { sizes: 'recorded' })
  } finally {
    await session.query('ROLLBACK')
  }
}
