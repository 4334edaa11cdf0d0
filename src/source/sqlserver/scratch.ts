/**
 * A database for a copy, on a server that was given for such things: made, used, dropped, and looked for. SQL Server is
 * nothing that we could start ourselves.
 *
 *     application lock of its name ─→ CREATE DATABASE, marked ─→ … ─→ DROP DATABASE ─→ asked for ─→ lock let go
 *
 * The lock lives as long as our session does. So whoever comes later knows which databases belong to nobody any more: they
 * have a name and a mark of ours (or nothing in them: made, and not yet marked), and their lock is free.
 */
import { randomBytes } from 'node:crypto'
import { Failure } from '../../errors.ts'
import type { ConnectionSettings } from '../contract.ts'
import { serverName } from '../identity.ts'
import type { ErasureProof, ScratchServer, ScratchWish } from '../scratch-contract.ts'
import { connect, type Session } from './connect.ts'
import { errorNumber, toSqlServerFailure } from './failures.ts'
import { readIdentity } from './identity.ts'
import { quoteName, quoteText } from './quote.ts'
import { findObjects } from './target-mark.ts'
import { parseUrl } from './url.ts'

const PREFIX = 'chartkeep_scratch_'
const NAME = new RegExp(`^${PREFIX}[0-9a-f]{16}$`)
const MARK = 'chartkeep_scratch'
/** No such option (40515 and Babelfish's own): the server decides it otherwise, for all databases. */
const NOT_THERE = new Set([40515, 33557097])

/**
 * @throws bad-configuration when no server is given, or a database with it; unsupported-server when it is older than the
 * source's; missing-rights when its login may make no database; source-…
 */
export async function openScratchDatabase({ on, serverVersionNumber }: ScratchWish): Promise<ScratchServer> {
  const server = serverOf(on)
  return await failing('making a database for a copy', async () => {
    await using opened = new AsyncDisposableStack()
    const session = opened.use(await connect(inDatabase(server, 'master'), 'target'))
    const identity = await readIdentity(session)
    if (Math.floor(identity.serverVersionNumber / 100) < Math.floor(serverVersionNumber / 100)) {
      throw new Failure(
        'unsupported-server',
        `the server for copies is ${serverName(identity)}, older than the source`,
        {
          hints: ['What a newer SQL Server has, an older one cannot rebuild. Name another server under `scratch`.'],
        },
      )
    }
    await dropLeftovers(session, server)
    const name = `${PREFIX}${randomBytes(8).toString('hex')}`
    await lock(session, name)
    await make(session, server, name)
    const held = opened.move()
    let isGone = false
    const drop = async () => {
      if (!isGone) await failing('dropping a copy', () => dropDatabase(session, name))
      isGone = true
    }
    return {
      kind: 'made' as const,
      version: serverName(identity),
      connection: inDatabase(server, name),
      erase: async () => {
        await drop()
        const proof = await failing('looking for what is left of a copy', () => lookFor(session, server, name))
        await held.disposeAsync()
        return proof
      },
      [Symbol.asyncDispose]: async () => {
        if (held.disposed) return
        try {
          await drop()
        } finally {
          await held.disposeAsync()
        }
      },
    }
  })
}

function serverOf(on: ConnectionSettings | null): ConnectionSettings {
  if (on === null) {
    throw new Failure('bad-configuration', 'a copy of a SQL Server source needs a server to be made on', {
      hints: [
        'Name one under `scratch: { url: sqlserver://login@host:1433 }` of the source, whose login is in dbcreator;',
        'or give an empty database with --into.',
      ],
    })
  }
  if (parseUrl(on.url).database === undefined) return on
  throw new Failure('bad-configuration', 'the server for copies (`scratch`) is given with a database', {
    hints: ['Leave the database out: one is made on that server each time, and dropped. A given one goes by --into.'],
  })
}

function inDatabase(server: ConnectionSettings, name: string): ConnectionSettings {
  const url = new URL(server.url)
  url.pathname = `/${name}`
  return { ...server, url: url.href }
}

