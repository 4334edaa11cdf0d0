/** Drills as a hospital would hold them: on servers of our own, with damage planted where it hurts (F1, F2, F29). */
import { randomBytes } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresServer, startPostgres } from '../../../scripts/support/postgres-server.ts'
import { encodeKey } from '../../../src/repository/tree/key.ts'
import type { DrillReport } from '../../../src/verify/drill/drill-report.ts'
import type { DrillRequest } from '../../../src/verify/drill/drill-request.ts'
import { runDrill } from '../../../src/verify/drill/run-drill.ts'
import { runSql } from '../../source/postgres/support.ts'
import { type CapturedDatabase, captureDatabase } from '../../support/capture-by-hand.ts'
import {
  makeRepository,
  never,
  objectKeys,
  type TestRepository,
  whileDamaged,
  whileGone,
} from '../../support/repository.ts'
import { wardLayout, wardSql } from '../../support/ward.ts'

const PUBLISHED = ['patient', 'icu_stay', 'vital_sign', 'diagnosis', 'note_2025', 'note_2026', 'drug']
const QUESTIONS = [
  { name: 'patients', sql: 'SELECT count(*) FROM public.patient', expected: '12' },
  { name: 'last notes', sql: 'SELECT * FROM public.note ORDER BY note_id DESC LIMIT 5', expected: null },
]
const SERVERS = join(tmpdir(), `chartkeep-postgres-${process.getuid?.() ?? 0}`, 'servers')

let server: PostgresServer
let made: TestRepository
let captured: CapturedDatabase
let url: string

beforeAll(async () => {
  server = await startPostgres({})
  made = await makeRepository()
  url = await server.createDatabase('icu')
  await runSql(url, ...wardSql({ vitals: 2000 }))
  captured = await captureDatabase({ made, url, layout: wardLayout, tables: PUBLISHED })
  await captured.snapshot()
  await runSql(url, 'UPDATE vital_sign SET value = 0 WHERE id <= 100')
  await captured.caughtUp()
}, 120_000)

