/**
 * A small ward with a table of each kind: patients, stays that lead to them, rows keyed by id (with a locator), rows
 * whose key contains the anchor, a bag, a partitioned table, and a dictionary that belongs to nobody.
 */
import type { PatientLayout } from '../../src/intake/table-plan.ts'

export const PATIENTS = 12
export const STAYS = 24

export interface WardSize {
  readonly vitals: number
}

export function wardSql({ vitals }: WardSize): string[] {
  return [
    'CREATE TABLE patient (patient_id bigint PRIMARY KEY, mrn text NOT NULL, name text)',
    'CREATE TABLE icu_stay (stay_id bigint PRIMARY KEY, patient_id bigint NOT NULL REFERENCES patient, bed text)',
    `CREATE TABLE vital_sign (id bigint PRIMARY KEY, stay_id bigint NOT NULL REFERENCES icu_stay, at timestamptz NOT NULL,
       code text NOT NULL, value numeric)`,
    `CREATE TABLE diagnosis (stay_id bigint REFERENCES icu_stay, line integer, code text, PRIMARY KEY (stay_id, line))`,
    'CREATE TABLE device_log (stay_id bigint, message text)',
    'CREATE TABLE note (note_id bigint, stay_id bigint, year integer, body text, PRIMARY KEY (note_id, year)) PARTITION BY RANGE (year)',
    'CREATE TABLE note_2025 PARTITION OF note FOR VALUES FROM (2025) TO (2026)',
    'CREATE TABLE note_2026 PARTITION OF note FOR VALUES FROM (2026) TO (2027)',
    'CREATE TABLE drug (code text PRIMARY KEY, label text)',
    `INSERT INTO patient SELECT n, 'MRN' || n, 'name of ' || n FROM generate_series(1, ${PATIENTS}) n`,
    `INSERT INTO icu_stay SELECT 100 + n, 1 + n % ${PATIENTS}, 'bed ' || n FROM generate_series(1, ${STAYS}) n`,
    `INSERT INTO vital_sign SELECT n, 101 + n % ${STAYS}, timestamptz '2026-01-01' + n * interval '5 s',
       (ARRAY['HR','SpO2','RR'])[1 + n % 3], round((60 + sin(n) * 30)::numeric, 2) FROM generate_series(1, ${vitals}) n`,
    `INSERT INTO diagnosis SELECT 101 + n % ${STAYS}, n, 'I' || n FROM generate_series(1, 100) n`,
    `INSERT INTO device_log SELECT 101 + n % ${STAYS}, 'alarm ' || n % 7 FROM generate_series(1, 200) n`,
    `INSERT INTO note SELECT n, 101 + n % ${STAYS}, 2025 + n % 2, 'note ' || n FROM generate_series(1, 200) n`,
    `INSERT INTO drug SELECT 'D' || n, 'drug ' || n FROM generate_series(1, 50) n`,
  ]
}

export const wardLayout: PatientLayout = {
  patient: { table: 'public.patient', key: 'patient_id', label: ['mrn'] },
  anchors: new Map([
    ['public.icu_stay', 'patient_id'],
    ['public.vital_sign', 'stay_id'],
    ['public.diagnosis', 'stay_id'],
    ['public.device_log', 'stay_id'],
    ['public.note', 'stay_id'],
  ]),
  categories: new Map([['public.vital_sign', '生命体征']]),
  links: [
    { table: 'public.device_log', column: 'stay_id', referencedTable: 'public.icu_stay', referencedColumn: 'stay_id' },
    { table: 'public.note', column: 'stay_id', referencedTable: 'public.icu_stay', referencedColumn: 'stay_id' },
  ],
  exclude: new Set(),
}
