/** An upgrade between two snapshots: what it did is counted, and what it did to history is not missed. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresServer, startPostgres } from '../../../scripts/support/postgres-server.ts'
import { openSource } from '../../../src/source/open.ts'
import { type ExplainRules, NO_RULES } from '../../../src/verify/certificate/rules.ts'
import { layoutWithout } from '../../../src/verify/guard/gone-tables.ts'
import type { GuardEnd } from '../../../src/verify/guard/guard-report.ts'
import { beginGuard, endGuard, type GuardWorld } from '../../../src/verify/guard/hold-guard.ts'
import { guardPdf } from '../../../src/verify/guard/page.ts'
import { CHINA } from '../../../src/verify/report/language.ts'
import type { SignedReport } from '../../../src/verify/report/signed-report.ts'
import { runSql } from '../../source/postgres/support.ts'
import { captureDatabase } from '../../support/capture-by-hand.ts'
import { hasPdfText, pdfText } from '../../support/pdf-text.ts'
import { makeRepository, never, type TestRepository } from '../../support/repository.ts'
import { wardLayout, wardSql } from '../../support/ward.ts'

/** Stays 101 to 112 are over. */
const RULES: ExplainRules = {
  ...NO_RULES,
  closed: [{ table: 'public.icu_stay', key: 'stay_id', column: 'out_at', equals: null, graceHours: 0 }],
  mayChange: new Set(['public.drug']),
}

const WARD = [
  ...wardSql({ vitals: 500 }),
  'ALTER TABLE icu_stay ADD COLUMN out_at timestamptz',
  "UPDATE icu_stay SET out_at = timestamptz '2026-02-01' WHERE stay_id <= 112",
]

let server: PostgresServer
let made: TestRepository
let clockMs = Date.UTC(2026, 5, 1)

beforeAll(async () => {
  server = await startPostgres({})
  made = await makeRepository()
}, 60_000)

