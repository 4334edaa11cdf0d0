/**
 * Losses planted past the application between baseline and end, beside what the application did: each is counted where it
 * belongs, and nothing else is accused.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresServer, startPostgres } from '../../../scripts/support/postgres-server.ts'
import type { Manifest } from '../../../src/repository/manifest.ts'
import type { BalanceCell } from '../../../src/verify/certificate/balance.ts'
import { type ComparedPeriod, comparePeriod } from '../../../src/verify/certificate/compare-period.ts'
import type { ExplainRules } from '../../../src/verify/certificate/rules.ts'
import { readPeriod } from '../../../src/verify/certificate/steps.ts'
import { onDatabase } from '../../restore/patient/small-ward.ts'
import type { CapturedDatabase } from '../../support/capture-by-hand.ts'
import { makeRepository, never, type TestRepository } from '../../support/repository.ts'
import { asApplication, HOSPITAL_RULES, openHospital } from './small-hospital.ts'

let server: PostgresServer
let made: TestRepository
let hospital: CapturedDatabase
let url: string
let last: Manifest

beforeAll(async () => {
  server = await startPostgres()
  made = await makeRepository()
  url = await server.createDatabase('hospital')
  hospital = await openHospital(made, url)
  last = await hospital.snapshot()
}, 120_000)

afterAll(async () => {
  await hospital?.[Symbol.asyncDispose]()
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

/** Runs statements, takes a snapshot, and compares the two. */
async function after(...sql: readonly string[]): Promise<ComparedPeriod> {
  return await afterUnder(HOSPITAL_RULES, ...sql)
}

async function afterUnder(rules: ExplainRules, ...sql: readonly string[]): Promise<ComparedPeriod> {
  const baseline = last
  for (const each of sql) await onDatabase(url, each)
  await hospital.caughtUp()
  last = await hospital.snapshot()
  return await compared(baseline, last, rules)
}

async function compared(baseline: Manifest, end: Manifest, rules: ExplainRules): Promise<ComparedPeriod> {
  const repository = await made.open()
  const period = await readPeriod(repository, baseline, end)
  return await comparePeriod(repository, period, { rules, signal: never(), onTable: () => {} })
}

function cell(found: ComparedPeriod, table: string, month: string): Partial<BalanceCell> | undefined {
  const cells = found.tables.find(({ name }) => name === `public.${table}`)?.balance?.cells.get(month)
  return cells && Object.fromEntries(Object.entries(cells).filter(([, count]) => count > 0))
}

/** Everything that nothing explains: table, month, what, rows. */
function accused(found: ComparedPeriod): string[] {
  return found.tables.flatMap(({ name, balance }) =>
    [...(balance?.exceptional.values() ?? [])]
      .filter((each) => each.class !== 'changed-after-closing')
      .map((each) => `${name} ${each.month} ${each.class} ${each.rows}`),
  )
}

function balanceCloses({ tables }: ComparedPeriod): boolean {
  return tables.every(({ balance, before, after: now }) => {
    const cells = [...(balance?.cells.values() ?? [])]
    const sum = (name: keyof BalanceCell) => cells.reduce((total, each) => total + each[name], 0)
    const closes = cells.every((c) => c.now === c.baseline + c.inserted - c.deleted + c.movedIn - c.movedOut)
    return closes && sum('baseline') === (before?.rows.rows ?? 0) && sum('now') === (now?.rows.rows ?? 0)
  })
}

