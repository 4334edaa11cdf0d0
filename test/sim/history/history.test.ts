/**
 * Random histories on real servers, captured and stored, against a judge that shares nothing with us (recorder.ts). The
 * soak runs them for as long as one likes: `npm run soak -- histories`.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PostgresServer } from '../../../scripts/support/postgres-server.ts'
import { makeRepository, type TestRepository } from '../../support/repository.ts'
import { runHistory } from './run-history.ts'
import { startHistoryServer } from './site.ts'

const TIMEOUT_MS = 120_000
const TURNS = Number(process.env.HISTORY_TURNS ?? 120)
/** Those that once showed something stay here for good. */
const SEEDS = (process.env.HISTORY_SEEDS ?? '20260301').split(',').map(Number)

describe.each([{ version: 14 }, { version: 18 }])('a history, on PostgreSQL $version', ({ version }) => {
  let server: PostgresServer
  let made: TestRepository
  beforeAll(async () => {
    server = await startHistoryServer(version)
    made = await makeRepository()
  })
  afterAll(async () => {
    await made?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  test.each(SEEDS)(
    'of seed %i is what every snapshot and every state holds (P1, P3, F11, F13, F21, F22, F32)',
    async (seed) => {
      const report = await runHistory({ server, made, seed, turns: TURNS, looks: 2 })

      expect(report.findings).toEqual([])
      expect(report.statesJudged).toBeGreaterThan(8)
      expect(report.transactionsKept).toBeGreaterThan(10)
    },
    TIMEOUT_MS,
  )
})
