/**
 * A live database against a snapshot: one changed, missing or extra row in a table of each kind is counted and its
 * patient named; what a difference means depends on whether the database may have moved on (P3).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { Failure } from '../../src/errors.ts'
import { encodeKey } from '../../src/repository/tree/key.ts'
import type { Source } from '../../src/source/contract.ts'
import { openSource } from '../../src/source/open.ts'
import { type Comparison, compareDatabase } from '../../src/verify/compare.ts'
import { runSql } from '../source/postgres/support.ts'
import { makeRepository, never, objectKeys, type TestRepository, whileDamaged } from '../support/repository.ts'
import { wardLayout, wardSql } from '../support/ward.ts'

let server: PostgresServer
let made: TestRepository
let sourceUrl: string
let snapshot: string
let databases = 0

beforeAll(async () => {
  server = await startPostgres({})
  made = await makeRepository()
  sourceUrl = await wardDatabase()
  await using source = await openSource({ url: sourceUrl })
  snapshot = await made.snapshot(source, wardLayout, Date.UTC(2026, 0, 2))
})

afterAll(async () => {
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function wardDatabase(...changes: string[]): Promise<string> {
  databases += 1
  const url = await server.createDatabase(`compared_${databases}`)
  await runSql(url, ...wardSql({ vitals: 6000 }), ...changes)
  return url
}

async function compare(source: Source, expectSameHistory: boolean): Promise<Comparison> {
  const { repository, pool } = made
  const world = { pool, signal: never(), nowMs: Date.now }
  return await compareDatabase({ repository, source, snapshotId: snapshot, expectSameHistory, ...world })
}

async function compareUrl(url: string, expectSameHistory = false): Promise<Comparison> {
  await using source = await openSource({ url })
  return await compare(source, expectSameHistory)
}

function differences({ tables }: Comparison) {
  return tables
    .filter(({ outcome }) => outcome !== 'equal')
    .map(({ table, missing, extra, changed }) => ({ table, missing, extra, changed }))
}

/** Stays go round the twelve patients. */
function patientOfStay(stay: number): string {
  return made.repository.keyring.pseudonym(encodeKey([Buffer.from(String(1 + ((stay - 100) % 12)))]))
}