describe('between baseline and end', () => {
  it('what the application did is explained, each by the transaction of its own entry', async () => {
    const found = await after(
      asApplication('change', 'vital_sign', 9, 'UPDATE vital_sign SET value = 71 WHERE vital_id = 961'),
      asApplication('delete', 'vital_sign', 9, 'DELETE FROM vital_sign WHERE stay_id = 9 AND vital_id < 965'),
      asApplication(
        'sign',
        'clinical_document',
        7,
        `UPDATE clinical_document SET status = 'signed' WHERE document_id = 19`,
      ),
      asApplication(
        'discharge',
        'icu_stay',
        9,
        `UPDATE icu_stay SET out_at = '2026-03-03' WHERE stay_id = 9;
        UPDATE med_order SET status = 'stopped' WHERE stay_id = 9`,
      ),
      `UPDATE med_order SET dose = dose + 1 WHERE stay_id = 10`,
      `UPDATE drug SET price = 2 * price`,
      `UPDATE alarm SET seen = true WHERE stay_id = 3`,
      `INSERT INTO vital_sign SELECT 5000 + n, 10, timestamptz '2026-03-10 00:00:00+00' + n * interval '1 hour', 80 FROM generate_series(1, 5) n`,
      asApplication('delete', 'vital_sign', 10, 'DELETE FROM vital_sign WHERE vital_id = 5003'),
      `INSERT INTO audit_log (action, object_table, stay_id) VALUES ('look', 'public.vital_sign', 1)`,
    )

    expect(accused(found)).toEqual([])
    expect(balanceCloses(found)).toBe(true)
    expect(cell(found, 'vital_sign', '2026-02')).toMatchObject({ updated: 1, deleted: 4 })
    expect(cell(found, 'vital_sign', '2026-03')).toMatchObject({ inserted: 5, deleted: 1 })
    expect(found.tables.find(({ name }) => name === 'public.vital_sign')?.balance?.reasons).toEqual(
      new Map([['audit-transaction', 6]]),
    )
  })

  it('rows deleted past the application are counted in their month, also where an entry says the same of another stay', async () => {
    const found = await after(
      'DELETE FROM vital_sign WHERE stay_id = 2 AND vital_id < 131',
      asApplication('delete', 'vital_sign', 3, 'DELETE FROM vital_sign WHERE vital_id IN (241, 141)'),
    )

    expect(accused(found)).toEqual(['public.vital_sign 2026-01 unexplained-delete 11'])
    expect(balanceCloses(found)).toBe(true)
    expect(cell(found, 'vital_sign', '2026-01')).toMatchObject({
      deleted: 12,
      deletedUnexplained: 11,
      afterClosing: 12,
    })
  })

  it('columns nulled, rows altered in pairs and a row put in the place of another', async () => {
    const found = await after(
      'UPDATE vital_sign SET value = NULL WHERE stay_id = 4 AND vital_id <= 365',
      `UPDATE vital_sign v SET value = o.value FROM vital_sign o
         WHERE v.vital_id IN (700, 701) AND o.vital_id IN (700, 701) AND v.vital_id <> o.vital_id`,
      `UPDATE med_order SET stay_id = 6 WHERE order_id = 5`,
    )

    expect(accused(found)).toEqual([
      'public.med_order 2026-01 unexplained-update 1',
      'public.vital_sign 2026-01 unexplained-update 5',
      'public.vital_sign 2026-02 unexplained-update 2',
    ])
    expect(balanceCloses(found)).toBe(true)
  })

  it('a month of vital signs gone shows as deletions, as hours without values, and not as holes that nobody knows', async () => {
    const found = await after(`DELETE FROM vital_sign WHERE recorded_at >= '2026-02-01' AND recorded_at < '2026-02-15'`)
    const gone = cell(found, 'vital_sign', '2026-02')?.deletedUnexplained

    expect(gone).toBeGreaterThan(200)
    expect(accused(found)).toEqual([`public.vital_sign 2026-02 unexplained-delete ${gone}`])
    expect(found.series.find(({ month }) => month === '2026-02')?.lost).toBeGreaterThan(200)
    expect(found.tables.find(({ name }) => name === 'public.vital_sign')?.keyHoles?.suspect).toBe(0)
  })

  it('a record changed after it was archived is listed, explained or not', async () => {
    const found = await after(
      `UPDATE clinical_document SET content = 'another' WHERE document_id = 3`,
      asApplication(
        'change',
        'clinical_document',
        4,
        `UPDATE clinical_document SET content = 'late' WHERE document_id = 4`,
      ),
    )
    const documents = found.tables.find(({ name }) => name === 'public.clinical_document')!.balance!

    expect(accused(found)).toEqual(['public.clinical_document 2026-01 unexplained-update 1'])
    expect(cell(found, 'clinical_document', '2026-01')).toMatchObject({ afterClosing: 2, afterClosingUnexplained: 1 })
    expect(documents.exceptional.get('changed-after-closing 2026-01')?.rows).toBe(2)
  })

  it('a table truncated, and filled again with the half of it', async () => {
    const found = await after(
      'CREATE TEMP TABLE kept AS TABLE med_order; TRUNCATE med_order; INSERT INTO med_order SELECT * FROM kept WHERE order_id % 2 = 0',
    )
    const cells = [...found.tables.find(({ name }) => name === 'public.med_order')!.balance!.cells.values()]
    const sum = (name: keyof BalanceCell) => cells.reduce((total, each) => total + each[name], 0)

    expect([sum('baseline'), sum('deletedUnexplained'), sum('inserted'), sum('now')]).toEqual([36, 36, 18, 18])
    expect(balanceCloses(found)).toBe(true)
  })

  it('a row that came and went between two snapshots, past the application', async () => {
    const found = await after(
      `INSERT INTO clinical_document VALUES (100, 5, '2026-02-02', 'draft', 'x')`,
      'DELETE FROM clinical_document WHERE document_id = 100',
    )

    expect(accused(found)).toEqual(['public.clinical_document 2026-02 unexplained-delete 1'])
    expect(cell(found, 'clinical_document', '2026-02')).toMatchObject({ inserted: 1, deletedUnexplained: 1 })
  })

  it('a value that was changed and put back past the application is two changes, though both ends are alike', async () => {
    const found = await after(
      'UPDATE vital_sign SET value = value + 1 WHERE vital_id = 850',
      'UPDATE vital_sign SET value = value - 1 WHERE vital_id = 850',
    )

    expect(accused(found)).toEqual(['public.vital_sign 2026-02 unexplained-update 2'])
    expect(balanceCloses(found)).toBe(true)
  })

  it('rows of a table without a key, of which the log tells nothing: explained by an entry of the same period, or not', async () => {
    const found = await afterUnder(
      { ...HOSPITAL_RULES, mayChange: new Set() },
      'DELETE FROM alarm WHERE stay_id = 5',
      asApplication('delete', 'alarm', 6, 'DELETE FROM alarm WHERE stay_id = 6'),
    )

    expect(accused(found)).toEqual(['public.alarm 2026-02 unexplained-delete 5'])
    expect(found.tables.find(({ name }) => name === 'public.alarm')?.balance?.reasons).toEqual(
      new Map([
        ['none', 5],
        ['audit-period', 5],
      ]),
    )
  })

  it('a table dropped has lost every row, and entries taken out of the audit table explain nothing', async () => {
    const found = await after(
      'DROP TABLE drug',
      `DELETE FROM audit_log WHERE log_id = 1`,
      asApplication('delete', 'audit_log', null, 'DELETE FROM audit_log WHERE log_id = 2'),
    )

    expect(accused(found).map((line) => line.replace(/ \d{4}-\d\d /, ' '))).toEqual([
      'public.audit_log unexplained-delete 2',
    ])
    expect(found.tables.find(({ name }) => name === 'public.drug')).toMatchObject({ after: null })
  })
})