afterAll(async () => {
  await captured?.[Symbol.asyncDispose]()
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

describe('a drill', () => {
  it('of a whole database proves every root, answers the questions alike, measures, and leaves nothing', async () => {
    const { report } = await drill({ at: 'now', source: { url } })

    expect(report.findings).toEqual([])
    expect(report.status).toBe('passed')
    expect(report.tables).toHaveLength(8)
    expect(report.checks.map(({ outcome }) => outcome)).toEqual(['same', 'same'])
    expect(report.timeline.map(({ step }) => step).sort()).toEqual([...'0123456789'].map((n) => `T${n}`))
    expect(report.rto.fromFault.ms).toBeGreaterThan(0)
    expect(report.backup?.transactions).toBeGreaterThan(0)
    expect(report.rpo.lost?.every(({ notRecovered, changedSince }) => notRecovered + changedSince === 0)).toBe(true)
    expect(report.cleanup).toMatchObject({ kind: 'embedded', clean: true })
    expect(existsSync(join(SERVERS, report.cleanup!.what))).toBe(false)
  })

  it('counts the rows that a fault would have taken, and calls answers that differ for that no damage', async () => {
    // What is captured before the fault is not lost to it: nothing is, until the drill is over.
    await captured.stop()
    await runSql(url, "INSERT INTO drug SELECT 'L' || n, 'late' FROM generate_series(1, 3) n")
    try {
      const questions = [{ name: 'drugs', sql: 'SELECT count(*) FROM public.drug', expected: null }]
      const { report } = await drill({ at: 'now', source: { url }, questions })

      const lost = report.rpo.lost?.filter(({ notRecovered }) => notRecovered > 0)
      expect(lost).toMatchObject([{ table: 'public.drug', notRecovered: 3, changedSince: 0, deletedSince: 0 }])
      expect(report.checks).toMatchObject([{ outcome: 'moved-on', copy: { number: '50' }, source: { number: '53' } }])
      expect(report.status).toBe('passed')
    } finally {
      await runSql(url, "DELETE FROM drug WHERE label = 'late'")
      await captured.start()
      await captured.caughtUp()
    }
  })

  it('of one table rebuilds and proves that table, with its keys', async () => {
    const { report } = await drill({ scenario: 'table', table: 'public.vital_sign' })

    expect(report).toMatchObject({ status: 'passed', table: 'public.vital_sign', notRebuilt: [] })
    expect(report.tables).toMatchObject([{ table: 'public.vital_sign', rows: 2000, equal: true }])
  })

  it('of one patient deletes every row of one in the copy, puts it back, and proves all tables anew', async () => {
    const { report } = await drill({ scenario: 'patient', patient: '5' })

    expect(report.findings).toEqual([])
    expect(report).toMatchObject({ status: 'passed', patient: made.repository.keyring.pseudonym(keyOf('5')) })
    expect(report.tables).toHaveLength(8)
    expect(report.tables.every(({ equal }) => equal)).toBe(true)
    expect(JSON.stringify(report)).not.toContain('MRN5')
  })

  it('of a random moment draws one that is kept, and measures how far the state falls short of it', async () => {
    const { report } = await drill({ scenario: 'random-moment' })

    expect(report.status).toBe('passed')
    expect(report.asked).toMatch(/^\d{4}-/)
    expect(report.rpo.measured.ms).toBeGreaterThanOrEqual(0)
  })

  it('fails on an answer that is not what the configuration expects, and on a target that was missed', async () => {
    const questions = [{ name: 'patients', sql: 'SELECT count(*) FROM public.patient', expected: '13' }]
    const { report } = await drill({ questions, targets: { rtoMs: 1, rpoMs: null } })

    expect(report.status).toBe('failed')
    expect(report.findings.map(({ kind }) => kind).sort()).toEqual(['drill-answer-differs', 'drill-target-missed'])
  })

  it('of a database that was given clears it, also of what a drill that was killed left there, and nothing else (I8)', async () => {
    const into = { url: await server.createDatabase('given') }
    const { report } = await drill({ into })
    expect(report).toMatchObject({ status: 'passed', cleanup: { kind: 'given', clean: true } })

    const mark = `chartkeep: drill in this database (repository ${made.repository.id})`
    await runSql(into.url, 'CREATE TABLE left_behind (n integer)', `COMMENT ON DATABASE given IS '${mark}'`)
    expect((await drill({ into })).report.status).toBe('passed')

    await runSql(into.url, 'CREATE TABLE of_somebody (n integer)')
    const refused = (await drill({ into })).report
    expect(refused).toMatchObject({ status: 'failed', cleanup: null })
    expect(refused.findings[0]).toMatchObject({ kind: 'drill-failed' })
    await runSql(into.url, 'DROP TABLE of_somebody')
  })
})

describe('damage in a backup', () => {
  it.each([
    ['a pack that vanished (F1)', 'packs/', null],
    ['a pack of which one byte changed (F4)', 'packs/', flipMiddle],
    ['a manifest that vanished (F1)', 'manifests/', null],
  ] as const)('fails the drill with the finding: %s', async (_, prefix, damage) => {
    const key = (await objectKeys(made.directory)).filter((name) => name.startsWith(prefix)).at(-1)!
    const { report } = await whileDamaged(made.directory, key, damage ?? (() => null), async () => {
      return await drill({ at: 'now', repository: await made.open() })
    })

    expect(report.status).toBe('failed')
    expect(report.findings.filter(({ severity }) => severity === 'error').length).toBeGreaterThan(0)
    expect(report.cleanup?.clean ?? true).toBe(true)
  })

  it.each([
    ['at the end of the change log', (newest: readonly string[]) => newest],
    ['in the middle of it', (newest: readonly string[]) => newest.slice(0, 1)],
  ] as const)('%s fails the drill of this moment (F2)', async (_, lost) => {
    const segments = async () => (await objectKeys(made.directory)).filter((name) => name.startsWith('segments/'))
    const end = await captured.caughtUp()
    const before = await segments()
    for (const digit of [1, 2]) {
      await runSql(url, `UPDATE drug SET label = label WHERE code LIKE '%${digit}'`)
      await captured.caughtUp()
    }
    await captured.confirmedBeyond(end)
    await captured.stop()
    const newest = (await segments()).filter((key) => !before.includes(key))
    expect(newest.length).toBeGreaterThan(1)
    try {
      const { report } = await whileGone(made.directory, lost(newest), async () => {
        return await drill({ scenario: 'table', at: 'now', source: { url }, repository: await made.open() })
      })

      expect(report.findings.map(({ kind }) => kind)).toContain('segment-missing')
      expect(report.status).toBe('failed')
    } finally {
      await captured.start()
    }
  })

  it.each([
    ['of one table', { scenario: 'table', table: 'public.vital_sign' }, 'packs/'],
    ['of one patient', { scenario: 'patient', patient: '5' }, 'packs/'],
    ['of a random moment', { scenario: 'random-moment' }, 'segments/'],
  ] as const)('fails the drill %s, and nothing of the copy stays (F1, F2)', async (_, wanted, prefix) => {
    const sizes = await objectSizes(prefix)
    const { report } = await whileDamaged(made.directory, sizes[0]!.key, flipMiddle, async () => {
      return await drill({ ...wanted, repository: await made.open() })
    })

    expect(report.status).toBe('failed')
    expect(report.findings.some(({ severity }) => severity === 'error')).toBe(true)
    expect(report.cleanup?.clean ?? true).toBe(true)
  })
})

/** The largest first: it holds most of the rows. */
async function objectSizes(prefix: string) {
  const keys = (await objectKeys(made.directory)).filter((key) => key.startsWith(prefix))
  const sizes = keys.map((key) => ({ key, size: statSync(join(made.directory, key)).size }))
  return sizes.sort((a, b) => b.size - a.size)
}

function flipMiddle(bytes: Buffer): Buffer {
  bytes[Math.floor(bytes.length / 2)]! ^= 1
  return bytes
}

function keyOf(patient: string): Uint8Array {
  return encodeKey([Buffer.from(patient)])
}

function drill(wanted: Partial<DrillRequest>): Promise<{ readonly report: DrillReport }> {
  return runDrill({
    repository: made.repository,
    sourceName: 'icu',
    organisation: 'Hospital',
    actor: 'tester',
    scenario: 'database',
    at: 'latest',
    table: null,
    patient: null,
    authorisation: { by: 'head of IT', reference: '2026-1' },
    said: {},
    targets: { rtoMs: 3_600_000, rpoMs: null },
    questions: QUESTIONS,
    sourceUrl: url,
    into: null,
    scratch: null,
    source: null,
    pool: made.pool,
    temporaryDirectory: tmpdir(),
    random: randomBytes,
    signal: never(),
    nowMs: Date.now,
    onProgress: () => {},
    ...wanted,
  })
}
