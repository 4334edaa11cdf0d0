/**
 * A live database against the snapshot advanced to the very position at which it is read (P3): while wards write, equal is
 * equal, and what was changed past capture is found and named. Where the log cannot tell, a difference stays inconclusive.
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { listLogs, openLog } from '../../src/repository/change-log/reader.ts'
import { segmentKey } from '../../src/repository/layout.ts'
import { acquireLease, CAPTURE_LEASE, leaseName } from '../../src/repository/lease.ts'
import { encodeKey } from '../../src/repository/tree/key.ts'
import type { Source } from '../../src/source/contract.ts'
import { openSource } from '../../src/source/open.ts'
import { type Comparison, compareDatabase } from '../../src/verify/compare.ts'
import { connectClient, runSql } from '../source/postgres/support.ts'
import { type CapturedDatabase, captureDatabase } from '../support/capture-by-hand.ts'
import { whileCommitHangs } from '../support/hanging-commit.ts'
import { makeRepository, never, type TestRepository } from '../support/repository.ts'
import { withOtherRows } from '../support/rotten-source.ts'
import { wardLayout, wardSql } from '../support/ward.ts'

const PUBLISHED = ['patient', 'icu_stay', 'vital_sign', 'diagnosis', 'note_2025', 'note_2026', 'drug']

let server: PostgresServer
let made: TestRepository
let captured: CapturedDatabase
let url: string
let snapshotId: string
let writes = 0

beforeAll(async () => {
  server = await startPostgres({})
  made = await makeRepository()
  url = await server.createDatabase('advanced')
  await runSql(url, ...wardSql({ vitals: 2000 }))
  captured = await captureDatabase({ made, url, layout: wardLayout, tables: PUBLISHED })
  await newSnapshot()
}, 120_000)

afterAll(async () => {
  await captured?.[Symbol.asyncDispose]()
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function newSnapshot(): Promise<void> {
  snapshotId = (await captured.snapshot()).snapshotId
}

async function compare(wrapped: (source: Source) => Source = (source) => source): Promise<Comparison> {
  await using source = await openSource({ url })
  const request = { repository: made.repository, pool: made.pool, signal: never(), nowMs: Date.now }
  return await compareDatabase({ ...request, source: wrapped(source), snapshotId, expectSameHistory: true })
}

function differing({ tables }: Comparison): string[] {
  return tables.filter(({ outcome }) => outcome !== 'equal').map(({ table }) => table)
}

/** Writers that do not stop while `work` goes on. */
async function whileWriting<T>(work: () => Promise<T>): Promise<T> {
  let isOver = false
  const lane = async () => {
    await using client = await connectClient(url)
    while (!isOver) {
      writes += 1
      const n = writes
      await client.query(`BEGIN; UPDATE vital_sign SET value = value + 1, stay_id = ${101 + (n % 24)} WHERE id = ${1 + (n % 2000)};
        INSERT INTO diagnosis VALUES (${101 + (n % 24)}, ${10_000 + n}, 'I${n}'); COMMIT`)
      await client.query('SELECT pg_sleep(0.005)')
    }
  }
  const lanes = [lane(), lane()]
  try {
    return await work()
  } finally {
    isOver = true
    await Promise.all(lanes)
  }
}

const withOtherDrugs = (source: Source): Source => withOtherRows(source, 'public.drug', 'public.drug_rot')

test('passes while writers go on: what the read has and the snapshot has not is in the log (P3)', async () => {
  const found = await whileWriting(async () => [await compare(), await compare()])

  for (const each of found) {
    expect(each).toMatchObject({ status: 'passed', movedOn: false, findings: [] })
    expect(each.advancedBy).toBeGreaterThan(0)
  }
}, 60_000)

test('a commit that the log has and the read cannot see yet is not expected, nor one that the snapshot could not see lost', async () => {
  let meanwhile: Comparison | undefined
  await whileCommitHangs(url, `UPDATE drug SET label = 'hangs' WHERE code = 'D3'`, async () => {
    meanwhile = await compare()
    await newSnapshot()
  })
  const afterwards = await compare()

  expect([meanwhile?.status, meanwhile && differing(meanwhile)]).toEqual(['passed', []])
  expect([afterwards.status, differing(afterwards)]).toEqual(['passed', []])
}, 60_000)

test('a capture that is alive and does not get through for a while is waited for', async () => {
  await captured.stop()
  const { repository } = made
  const name = leaseName(repository.id, CAPTURE_LEASE, 'icu')
  const lease = await acquireLease(repository, { name, holder: 'a capture', leaseMs: 30_000, nowMs: Date.now })
  await runSql(url, `UPDATE drug SET label = 'meanwhile' WHERE code = 'D4'`)
  const comparing = compare()
  await pause(4_000)
  await lease.release()
  await captured.start()

  expect(await comparing).toMatchObject({ status: 'passed', findings: [] })
}, 60_000)

