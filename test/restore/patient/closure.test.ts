import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  availablePostgresVersions,
  type PostgresServer,
  startPostgres,
} from '../../../scripts/support/postgres-server.ts'
import { type Closure, patientClosure } from '../../../src/restore/patient/closure.ts'
import { StoredRows } from '../../../src/restore/patient/stored-rows.ts'
import { openSource } from '../../../src/source/open.ts'
import { toLayout } from '../../support/layout.ts'
import { makeRepository, type TestRepository } from '../../support/repository.ts'

/** Everything that makes closures hard in one small hospital. */
const SCHEMA = `
  CREATE SCHEMA dict;
  CREATE TABLE dict.item (code text PRIMARY KEY, label text);
  CREATE TABLE public.staff (staff_id int PRIMARY KEY, name text);
  CREATE TABLE public.patient (patient_id bigint PRIMARY KEY, mrn text UNIQUE, merged_into bigint REFERENCES public.patient);
  CREATE TABLE public.stay (stay_id bigint PRIMARY KEY, patient_id bigint NOT NULL REFERENCES public.patient, donor_id bigint REFERENCES public.patient);
  CREATE TABLE public.ward_order (order_id bigint PRIMARY KEY, stay_id bigint REFERENCES public.stay, parent_id bigint REFERENCES public.ward_order,
    author int REFERENCES public.staff);
  CREATE TABLE public.document (stay_id bigint REFERENCES public.stay, number int, current int, PRIMARY KEY (stay_id, number));
  CREATE TABLE public.page (stay_id bigint, number int, page int, code text REFERENCES dict.item, PRIMARY KEY (stay_id, number, page),
    FOREIGN KEY (stay_id, number) REFERENCES public.document);
  ALTER TABLE public.document ADD FOREIGN KEY (stay_id, number, current) REFERENCES public.page DEFERRABLE INITIALLY DEFERRED;
  CREATE TABLE public.vital (stay_id bigint NOT NULL, at timestamptz NOT NULL, value numeric, PRIMARY KEY (stay_id, at)) PARTITION BY RANGE (at);
  CREATE TABLE public.vital_2025 PARTITION OF public.vital FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
  CREATE TABLE public.vital_2026 PARTITION OF public.vital FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  CREATE TABLE public.consent (consent_id int PRIMARY KEY, order_id bigint REFERENCES public.ward_order, of_patient bigint REFERENCES public.patient);
  CREATE TABLE public.consent_note (note_id int PRIMARY KEY, consent_id int REFERENCES public.consent, line text);
  CREATE TABLE public.device_log (stay_id bigint, line text);`

const ROWS = `
  INSERT INTO dict.item VALUES ('hr', 'heart'), ('bp', 'pressure');
  INSERT INTO staff SELECT n, 'staff ' || n FROM generate_series(1, 9) n;
  INSERT INTO patient SELECT n, 'M' || n, CASE n WHEN 8 THEN 7 END FROM generate_series(1, 40) n;
  INSERT INTO stay SELECT n, (n % 40) + 1, CASE WHEN n % 10 = 0 THEN ((n + 5) % 40) + 1 END FROM generate_series(1, 120) n;
  INSERT INTO ward_order SELECT n, (n % 120) + 1, CASE WHEN n > 500 THEN n - 480 END, (n % 9) + 1 FROM generate_series(1, 1000) n;
  INSERT INTO document SELECT s, k, NULL FROM generate_series(1, 120) s, generate_series(1, 3) k;
  INSERT INTO page SELECT s, k, p, CASE p WHEN 1 THEN 'hr' ELSE 'bp' END FROM generate_series(1, 120) s, generate_series(1, 3) k, generate_series(1, 2) p;
  UPDATE document SET current = 2;
  INSERT INTO vital SELECT s, '2025-12-30'::timestamptz + m * interval '1 hour', m FROM generate_series(1, 120) s, generate_series(1, 100) m;
  INSERT INTO consent SELECT n, n, CASE WHEN n % 3 = 0 THEN (n % 40) + 1 END FROM generate_series(1, 200) n;
  INSERT INTO consent_note SELECT n, (n % 200) + 1, E'tab\\there' FROM generate_series(1, 400) n;
  INSERT INTO device_log SELECT (n % 120) + 1, 'line ' || (n % 7) FROM generate_series(1, 600) n;`

const LAYOUT = {
  patient: { table: 'public.patient', key: 'patient_id', label: ['mrn'] },
  anchors: {
    'public.stay': 'patient_id',
    'public.ward_order': 'stay_id',
    'public.document': 'stay_id',
    'public.page': 'stay_id',
    'public.vital': 'stay_id',
    'public.device_log': 'stay_id',
  },
  links: ['public.vital.stay_id -> public.stay.stay_id', 'public.device_log.stay_id -> public.stay.stay_id'],
}

