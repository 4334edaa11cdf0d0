/**
 * Random histories on real servers, captured and stored, against a judge that shares nothing with us (recorder.ts). The
 * soak plays them for as long as one likes: `npm run soak -- histories`.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PostgresServer } from '../../../scripts/support/postgres-server.ts'
import { makeRepository, type TestRepository } from '../../support/repository.ts'
import { runHistory } from './run-history.ts'
import { startHistoryServer } from './site.ts'

const TIMEOUT_MS = 180_000
const TURNS = 90
const ROUNDS = 3
const LOOKS = 6
/** A slow machine lets more happen between two snapshots, and capture fall behind: then everything is read, and it is said why. */
const WAY =
  /^(incremental|full-read: (no table can be folded|capture is not running|definitions of tables kept changing|the change log began anew))/
/** What once showed something stays here for good. */
const HISTORIES = [
  { version: 14, seed: 20260301, ddl: false, kills: true, losesSlot: false, forgets: false },
  { version: 18, seed: 20260302, ddl: true, kills: false, losesSlot: true, forgets: true },
]

describe.each([14, 18])('a history on PostgreSQL %i', (version) => {
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

  test.each(HISTORIES.filter((history) => history.version === version))(
    'of seed $seed is what every snapshot and every state holds (P1, P2, P3, P5, F11, F12, F13, F21, F22, F32)',
    async ({ seed, ddl, kills, losesSlot, forgets }) => {
      const size = { turns: TURNS, rounds: ROUNDS, looks: LOOKS }
      const report = await runHistory({ server, made, seed, ...size, ddl, kills, losesSlot, forgets })

      expect(report.findings).toEqual([])
      expect(report.tablesJudged).toBeGreaterThan(150)
      expect(report.transactionsKept).toBeGreaterThan(30)
      expect(report.logs).toBe(losesSlot ? 2 : 1)
      const [first, ...later] = report.modes
      expect([first!.split(':')[0], later.length]).toEqual(['base', ROUNDS - 1])
      for (const mode of later) expect(mode).toMatch(WAY)
    },
    TIMEOUT_MS,
  )
})