/** Locks belong to a database: all of ours to master. @throws source-failed when somebody has it */
async function lock(session: Session, name: string): Promise<void> {
  if (await takeLock(session, name)) return
  throw new Failure('source-failed', `the lock of ${name} could not be had`)
}

async function takeLock(session: Session, name: string): Promise<boolean> {
  const [row] = await session.query(
    `DECLARE @held int; EXEC @held = sp_getapplock @Resource = ${quoteText(name)}, @LockMode = 'Exclusive', ` +
      "@LockOwner = 'Session', @LockTimeout = 0, @DbPrincipal = 'public'; SELECT @held AS held",
  )
  return Number(row?.held ?? -1) >= 0
}

async function releaseLock(session: Session, name: string): Promise<void> {
  await session.query(
    `EXEC sp_releaseapplock @Resource = ${quoteText(name)}, @LockOwner = 'Session', @DbPrincipal = 'public'`,
  )
}

async function make(session: Session, server: ConnectionSettings, name: string): Promise<void> {
  await session.query(`CREATE DATABASE ${quoteName(name)}`)
  try {
    // A copy that is thrown away needs no log backups; its rows are read as of one moment to be proved.
    for (const setting of ['RECOVERY SIMPLE', 'ALLOW_SNAPSHOT_ISOLATION ON'])
      await session.query(`ALTER DATABASE ${quoteName(name)} SET ${setting}`).catch(unlessNotThere)
    await using copy = await connect(inDatabase(server, name), 'target')
    await copy.query(`EXEC sys.sp_addextendedproperty ${quoteText(MARK)}, N'chartkeep'`)
  } catch (error) {
    await dropDatabase(session, name).catch(() => {})
    throw error
  }
}

function unlessNotThere(error: unknown): void {
  if (!NOT_THERE.has(errorNumber(error) ?? 0)) throw error
}

/** Whoever still has a session in it is thrown out. */
async function dropDatabase(session: Session, name: string): Promise<void> {
  await session.query(`ALTER DATABASE ${quoteName(name)} SET SINGLE_USER WITH ROLLBACK IMMEDIATE`).catch(unlessNotThere)
  await session.query(`DROP DATABASE ${quoteName(name)}`)
}

async function dropLeftovers(session: Session, server: ConnectionSettings): Promise<void> {
  for (const name of await listScratch(session)) {
    if (!(await takeLock(session, name))) continue
    try {
      await failing(`removing ${name}, which nobody uses any more,`, async () => {
        if (await isOurs(server, name)) await dropDatabase(session, name)
      })
    } finally {
      await releaseLock(session, name)
    }
  }
}

async function listScratch(session: Session): Promise<string[]> {
  const rows = await session.query('SELECT d.name AS name FROM sys.databases d')
  return rows.map(({ name }) => name ?? '').filter((name) => NAME.test(name))
}

async function isOurs(server: ConnectionSettings, name: string): Promise<boolean> {
  await using copy = await connect(inDatabase(server, name), 'target')
  const marks = await copy.query(
    `SELECT e.name AS name FROM sys.extended_properties e WHERE e.class = 0 AND e.name = ${quoteText(MARK)}`,
  )
  return marks.length > 0 || (await findObjects(copy)).length === 0
}

async function lookFor(session: Session, server: ConnectionSettings, name: string): Promise<ErasureProof> {
  const listed = await listScratch(session)
  return {
    what: name,
    asked: [
      { question: 'server does not list the database any more', answer: !listed.includes(name) },
      { question: 'database cannot be opened any more', answer: !(await opens(inDatabase(server, name))) },
    ],
  }
}

/** A server that cannot be reached now is no answer. */
async function opens(settings: ConnectionSettings): Promise<boolean> {
  try {
    await using _session = await connect(settings, 'target')
    return true
  } catch (error) {
    if (error instanceof Failure && ['source-not-found', 'target-failed', 'source-login-refused'].includes(error.code))
      return false
    throw error
  }
}

async function failing<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toSqlServerFailure(error, { doing, side: 'target' })
  }
}
