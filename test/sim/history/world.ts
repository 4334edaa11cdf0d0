/**
 * The database in which histories play: small, and with a table for everything that has been known to go wrong.
 * Numbers of rows stay small by small domains of keys, so that the same keys are deleted and made again all the time.
 */
import type { PatientLayout } from '../../../src/intake/table-plan.ts'
import { ORACLE_TABLES } from './recorder.ts'

export const PATIENTS = 6
export const STAYS = 14
export const YEARS = [2025, 2026, 2027]

/** Where the oldest servers of ours differ. */
export interface WorldOptions {
  readonly version: number
}

export const WORLD_SQL: readonly string[] = [
  "CREATE TYPE mood AS ENUM ('calm', 'agitated', 'asleep')",
  'CREATE TYPE pair AS (first integer, second text)',
  `CREATE TABLE patient (patient_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mrn text NOT NULL, name text)`,
  `CREATE TABLE stay (gone integer, stay_id bigint PRIMARY KEY, patient_id bigint NOT NULL
     REFERENCES patient ON DELETE CASCADE ON UPDATE CASCADE, bed text)`,
  'ALTER TABLE stay DROP COLUMN gone',
  `CREATE TABLE vital (id bigint PRIMARY KEY, stay_id bigint NOT NULL REFERENCES stay ON DELETE CASCADE
     ON UPDATE CASCADE, at timestamptz, value numeric, remark text)`,
  `CREATE TABLE dx (stay_id bigint REFERENCES stay ON DELETE CASCADE ON UPDATE CASCADE, line integer, code text,
     PRIMARY KEY (stay_id, line))`,
  `CREATE TABLE drug (code text PRIMARY KEY, label text,
     parent text REFERENCES drug ON UPDATE CASCADE ON DELETE SET NULL)`,
  'CREATE TABLE full_log (id integer PRIMARY KEY, stay_id bigint, body text, big text)',
  'ALTER TABLE full_log REPLICA IDENTITY FULL',
  'CREATE TABLE by_index (id integer PRIMARY KEY, code text NOT NULL UNIQUE, stay_id bigint, v text)',
  'ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code_key',
  'CREATE TABLE silent (id integer PRIMARY KEY, v text)',
  'ALTER TABLE silent REPLICA IDENTITY NOTHING',
  'CREATE TABLE late (id integer, v text, PRIMARY KEY (id) DEFERRABLE)',
  'CREATE TABLE bag (stay_id bigint, message text)',
  'CREATE TABLE swap (id integer PRIMARY KEY, v text)',
  'CREATE TABLE numeric_key (k numeric PRIMARY KEY, v text)',
  'CREATE TABLE multi (a text, n integer, b date, v text, PRIMARY KEY (b, a))',
  `CREATE TABLE kinds (id integer PRIMARY KEY, flag boolean, f double precision, n numeric, raw bytea, at timestamptz,
     span interval, doc jsonb, list text[], mood mood, pair pair, fixed character(6))`,
  `CREATE TABLE toasty (id integer PRIMARY KEY, stay_id bigint, kind integer, body text, other bytea)`,
  'ALTER TABLE toasty ALTER body SET STORAGE EXTERNAL, ALTER other SET STORAGE EXTERNAL',
  'CREATE TABLE computed (id integer PRIMARY KEY, a integer, twice integer GENERATED ALWAYS AS (a * 2) STORED, v text)',
  `CREATE TABLE note (note_id bigint, stay_id bigint, year integer, body text, PRIMARY KEY (note_id, year))
     PARTITION BY RANGE (year)`,
  ...YEARS.map((year) => `CREATE TABLE note_${year} PARTITION OF note FOR VALUES FROM (${year}) TO (${year + 1})`),
  'CREATE TABLE event (id integer PRIMARY KEY, v text)',
  'CREATE TABLE event_child (more text, PRIMARY KEY (id)) INHERITS (event)',
  'CREATE TABLE "Odd Name" ("Id" integer PRIMARY KEY, "a b" text)',
]

/** As statements name them: everything that holds rows. */
export const LEAF_TABLES: readonly string[] = [
  'public.patient',
  'public.stay',
  'public.vital',
  'public.dx',
  'public.drug',
  'public.full_log',
  'public.by_index',
  'public.silent',
  'public.late',
  'public.bag',
  'public.swap',
  'public.numeric_key',
  'public.multi',
  'public.kinds',
  'public.toasty',
  'public.computed',
  ...YEARS.map((year) => `public.note_${year}`),
  'public.event',
  'public.event_child',
  'public."Odd Name"',
]

/** Their past cannot be told to the transaction: no key, or an identity that does not name one. */
export const SNAPSHOT_TABLES: readonly string[] = ['public.by_index', 'public.silent', 'public.late', 'public.bag']

export const PUBLISHED_TABLES = LEAF_TABLES.filter((table) => !SNAPSHOT_TABLES.includes(table))

export const worldLayout: PatientLayout = {
  patient: { table: 'public.patient', key: 'patient_id', label: ['mrn'] },
  anchors: new Map([
    ['public.stay', 'patient_id'],
    ...['vital', 'dx', 'full_log', 'by_index', 'bag', 'toasty', 'note'].map((name) => {
      return [`public.${name}`, 'stay_id'] as const
    }),
  ]),
  categories: new Map(),
  links: ['full_log', 'by_index', 'bag', 'toasty', 'note'].map((name) => {
    const referenced = { referencedTable: 'public.stay', referencedColumn: 'stay_id' }
    return { table: `public.${name}`, column: 'stay_id', ...referenced }
  }),
  exclude: new Set(ORACLE_TABLES),
}