describe('a database that was given the rows of a snapshot', () => {
  test('passes, and every table is equal', async () => {
    const found = await compareUrl(await wardDatabase())

    expect(found).toMatchObject({ status: 'passed', findings: [], movedOn: false })
    expect(differences(found)).toEqual([])
    expect(found.tables.length).toBe(8)
    expect(found.looked.bytesRead).toBeGreaterThan(100_000)
  })

  const none = { missing: 0, extra: 0, changed: 0 }
  test.each([
    [
      'keyed, with a locator',
      'public.vital_sign',
      { changed: 1 },
      107,
      'UPDATE vital_sign SET value = 9 WHERE id = 3006',
    ],
    ['keyed, with a locator', 'public.vital_sign', { missing: 1 }, 107, 'DELETE FROM vital_sign WHERE id = 3006'],
    [
      'keyed, with a locator',
      'public.vital_sign',
      { extra: 1 },
      107,
      `INSERT INTO vital_sign VALUES (9999, 107, now(), 'HR', 1)`,
    ],
    ['keyed by its anchor', 'public.diagnosis', { changed: 1 }, 104, `UPDATE diagnosis SET code = '?' WHERE line = 51`],
    ['keyed by its anchor', 'public.diagnosis', { missing: 1 }, 104, 'DELETE FROM diagnosis WHERE line = 51'],
    ['keyed by its anchor', 'public.diagnosis', { extra: 1 }, 104, `INSERT INTO diagnosis VALUES (104, 999, 'I')`],
    [
      'without a key',
      'public.device_log',
      { missing: 1, extra: 1 },
      102,
      `UPDATE device_log SET message = '!' WHERE ctid = (SELECT min(ctid) FROM device_log WHERE stay_id = 102)`,
    ],
    [
      'without a key',
      'public.device_log',
      { missing: 1 },
      102,
      'DELETE FROM device_log WHERE ctid = (SELECT min(ctid) FROM device_log WHERE stay_id = 102)',
    ],
    [
      'without a key',
      'public.device_log',
      { extra: 1 },
      102,
      'INSERT INTO device_log SELECT * FROM device_log WHERE stay_id = 102 LIMIT 1',
    ],
    ['a partition', 'public.note_2025', { changed: 1 }, 103, `UPDATE note SET body = '' WHERE note_id = 50`],
    ['a partition', 'public.note_2025', { missing: 1 }, 103, 'DELETE FROM note WHERE note_id = 50'],
    ['a partition', 'public.note_2026', { extra: 1 }, 103, `INSERT INTO note VALUES (999, 103, 2026, '')`],
  ])('table %s: %s with %o is counted, and its patient named', async (_, table, counts, stay, change) => {
    const found = await compareUrl(await wardDatabase(change))

    expect(found.status).toBe('failed')
    expect(differences(found)).toEqual([{ table, ...none, ...counts }])
    expect(found.findings).toMatchObject([
      {
        severity: 'error',
        kind: 'rows-differ',
        tables: [table],
        patients: [patientOfStay(stay)],
        patientsComplete: true,
      },
    ])
  })

  test('a table of no patient: rows are counted, and nobody is named', async () => {
    const change = [`UPDATE drug SET label = NULL WHERE code = 'D7'`, `DELETE FROM drug WHERE code = 'D9'`]

    const found = await compareUrl(await wardDatabase(...change, `INSERT INTO drug VALUES ('X', '')`))

    expect(differences(found)).toEqual([{ table: 'public.drug', missing: 1, extra: 1, changed: 1 }])
    expect(found.findings).toMatchObject([{ patients: [], patientsComplete: true }])
  })

  test('rows that are missing at the end of a table, and all rows of one, are counted', async () => {
    const found = await compareUrl(await wardDatabase('DELETE FROM vital_sign WHERE stay_id = 124', 'TRUNCATE drug'))

    expect(differences(found)).toEqual([
      { table: 'public.drug', missing: 50, extra: 0, changed: 0 },
      { table: 'public.vital_sign', missing: 250, extra: 0, changed: 0 },
    ])
  })

  test('rows that differ all over a table are counted exactly', async () => {
    const change = [
      'DELETE FROM vital_sign WHERE id % 7 = 0',
      'UPDATE vital_sign SET value = value + 1 WHERE id % 7 = 1',
      `INSERT INTO vital_sign SELECT 10000 + n, 101 + n % 24, now(), 'x', 0 FROM generate_series(1, 500) n`,
    ]

    const found = await compareUrl(await wardDatabase(...change))

    expect(differences(found)).toEqual([{ table: 'public.vital_sign', missing: 857, extra: 500, changed: 858 }])
  })

  test('a row that was given to another stay is missing here and extra there, and both patients are named', async () => {
    const found = await compareUrl(await wardDatabase('UPDATE vital_sign SET stay_id = 103 WHERE id = 3006'))

    expect(differences(found)).toEqual([{ table: 'public.vital_sign', missing: 1, extra: 1, changed: 0 }])
    expect(found.findings[0]?.patients).toEqual([patientOfStay(103), patientOfStay(107)].sort())
  })

  test('tables that are gone, changed in form, or new are said so', async () => {
    const change = ['DROP TABLE diagnosis', 'ALTER TABLE drug ADD COLUMN price numeric', 'CREATE TABLE added (a int)']

    const found = await compareUrl(await wardDatabase(...change))

    expect(found.status).toBe('failed')
    expect(found.findings.map(({ kind, tables }) => [kind, tables])).toEqual([
      ['table-missing', ['public.diagnosis']],
      ['columns-differ', ['public.drug']],
      ['table-added', ['public.added']],
    ])
  })

  test('a column of another type is said so, though its text is the same', async () => {
    const found = await compareUrl(await wardDatabase('ALTER TABLE icu_stay ALTER bed TYPE varchar(40)'))

    expect(found.findings).toMatchObject([{ kind: 'columns-differ', tables: ['public.icu_stay'] }])
  })

  test('damage in the repository is a finding, and not a difference of the database', async () => {
    const url = await wardDatabase('UPDATE vital_sign SET value = 9 WHERE id = 3006')
    const { reader, place } = await leafOfVitals()

    const found = await whileDamaged(
      made.directory,
      reader,
      (bytes) => zeroed(bytes, place),
      () => compareUrl(url),
    )

    expect(found.status).toBe('failed')
    expect(found.findings.map(({ kind }) => kind)).toContain('chunk-damaged')
    expect(found.tables.find(({ table }) => table === 'public.vital_sign')).toMatchObject({ outcome: 'not-comparable' })
  })
})