afterAll(async () => {
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

describe('a guard', () => {
  it('of an upgrade that only adds finds history unchanged, and says what was added', async () => {
    const { report } = await guarded('adds', [
      'ALTER TABLE patient ADD COLUMN phone text',
      'CREATE TABLE score (id bigint PRIMARY KEY, stay_id bigint)',
      "INSERT INTO drug VALUES ('N1', 'new')",
      "UPDATE drug SET label = 'renamed' WHERE code = 'D1'",
      "INSERT INTO vital_sign VALUES (90001, 120, now(), 'HR', 70)",
      'UPDATE vital_sign SET value = 1 WHERE stay_id = 120',
    ])

    expect(report.findings).toEqual([])
    expect(report.history).toBe('unchanged')
    expect(table(report, 'public.drug')).toMatchObject({
      inserted: 1,
      updated: { allowed: 1, open: 0, closed: 0, unknown: 0 },
    })
    expect(table(report, 'public.vital_sign')).toMatchObject({
      inserted: 1,
      updated: { closed: 0 },
      deleted: { closed: 0 },
    })
    expect(table(report, 'public.vital_sign').updated.open).toBeGreaterThan(0)
    expect(table(report, 'public.patient')).toMatchObject({ columnsNew: ['phone'], updated: { open: 0, unknown: 0 } })
    expect(table(report, 'public.score')).toMatchObject({ rootBefore: null })
    expect(report.before.proved).toBe('passed')
    expect(report.after.proved).toBe('passed')
  })

  it.each([
    [
      'a row of a closed record that was changed',
      'UPDATE vital_sign SET value = 1 WHERE id = (SELECT min(id) FROM vital_sign WHERE stay_id = 105)',
      /vital_sign: 1 rows of closed/,
    ],
    [
      'a row that was deleted, though its record is open',
      'DELETE FROM diagnosis WHERE stay_id = 120',
      /diagnosis: \d+ rows were deleted/,
    ],
    ['a table that is gone', 'DROP TABLE device_log', /device_log of 200 rows is gone/],
    ['a column that is gone', 'ALTER TABLE patient DROP COLUMN name', /patient has lost name/],
    ['a table that was emptied', 'TRUNCATE note_2025', /note_2025: 100 rows were deleted/],
  ])('finds %s', async (name, sql, message) => {
    const { report } = await guarded(name.replaceAll(/\W+/g, '_'), [sql])

    expect(report.history).toBe('changed')
    expect(report.findings.map((found) => found.message).join('\n')).toMatch(message)
  })

  it('counts a row that belongs to another stay now as one that was changed', async () => {
    const { report } = await guarded('moved', [
      'UPDATE vital_sign SET stay_id = 124 WHERE id = (SELECT min(id) FROM vital_sign WHERE stay_id = 105)',
      'UPDATE vital_sign SET stay_id = 101 WHERE id = (SELECT min(id) FROM vital_sign WHERE stay_id = 120)',
    ])

    expect(report.findings.map(({ message }) => message).join('\n')).toMatch(/vital_sign: 1 rows of closed/)
    const none = { allowed: 0, open: 0, closed: 0, unknown: 0 }
    const moved = { inserted: 0, updated: { ...none, open: 1, closed: 1 }, deleted: none }
    expect(table(report, 'public.vital_sign')).toMatchObject(moved)
  })

  it('of rows that are in another part of their table now finds none deleted', async () => {
    const { report } = await guarded('parts', [
      'UPDATE note SET year = 2026 WHERE note_id = 12',
      'ALTER TABLE note DETACH PARTITION note_2025',
      'CREATE TABLE note_until_2025 PARTITION OF note FOR VALUES FROM (2000) TO (2026)',
      'INSERT INTO note SELECT * FROM note_2025',
      'DROP TABLE note_2025',
    ])

    expect(report.findings).toEqual([])
    const open = { allowed: 0, open: 1, closed: 0, unknown: 0 }
    expect(table(report, 'public.note_2025')).toMatchObject({ movedOut: 100, updated: open, deleted: { open: 0 } })
    expect(table(report, 'public.note_2026')).toMatchObject({ movedIn: 1, inserted: 0 })
    expect(table(report, 'public.note_until_2025')).toMatchObject({ movedIn: 99, inserted: 0 })
  })

  it('stands on proved snapshots while changes are captured and the wards write', async () => {
    const url = await server.createDatabase('written')
    await runSql(url, ...WARD)
    const tables = ['patient', 'icu_stay', 'vital_sign', 'diagnosis', 'note_2025', 'note_2026', 'drug']
    await using captured = await captureDatabase({ made, url, layout: wardLayout, tables })
    const takeSnapshot = async () => (await captured.snapshot()).snapshotId
    await using writing = writeOn(url)
    await within('icu', url, RULES, (world) => beginGuard({ ...world, takeSnapshot }, 'upgrade'))
    await runSql(url, 'UPDATE vital_sign SET value = 1 WHERE id = (SELECT min(id) FROM vital_sign WHERE stay_id = 105)')
    const { report } = await within('icu', url, RULES, (world) => endGuard({ ...world, takeSnapshot }))

    expect([report.before.proved, report.after.proved]).toEqual(['passed', 'passed'])
    expect(report.findings).toMatchObject([
      { message: expect.stringContaining('vital_sign: 1 rows of closed records') },
    ])
    const { inserted, rowsBefore, rowsAfter } = table(report, 'public.vital_sign')
    expect(inserted).toBe(rowsAfter - rowsBefore)
    expect([inserted > 0, writing.written >= inserted]).toEqual([true, true])
  })

  it('without a rule that says when records are closed does not call a changed row unchanged', async () => {
    const { report } = await guarded('no_rules', ['UPDATE vital_sign SET value = 1 WHERE id = 5'], NO_RULES)

    expect(report.history).toBe('undecided')
  })

  it('takes no rule about what is not there, and neither two beginnings nor an end without one', async () => {
    const url = await server.createDatabase('refusals')
    await runSql(url, ...wardSql({ vitals: 100 }))
    const begin = (rules: ExplainRules) => within('refusals', url, rules, (world) => beginGuard(world, 'upgrade'))
    const misspelt = { ...NO_RULES, closed: RULES.closed.map((rule) => ({ ...rule, column: 'left_at' })) }

    await expect(begin(misspelt)).rejects.toMatchObject({ code: 'bad-configuration' })
    await expect(within('refusals', url, NO_RULES, endGuard)).rejects.toMatchObject({ code: 'bad-usage' })
    await begin(NO_RULES)
    await expect(begin(NO_RULES)).rejects.toMatchObject({ code: 'bad-usage' })
  })

  it.skipIf(!hasPdfText)('prints what it found in both languages', async () => {
    const signed = await guarded('page', ['DROP TABLE device_log', "INSERT INTO drug VALUES ('N1', 'new')"])
    for (const [language, title] of [
      ['zh', '系统变更数据守护报告'],
      ['en', 'Upgrade guard report'],
    ] as const) {
      const text = pdfText(await guardPdf(signed, language, CHINA))
      expect(text).toContain(title)
      expect(text.replaceAll(/\s/g, '')).toContain(`public.device_log${language === 'zh' ? '不复存在' : 'of'}`)
    }
  })
})

/** A database and a source of its own, the change between begin and end. */
async function guarded(name: string, change: readonly string[], rules = RULES): Promise<SignedReport<GuardEnd>> {
  const url = await server.createDatabase(name)
  await runSql(url, ...WARD)
  await within(name, url, rules, (world) => beginGuard(world, 'upgrade'))
  await runSql(url, ...change)
  return await within(name, url, rules, endGuard)
}

/** Values of a patient who lies there, one after the other, until it is disposed of. */
function writeOn(url: string): AsyncDisposable & { readonly written: number } {
  let written = 0
  let isOver = false
  const write = async () => {
    while (!isOver) {
      await runSql(url, `INSERT INTO vital_sign VALUES (${90_001 + written}, 120, now(), 'HR', 70)`)
      written += 1
    }
  }
  const done = write()
  return {
    get written() {
      return written
    },
    [Symbol.asyncDispose]: async () => {
      isOver = true
      await done
    },
  }
}

async function within<T>(
  sourceName: string,
  url: string,
  rules: ExplainRules,
  work: (world: GuardWorld) => Promise<T>,
): Promise<T> {
  await using source = await openSource({ url })
  const world: GuardWorld = {
    repository: made.repository,
    sourceName,
    organisation: 'Hospital',
    actor: 'tester',
    takeSnapshot: async (gone) => {
      clockMs += 60_000
      return await made.snapshot(source, layoutWithout(wardLayout, gone), clockMs)
    },
    source,
    isCompared: true,
    rules,
    pool: made.pool,
    signal: never(),
    nowMs: () => clockMs,
    random: randomBytes,
    onProgress: () => {},
  }
  return await work(world)
}

function table(report: GuardEnd, name: string): GuardEnd['tables'][number] {
  return report.tables.find((each) => each.table === name)!
}