test('a row that no captured change made is damage, and named, while writers go on', async () => {
  await runSql(
    url,
    'CREATE TABLE drug_rot (LIKE drug INCLUDING ALL)',
    `INSERT INTO drug_rot SELECT code, CASE code WHEN 'D7' THEN 'rot' ELSE label END FROM drug`,
  )

  const found = await whileWriting(() => compare(withOtherDrugs))

  expect(found).toMatchObject({ status: 'failed', movedOn: false })
  expect(found.findings.filter(({ severity }) => severity === 'error')).toMatchObject([
    { kind: 'rows-differ', tables: ['public.drug'], rows: 1 },
  ])
}, 60_000)

test('a patient whose row was changed in the dark is named', async () => {
  await runSql(
    url,
    'ALTER PUBLICATION chartkeep DROP TABLE icu_stay',
    `UPDATE icu_stay SET bed = 'elsewhere' WHERE stay_id = 107`,
    'ALTER PUBLICATION chartkeep ADD TABLE icu_stay',
  )
  const found = await compare()

  const patient = made.repository.keyring.pseudonym(encodeKey([Buffer.from(String(1 + (7 % 12)))]))
  expect(found.status).toBe('inconclusive')
  expect(found.findings.filter(({ kind }) => kind === 'rows-differ')).toMatchObject([
    { severity: 'warning', tables: ['public.icu_stay'], patients: [patient], rows: 1 },
  ])
  const [movedOn] = found.findings.filter(({ kind }) => kind === 'moved-on')
  expect(movedOn?.tables).toEqual(['public.icu_stay'])
  expect(movedOn?.message).toMatch(/public\.icu_stay: .*publication/)
  await newSnapshot()
  expect((await compare()).status).toBe('passed')
}, 60_000)

test('a table that is read at snapshots only stays inconclusive, and the others are proved', async () => {
  await runSql(url, `INSERT INTO device_log VALUES (101, 'new')`, `UPDATE drug SET label = 'new' WHERE code = 'D5'`)

  const found = await compare()

  expect(found).toMatchObject({ status: 'inconclusive', movedOn: false })
  expect(differing(found)).toEqual(['public.device_log'])
  expect(found.findings.find(({ kind }) => kind === 'moved-on')?.message).toContain('read at snapshots only')
}, 60_000)

test('an edited segment is a finding, and the comparison says that it could not go along the log', async () => {
  await newSnapshot()
  await runSql(url, `UPDATE drug SET label = 'kept' WHERE code = 'D6'`)
  await captured.caughtUp()
  const { logs } = await listLogs(made.repository, 'icu')
  const log = await openLog(made.repository, logs.at(-1)!.logId)
  const object = join(made.directory, segmentKey(log.start.logId, (await log.head())!.header.number))
  const bytes = await readFile(object)
  const edited = Buffer.from(bytes)
  edited[Math.floor(edited.length / 2)]! ^= 1
  await rm(object)
  await writeFile(object, edited)

  const found = await compare()
  await rm(object)
  await writeFile(object, bytes)
  const mended = await compare()

  expect(found.status).toBe('failed')
  const [broken] = found.findings.filter(({ kind }) => kind === 'log-broken')
  expect(broken?.message).toMatch(/is damaged: changes from \S+ .* are not there/)
  expect(mended.status).toBe('passed')
}, 60_000)

test('without capture a difference is inconclusive, and the reason is said', async () => {
  await captured.stop()
  await runSql(url, `UPDATE drug SET label = 'unseen' WHERE code = 'D8'`)

  const found = await compare()

  expect(found).toMatchObject({ status: 'inconclusive', movedOn: true, advancedBy: null })
  expect(found.findings.find(({ kind }) => kind === 'moved-on')?.message).toContain('capture is not running')
  await captured.start()
  expect((await compare()).status).toBe('passed')
}, 60_000)

test('behind a gap in the captured changes a difference is inconclusive, until the next backup (F9, F10)', async () => {
  await newSnapshot()
  await captured.stop()
  await using source = await openSource({ url })
  const { logs } = await listLogs(made.repository, 'icu')
  await source.changes!.dropSlot(logs.at(-1)!.slot)
  await runSql(url, `UPDATE drug SET label = 'in the gap' WHERE code = 'D9'`)
  await captured.start()

  const found = await compare()
  await newSnapshot()

  expect(found).toMatchObject({ status: 'inconclusive', movedOn: true })
  expect(found.findings.find(({ kind }) => kind === 'moved-on')?.message).toContain('another one begun')
  expect((await compare()).status).toBe('passed')
}, 60_000)
