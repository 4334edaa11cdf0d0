/**
 * A database rebuilt as of a moment between snapshots, proved against the folded roots; and what stands as of the
 * snapshot beside it: a table of snapshot resolution whose rows point to what is gone by then (P17, F24).
 */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { formatLsn } from '../../src/repository/lsn.ts'
import { stateAt } from '../../src/repository/state/state.ts'
import { resolveTarget } from '../../src/repository/state/target.ts'
import { type RestoreReport, restoreDatabase } from '../../src/restore/database.ts'
import { openSource } from '../../src/source/open.ts'
import { compareDatabase } from '../../src/verify/compare.ts'
import { connectClient, runSql } from '../source/postgres/support.ts'
import { type CapturedDatabase, captureDatabase } from '../support/capture-by-hand.ts'
import { makeRepository, never, type TestRepository } from '../support/repository.ts'
import { wardLayout, wardSql } from '../support/ward.ts'

/** Rows of a log that has no key: read at snapshots only, and they point to stays. */
const LOG_KEY = 'ALTER TABLE device_log ADD CONSTRAINT of_stay FOREIGN KEY (stay_id) REFERENCES icu_stay'
const PUBLISHED = ['patient', 'icu_stay', 'vital_sign', 'diagnosis', 'note_2025', 'note_2026', 'drug']

let server: PostgresServer
let made: TestRepository
let captured: CapturedDatabase
let url: string
let before: bigint
let after: bigint
let countsBefore: Record<string, number>

beforeAll(async () => {
  server = await startPostgres({})
  made = await makeRepository()
  url = await server.createDatabase('moments')
  await runSql(url, ...wardSql({ vitals: 2000 }), LOG_KEY, 'CREATE SEQUENCE numbers OWNED BY drug.code')
  captured = await captureDatabase({ made, url, layout: wardLayout, tables: PUBLISHED })
  await captured.snapshot()
  await runSql(url, `UPDATE vital_sign SET value = 0 WHERE id <= 100`)
  before = await captured.caughtUp()
  countsBefore = await counts(url)
  await runSql(
    url,
    `BEGIN; DELETE FROM vital_sign WHERE stay_id = 107; DELETE FROM diagnosis WHERE stay_id = 107;
     DELETE FROM device_log WHERE stay_id = 107; DELETE FROM note WHERE stay_id = 107;
     DELETE FROM icu_stay WHERE stay_id = 107; COMMIT`,
  )
  after = await captured.caughtUp()
  await runSql(url, 'TRUNCATE vital_sign')
  await captured.caughtUp()
}, 120_000)

afterAll(async () => {
  await captured?.[Symbol.asyncDispose]()
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function restore(at: string, into: string): Promise<RestoreReport> {
  const { repository, pool } = made
  const target = await resolveTarget({ repository, sourceName: 'icu', at })
  const world = { temporaryDirectory: tmpdir(), random: randomBytes, signal: never() }
  await using state = await stateAt(repository, target, world)
  const report = await restoreDatabase({
    repository: state.repository,
    manifest: state.manifest,
    into: { url: into },
    buildPool: pool,
    signal: never(),
    nowMs: () => 0,
    onProgress: () => {},
  })
  await using restored = await openSource({ url: into })
  const compared = {
    repository,
    source: restored,
    state,
    expectSameHistory: false,
    pool,
    signal: never(),
    nowMs: Date.now,
  }
  expect((await compareDatabase(compared)).status).toBe('passed')
  return report
}

async function counts(database: string): Promise<Record<string, number>> {
  await using client = await connectClient(database)
  const { rows } = await client.query(
    `SELECT (SELECT count(*)::int FROM vital_sign WHERE stay_id = 107) AS vitals,
            (SELECT count(*)::int FROM vital_sign WHERE value = 0) AS zeros,
            (SELECT count(*)::int FROM icu_stay WHERE stay_id = 107) AS stays,
            (SELECT count(*)::int FROM device_log WHERE stay_id = 107) AS logged`,
  )
  return rows[0]
}

test('to just before a deletion brings back what was deleted, and the changes before it', async () => {
  const into = await server.createDatabase('just_before')

  const report = await restore(formatLsn(before), into)

  expect(report).toMatchObject({ verified: true, skipped: [] })
  expect(countsBefore).toMatchObject({ zeros: 100, stays: 1 })
  expect(await counts(into)).toEqual(countsBefore)
}, 60_000)

test('keeps rows of a table of snapshot resolution, and reports the key that they break by then', async () => {
  const into = await server.createDatabase('just_behind')

  const report = await restore(formatLsn(after), into)

  expect(report.verified).toBe(true)
  expect(report.skipped).toMatchObject([{ kind: 'foreign key', name: expect.stringContaining('of_stay') }])
  expect(report.skipped[0]?.reason).toContain('made NOT VALID')
  expect(await counts(into)).toMatchObject({ vitals: 0, stays: 0, logged: countsBefore.logged })
}, 60_000)
