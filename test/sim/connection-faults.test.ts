/**
 * A backup whose connections to the database are cut or reset at random bytes, through a proxy between us and a
 * real server: no snapshot is harmed, the failure is the connection's, and the next run heals. CONNECTION_SEED sets the
 * seed, which is printed; FAULTS how many.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { type SnapshotReport, takeSnapshot } from '../../src/backup/snapshot.ts'
import { Failure } from '../../src/errors.ts'
import { openSource } from '../../src/source/open.ts'
import { runSql } from '../source/postgres/support.ts'
import { readEverySnapshot, type SnapshotLines } from '../support/read-back.ts'
import { makeRepository, never, type TestRepository } from '../support/repository.ts'
import { type ConnectionFault, startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { wardLayout, wardSql } from '../support/ward.ts'

const FAULTS = Number(process.env.FAULTS ?? 12)
const seed = Number(process.env.CONNECTION_SEED ?? Date.now() % 2 ** 31)
const TIMEOUT_MS = 30_000 + FAULTS * 10_000

let server: PostgresServer
let made: TestRepository
let proxy: TcpProxy
let base: ReadonlyMap<string, SnapshotLines>

beforeAll(async () => {
  process.stdout.write(`connection faults: CONNECTION_SEED=${seed} FAULTS=${FAULTS}\n`)
  server = await startPostgres({})
  made = await makeRepository()
  const url = await server.createDatabase('ward')
  await runSql(url, ...wardSql({ vitals: 6000 }))
  proxy = await startTcpProxy({ port: server.port })
  await backUp(never())
  base = await readEverySnapshot(made.repository)
})

afterAll(async () => {
  await proxy?.close()
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function backUp(signal: AbortSignal): Promise<SnapshotReport> {
  const url = server.url('ward').replace(`:${server.port}/`, `:${proxy.port}/`)
  await using source = await openSource({ url })
  return await takeSnapshot({
    sourceName: 'icu',
    source,
    layout: wardLayout,
    repository: made.repository,
    pool: made.pool,
    signal,
    nowMs: () => Date.now(),
    sleep: async () => {},
    onProgress: () => {},
  })
}

const fault = fc.record({
  connection: fc.integer({ min: 1, max: 6 }),
  direction: fc.constantFrom('up', 'down'),
  afterBytes: fc.integer({ min: 0, max: 12 }).map((power) => 2 ** power),
  action: fc.constantFrom('close', 'reset'),
})

/** The code of its failure, `whole`, or what it is instead of a Failure. */
async function endOf(run: Promise<unknown>): Promise<string> {
  return await run.then(
    () => 'whole',
    (error) => (error instanceof Failure ? error.code : `not a Failure: ${String(error)}`),
  )
}

describe('a backup whose connection to the database', () => {
  test(
    'is cut at any byte fails as what it is, harms no snapshot, and heals with the next run',
    async () => {
      const faults: ConnectionFault[] = fc.sample(fault, { numRuns: FAULTS, seed })
      const ends: string[] = []
      for (const planned of faults) {
        proxy.plan([planned])
        ends.push(await endOf(backUp(never())))
        const found = await readEverySnapshot(made.repository)
        for (const [id, lines] of base) expect(found.get(id)).toEqual(lines)
      }
      process.stdout.write(`${ends.join(' ')}\n`)

      expect(ends.filter((end) => !['whole', 'source-unreachable', 'source-failed'].includes(end))).toEqual([])
      expect(ends).toContain('source-unreachable')
      expect(await backUp(never())).toMatchObject({ leavesStored: 0 })
    },
    TIMEOUT_MS,
  )
})
