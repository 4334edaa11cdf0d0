/**
 * Where a drill rebuilds: a server of our own, or an empty database that somebody gave. Both are empty again afterwards,
 * and are asked whether they are. A given database carries a mark while the drill lasts, so that the next drill clears
 * what one that was killed left there, and nothing else (I8).
 */
import { Failure } from '../../errors.ts'
import type { ConnectionSettings, SourceIdentity } from '../../source/contract.ts'
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
  return request.into === null ? await ownServer(request, source) : await givenDatabase(request, request.into, source)
}

async function ownServer(request: DrillRequest, source: SourceIdentity): Promise<ScratchPlace> {
  const { serverVersionNumber, encoding } = source
  const password = Buffer.from(request.random(PASSWORD_BYTES)).toString('base64url')
  const { sourceUrl, nowMs } = request
  const server = await openScratchServer(sourceUrl, { serverVersionNumber, encoding, password, nowMs })
  return {
    kind: 'embedded',
    server: server.version,
    connection: server.connection,
    claim: async () => {},
    cleanUp: async () => {
      const { directory, directoryGone, notListed, portClosed } = await server.erase()
      const asked = [
        { question: 'data directory is gone', answer: directoryGone },
        { question: 'listing of its parent does not have it', answer: notListed },
        { question: 'server does not listen any more', answer: portClosed },
      ]
      const what = directory.slice(directory.lastIndexOf('/') + 1)
      return { kind: 'embedded', what, asked, clean: asked.every(({ answer }) => answer) }
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
  const { serverVersion, databaseName } = await clearLeftover(into, mark)
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
    server: `PostgreSQL ${serverVersion}`,
    connection: into,
    claim: async () => {
      await using target = await openTarget(into)
      await target.setMark(mark)
      isOurs = true
    },
    cleanUp: async () => {
      await clear()
      const asked = [{ question: 'database holds no object any more', answer: await isEmpty(into, source) }]
      return { kind: 'given', what: databaseName, asked, clean: asked.every(({ answer }) => answer) }
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
