/**
 * The small database that golden repositories are made of: a table of each kind, and in them every value that has ever
 * come back as another one (F6, F39). Its second state is one day later.
 */
import type { PatientLayout } from '../../src/intake/table-plan.ts'

export const GOLDEN_FIRST_SQL: readonly string[] = [
  'CREATE TABLE patient (patient_id bigint PRIMARY KEY, mrn text NOT NULL, name text)',
  'CREATE TABLE icu_stay (stay_id bigint PRIMARY KEY, patient_id bigint NOT NULL REFERENCES patient, bed text, admitted timestamptz)',
  'CREATE TABLE vital_sign (id bigint PRIMARY KEY, stay_id bigint NOT NULL REFERENCES icu_stay, at timestamptz NOT NULL, code text NOT NULL, value numeric)',
  'CREATE INDEX vital_sign_stay ON vital_sign (stay_id, at)',
  'CREATE TABLE diagnosis (stay_id bigint REFERENCES icu_stay, line integer, code text, PRIMARY KEY (stay_id, line))',
  'CREATE TABLE device_log (stay_id bigint, message text)',
  'CREATE TABLE note (note_id bigint, stay_id bigint, year integer, body text, PRIMARY KEY (note_id, year)) PARTITION BY RANGE (year)',
  'CREATE TABLE note_2025 PARTITION OF note FOR VALUES FROM (2025) TO (2026)',
  'CREATE TABLE note_2026 PARTITION OF note FOR VALUES FROM (2026) TO (2027)',
  'CREATE TABLE "检验 ""结果""" (code text PRIMARY KEY, label text, exact numeric, approx double precision)',
  'CREATE TABLE every_value (k text PRIMARY KEY, t text, b bytea, n numeric, d date, ts timestamptz, a text[], j jsonb, i interval, f real)',
  'CREATE TABLE signed_key (n integer PRIMARY KEY, v text)',
  'CREATE TABLE nothing_yet (id integer PRIMARY KEY, body text)',
  'CREATE SEQUENCE note_number START 41',
  "SELECT nextval('note_number')",
  "INSERT INTO patient SELECT n, 'MRN' || n, CASE n WHEN 3 THEN NULL WHEN 4 THEN '' WHEN 5 THEN '李 娜' ELSE 'name of ' || n END FROM generate_series(1, 9) n",
  "INSERT INTO icu_stay SELECT 100 + n, 1 + n % 9, 'bed ' || n, timestamptz '2026-01-01 08:00+08' + n * interval '1 hour' FROM generate_series(1, 18) n",
  `INSERT INTO vital_sign SELECT n, 101 + n % 18, timestamptz '2026-01-01' + n * interval '37 s',
     (ARRAY['HR','SpO2','RR','体温'])[1 + n % 4], CASE WHEN n % 97 = 0 THEN NULL ELSE round((60 + sin(n) * 30)::numeric, n % 3) END
     FROM generate_series(1, 4000) n`,
  "INSERT INTO diagnosis SELECT 101 + n % 18, n, 'I' || n FROM generate_series(1, 60) n",
  "INSERT INTO device_log SELECT CASE WHEN n % 11 = 0 THEN NULL ELSE 101 + n % 18 END, 'alarm ' || n % 5 FROM generate_series(1, 150) n",
  'INSERT INTO device_log SELECT 101, NULL FROM generate_series(1, 3)',
  "INSERT INTO note SELECT n, 101 + n % 18, 2025 + n % 2, 'note ' || n || E'\\n第二行\\t制表' FROM generate_series(1, 80) n",
  `INSERT INTO "检验 ""结果""" VALUES ('K', '钾', 1.5, 1.5), ('k', 'kalium', 1.50, 'NaN'), ('', 'empty key', -0.00, '-Infinity'),
     (' K', 'leading', 123456789012345678901234567890.123456789, 4.9406564584124654e-324), ('É', 'NFC', NULL, 1e300), (E'E\\u0301', 'NFD', 'NaN', 0.1)`,
  `INSERT INTO every_value VALUES
     ('null', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
     ('empty', '', '', 0, 'infinity', '-infinity', '{}', '{}', '0', 0),
     ('escapes', E'tab\\t newline\\n return\\r backslash\\\\ bell\\b \\\\N', '\\x00ff0a09', 1.50, '0044-03-15 BC', '1844-01-01 00:00+00', '{"a,b","NULL",NULL,"{}"}', '{"a": [1, null]}', '1 year 2 mons -3 days 04:05:06.789', '1.17549435e-38'),
     ('control', E'\\x01\\x02\\x07\\x1f\\x7f', decode(repeat('00ff', 40), 'hex'), '-1e-20', '2202-12-31', '2026-01-01 00:00:00.123456+08', ARRAY['心电图'], '"\\u0001"', '-1 mons', '-0'),
     ('literal', '\\N', '\\x5c4e', 1e20, '1970-01-01', '1969-12-31 23:59:59.999999+00', NULL, 'null', '00:00:00.000001', 'NaN')`,
  "INSERT INTO signed_key SELECT n, 'v' || n FROM generate_series(-120, 120, 7) n",
]

export const GOLDEN_SECOND_SQL: readonly string[] = [
  'UPDATE vital_sign SET value = 0 WHERE id BETWEEN 100 AND 103',
  'DELETE FROM vital_sign WHERE id = 2000',
  "INSERT INTO vital_sign SELECT n, 118, timestamptz '2026-01-03' + n * interval '1 s', 'HR', n FROM generate_series(5001, 5200) n",
  'DELETE FROM device_log WHERE stay_id IS NULL',
  "INSERT INTO nothing_yet VALUES (1, 'now there is one')",
  'UPDATE icu_stay SET patient_id = 2 WHERE stay_id = 105',
  "INSERT INTO note VALUES (900, 101, 2026, 'late')",
]

export const GOLDEN_LAYOUT: PatientLayout = {
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