describe('the source itself', () => {
  test('passes as long as nothing was written, whatever other databases of its cluster did', async () => {
    const found = await compareUrl(sourceUrl, true)

    expect(found).toMatchObject({ status: 'passed', findings: [] })
  })

  test('another database is refused where the source is expected', async () => {
    const url = await wardDatabase()

    await expect(compareUrl(url, true)).rejects.toSatisfy(
      (error) => error instanceof Failure && error.code === 'bad-usage',
    )
  })

  test('once transactions came, a difference is inconclusive; without one since the snapshot, it is damage', async () => {
    await runSql(sourceUrl, 'UPDATE vital_sign SET value = 9 WHERE id = 3006')
    const { manifest } = await made.repository.readManifest(snapshot)

    const movedOn = await compareUrl(sourceUrl, true)
    await using source = await openSource({ url: sourceUrl })
    const still = await compare(asOf(source, manifest.position.visible), true)

    const counts = [{ table: 'public.vital_sign', missing: 0, extra: 0, changed: 1 }]
    expect(movedOn).toMatchObject({ status: 'inconclusive', movedOn: true })
    expect(differences(movedOn)).toEqual(counts)
    expect(movedOn.findings.map(({ kind }) => kind)).toEqual(['rows-differ', 'moved-on'])
    expect(still).toMatchObject({
      status: 'failed',
      movedOn: false,
      findings: [{ severity: 'error', kind: 'rows-differ' }],
    })
    expect(differences(still)).toEqual(counts)
  })
})

/** As if the database had assigned no transaction since: what rot of its disk looks like. */
function asOf(source: Source, visible: string): Source {
  return {
    capabilities: source.capabilities,
    profile: source.profile,
    changes: null,
    identify: () => source.identify(),
    introspect: () => source.introspect(),
    openRead: async (options) => {
      const read = await source.openRead(options)
      return {
        identity: read.identity,
        position: { ...read.position, visible },
        ticket: read.ticket,
        schema: read.schema,
        visibleTables: read.visibleTables,
        tableTickets: read.tableTickets,
        yielded: read.yielded,
        readDdl: () => read.readDdl(),
        [Symbol.asyncDispose]: () => read[Symbol.asyncDispose](),
      }
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

/** The largest pack holds the rows. */
async function leafOfVitals(): Promise<{ reader: string; place: { start: number; end: number } }> {
  const { manifest } = await made.repository.readManifest(snapshot)
  const { packs } = await made.repository.readIndex(manifest)
  const largest = [...packs].sort((a, b) => b.bytes - a.bytes)[0]!
  const key = (await objectKeys(made.directory)).find((name) => name.endsWith(largest.packId))!
  return { reader: key, place: { start: 40, end: largest.bytes - 200 } }
}

function zeroed(bytes: Buffer, { start, end }: { start: number; end: number }): Buffer {
  return bytes.fill(0, start, end)
}
