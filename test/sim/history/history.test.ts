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
/**
 * What once showed something stays here for good. How many tables must have been judged at least: those of the snapshots
 * that are left always are; of the moments looked at, those that a lost slot left no log for are refused, and how many
 * these are is the machine's luck (119 to 261 in 14 runs).
 */
const HISTORIES = [
  {
    version: 14,
    seed: 20260301,
    ddl: false,
    kills: true,
    losesSlot: false,
    forgets: false,
    judgedMin: 150,
    keptMin: 30,
  },
  { version: 18, seed: 20260302, ddl: true, kills: false, losesSlot: true, forgets: true, judgedMin: 50, keptMin: 10 },
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
    async ({ seed, judgedMin, keptMin, ...kinds }) => {
      const size = { turns: TURNS, rounds: ROUNDS, looks: LOOKS }
      const report = await runHistory({ server, made, seed, ...size, ...kinds })

      expect(report.findings).toEqual([])
      expect(report.tablesJudged).toBeGreaterThan(judgedMin)
      expect(report.transactionsKept).toBeGreaterThan(keptMin)
      expect(report.logs).toBe(kinds.losesSlot ? 2 : 1)
      const [first, ...later] = report.modes
      expect([first!.split(':')[0], later.length]).toEqual(['base', ROUNDS - 1])
      for (const mode of later) expect(mode).toMatch(WAY)
    },
    TIMEOUT_MS,
  )
})
