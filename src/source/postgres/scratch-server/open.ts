/** A server for a drill: of the version that fits, behind a password, with an empty database, and gone without a trace. */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { basename, dirname } from 'node:path'
import { Failure } from '../../../errors.ts'
import type { ErasureProof, ScratchServer, ScratchWish } from '../../scratch-contract.ts'
import { availablePostgresVersions } from './binaries.ts'
import { startPostgres } from './server.ts'

const DATABASE = 'chartkeep_scratch'
/** For a copy that is thrown away: rows that are loaded into new tables need no log. */
const SETTINGS = {
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_replication_slots: '0',
  max_wal_size: '4GB',
  autovacuum: 'off',
  fsync: 'off',
} as const

/** @throws bad-configuration; unsupported-server when none is there; source-failed when it does not start */
export async function openScratchServer(wish: ScratchWish): Promise<ScratchServer> {
  if (wish.on !== null) {
    throw new Failure('bad-configuration', 'copies of a PostgreSQL source are made on a server of our own', {
      hints: ['Take `scratch` out of the configuration; an empty database can be given with --into.'],
    })
  }
  const version = fittingVersion(Math.floor(wish.serverVersionNumber / 10_000), availablePostgresVersions())
  const server = await startPostgres({
    ...(version === null ? {} : { version }),
    settings: SETTINGS,
    requirePasswords: true,
    superuserPassword: wish.password,
    nowMs: wish.nowMs,
  })
  try {
    const url = await server.createDatabase(DATABASE, { encoding: wish.encoding })
    const home = dirname(server.dataDirectory)
    return {
      kind: 'embedded',
      version: `PostgreSQL ${server.version}`,
      connection: { url: `${url}?sslmode=disable`, password: wish.password },
      erase: async () => {
        await server[Symbol.asyncDispose]()
        return await lookFor(home, server.port)
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    }
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

/** The same, else the next newer, which reads what the older wrote; else the newest. Null: none is there. */
function fittingVersion(wanted: number, available: readonly number[]): number | null {
  return available.find((version) => version >= wanted) ?? available.at(-1) ?? null
}

async function lookFor(home: string, port: number): Promise<ErasureProof> {
  const listed = await readdir(dirname(home)).catch((): string[] => [])
  return {
    what: basename(home),
    asked: [
      { question: 'data directory is gone', answer: !existsSync(home) },
      { question: 'listing of its parent does not have it', answer: !listed.includes(basename(home)) },
      { question: 'server does not listen any more', answer: !(await listens(port)) },
    ],
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => end(true)).once('error', () => end(false))
  })
}
