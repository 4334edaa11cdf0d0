/**
 * Where a drill rebuilds: a server of our own, a database that is made on a server for such things, or an empty database
 * that somebody gave. Nothing is left of it afterwards, and that is asked for. A given database carries a mark while the
 * drill lasts, so that the next drill clears what one that was killed left there, and nothing else (I8).
 */
import { Failure } from '../../errors.ts'
import type { ConnectionSettings, SourceIdentity } from '../../source/contract.ts'
import { serverName } from '../../source/identity.ts'
import { openScratchServer, openTarget } from '../../source/open.ts'
import type { Cleanup } from './drill-report.ts'
import type { DrillRequest } from './drill-request.ts'

export interface ScratchPlace extends AsyncDisposable {
  readonly kind: Cleanup['kind']
  /** `PostgreSQL 18`. */
  readonly server: string
  readonly connection: ConnectionSettings
  /** After the rows are in. */
  claim(): Promise<void>
  /** Once. */
  cleanUp(): Promise<Cleanup>
}

const PASSWORD_BYTES = 24

/** @throws unsupported-server, source-failed; target-not-empty, target-is-source and what opening a target throws */
export async function openPlace(request: DrillRequest, source: SourceIdentity): Promise<ScratchPlace> {
  return request.into === null ? await ownDatabase(request, source) : await givenDatabase(request, request.into, source)
}

async function ownDatabase(request: DrillRequest, source: SourceIdentity): Promise<ScratchPlace> {
  const { serverVersionNumber, encoding } = source
  const password = Buffer.from(request.random(PASSWORD_BYTES)).toString('base64url')
  const { sourceUrl, scratch: on, nowMs } = request
  const server = await openScratchServer(sourceUrl, { serverVersionNumber, encoding, password, on, nowMs })
  return {
    kind: server.kind,
    server: server.version,
    connection: server.connection,
    claim: async () => {},
    cleanUp: async () => {
      const { what, asked } = await server.erase()
      return { kind: server.kind, what, asked: [...asked], clean: asked.every(({ answer }) => answer) }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

async function givenDatabase(
  { repository }: DrillRequest,
  into: ConnectionSettings,
  source: SourceIdentity,
): Promise<ScratchPlace> {
  const mark = `chartkeep: drill in this database (repository ${repository.id})`
  const found = await clearLeftover(into, mark)
  {
    await using target = await openTarget(into)
    await target.assertUsable(source)
  }
  let isOurs = false
  const clear = async () => {
    await using target = await openTarget(into)
    await target.clear()
    await target.setMark(null)
    isOurs = false
  }
  return {
    kind: 'given',
    server: serverName(found),
    connection: into,
    claim: async () => {
      await using target = await openTarget(into)
      await target.setMark(mark)
      isOurs = true
    },
    cleanUp: async () => {
      await clear()
      const asked = [{ question: 'database holds no object any more', answer: await isEmpty(into, source) }]
      return { kind: 'given', what: found.databaseName, asked, clean: asked.every(({ answer }) => answer) }
    },
    // A restore that failed left its own mark, by which the next one clears.
    [Symbol.asyncDispose]: async () => {
      if (isOurs) await clear()
    },
  }
}

async function clearLeftover(into: ConnectionSettings, mark: string): Promise<SourceIdentity> {
  await using target = await openTarget(into)
  if ((await target.readMark()) === mark) {
    await target.clear()
    await target.setMark(null)
  }
  return await target.identify()
}

async function isEmpty(into: ConnectionSettings, source: SourceIdentity): Promise<boolean> {
  await using target = await openTarget(into)
  try {
    await target.assertUsable(source)
    return true
  } catch (error) {
    if (error instanceof Failure && error.code === 'target-not-empty') return false
    throw error
  }
}