/** The same by the database itself: rows of patient $1, as JSON, by table. */
const STAYS = '(SELECT stay_id FROM stay WHERE patient_id = $1)'
const CONSENTS = `(SELECT consent_id FROM consent WHERE of_patient = $1 OR order_id IN (SELECT order_id FROM ward_order WHERE stay_id IN ${STAYS}))`
const ORACLE: Readonly<Record<string, string>> = {
  'public.patient': 'patient WHERE patient_id = $1',
  'public.stay': 'stay WHERE patient_id = $1',
  'public.ward_order': `ward_order WHERE stay_id IN ${STAYS}`,
  'public.document': `document WHERE stay_id IN ${STAYS}`,
  'public.page': `page WHERE stay_id IN ${STAYS}`,
  'public.vital_2025': `vital_2025 WHERE stay_id IN ${STAYS}`,
  'public.vital_2026': `vital_2026 WHERE stay_id IN ${STAYS}`,
  'public.consent': `consent WHERE consent_id IN ${CONSENTS}`,
  'public.consent_note': `consent_note WHERE consent_id IN ${CONSENTS}`,
  'public.device_log': `device_log WHERE stay_id IN ${STAYS}`,
}

const newest = Math.max(...availablePostgresVersions())

describe(`one patient over all tables (PostgreSQL ${newest})`, () => {
  let server: PostgresServer
  let made: TestRepository
  let client: pg.Client
  let stored: StoredRows

  beforeAll(async () => {
    server = await startPostgres({ version: newest })
    const url = await server.createDatabase('icu')
    client = new pg.Client(url)
    await client.connect()
    await client.query(SCHEMA)
    await client.query(ROWS)
    await client.query('ANALYZE')
    made = await makeRepository()
    await using source = await openSource({ url })
    const id = await made.snapshot(source, toLayout(LAYOUT), Date.UTC(2026, 0, 2))
    const { manifest } = await made.repository.readManifest(id)
    stored = new StoredRows(manifest, made.repository.chunkReader(), made.repository.keyring.secrets)
  }, 120_000)

  afterAll(async () => {
    await client?.end()
    await made?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  const closureOf = (patient: string) => patientClosure(stored, Buffer.from(patient))

  it('holds exactly the rows that the database itself finds, for every patient', async () => {
    for (let patient = 1; patient <= 41; patient += 1) {
      const closure = await closureOf(`${patient}`)
      const found = linesByTable(closure)
      for (const [table, from] of Object.entries(ORACLE)) {
        const { rows } = await client.query({
          text: `SELECT * FROM ${from}`,
          values: [patient],
          rowMode: 'array',
          types: TEXT,
        })
        const expected = (rows as (string | null)[][]).map(toLine).sort()
        expect({ table, patient, lines: found.get(table) ?? [] }).toEqual({ table, patient, lines: expected })
      }
    }
  })

  it('lists what its rows refer to elsewhere: dictionaries, staff, and other patients', async () => {
    const closure = await closureOf('7')
    const tables = new Set(closure.needed.map(({ table }) => table.name))
    expect([...tables].sort()).toEqual(['dict.item', 'public.patient', 'public.staff', 'public.ward_order'])
    const items = closure.needed.filter(({ table }) => table.name === 'dict.item')
    expect(items.map(({ fields }) => `${fields[0]}`).sort()).toEqual(['bp', 'hr'])
    expect(items[0]?.by).toEqual(['public.page'])
  })

  it('finds a patient who was merged into another, and says whom he needs', async () => {
    const closure = await closureOf('8')
    const merged = closure.needed.find(
      ({ columns, by }) => columns[0] === 'patient_id' && by.includes('public.patient'),
    )
    expect(`${merged?.fields[0]}`).toBe('7')
    expect(merged?.by.toSorted()).toEqual(['public.consent', 'public.patient'])
  })

  it('reads a small part of the repository', async () => {
    const before = stored.bytesRead
    await closureOf('20')
    expect(stored.bytesRead - before).toBeLessThan(200_000)
  })

  it('of somebody unknown has no rows, and is no error', async () => {
    const closure = await closureOf('4711')
    expect(closure.tables.flatMap(({ rows }) => rows)).toEqual([])
  })

  it('is refused for a source that knows no patients', async () => {
    const nobody = new StoredRows(
      { ...stored.manifest, patient: null },
      made.repository.chunkReader(),
      made.repository.keyring.secrets,
    )
    await expect(patientClosure(nobody, Buffer.from('1'))).rejects.toMatchObject({ code: 'bad-configuration' })
  })

  it('finds rows by primary key through the locator, through the anchor in the key, and directly', async () => {
    const table = (name: string) => stored.manifest.tables.find((one) => one.name === name)!
    const key = (...fields: string[]) => fields.map((field) => Buffer.from(field))
    const orders = await stored.byKeys(table('public.ward_order'), [key('17'), key('900'), key('5000')])
    expect(orders.map(({ line }) => Number(`${line}`.split('\t')[0])).sort((a, b) => a - b)).toEqual([17, 900])
    const pages = await stored.byKeys(table('public.page'), [key('5', '2', '1')])
    expect(pages.map(({ line }) => `${line}`)).toEqual(['5\t2\t1\thr'])
    const items = await stored.byKeys(table('dict.item'), [key('bp')])
    expect(items.map(({ line }) => `${line}`)).toEqual(['bp\tpressure'])
  })
})

const TEXT = { getTypeParser: () => (value: string) => value }

function linesByTable({ tables }: Closure): Map<string, string[]> {
  return new Map(tables.map(({ table, rows }) => [table.name, rows.map(({ line }) => line.toString()).sort()]))
}

function toLine(fields: readonly (string | null)[]): string {
  return fields.map((field) => (field === null ? '\\N' : field.replaceAll('\t', '\\t'))).join('\t')
}
