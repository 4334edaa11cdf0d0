/** A ward small enough to be judged by plain SQL: nine patients, three stays each. Patient 2 has stays 1, 10 and 19. */
import pg from 'pg'

export const SCHEMA = `
  CREATE TABLE public.drug (code text PRIMARY KEY);
  CREATE TABLE public.patient (patient_id bigint PRIMARY KEY, mrn text UNIQUE);
  CREATE TABLE public.stay (stay_id bigint PRIMARY KEY, patient_id bigint NOT NULL REFERENCES public.patient, bed text);
  CREATE TABLE public.note (note_id int PRIMARY KEY, stay_id bigint REFERENCES public.stay, body text, score numeric, at timestamptz);
  CREATE TABLE public.ward_order (order_id int PRIMARY KEY, stay_id bigint REFERENCES public.stay, drug text REFERENCES public.drug, barcode text UNIQUE);
  CREATE TABLE public.alarm (stay_id bigint, line text);
  INSERT INTO drug SELECT 'd' || n FROM generate_series(1, 9) n;
  INSERT INTO patient SELECT n, 'M' || n FROM generate_series(1, 9) n;
  INSERT INTO stay SELECT n, (n % 9) + 1, 'B' || n FROM generate_series(1, 27) n;
  INSERT INTO note SELECT n, (n % 27) + 1, E'line\\tone\\nand \\\\ two ' || n, n + 0.50, '2026-01-01'::timestamptz + n * interval '1 minute' FROM generate_series(1, 270) n;
  INSERT INTO ward_order SELECT n, (n % 27) + 1, 'd' || ((n % 9) + 1), 'X' || n FROM generate_series(1, 270) n;
  INSERT INTO alarm SELECT (n % 27) + 1, 'same line' FROM generate_series(1, 81) n;`

export const LAYOUT = {
  patient: { table: 'public.patient', key: 'patient_id', label: ['mrn'] },
  anchors: {
    'public.stay': 'patient_id',
    'public.note': 'stay_id',
    'public.ward_order': 'stay_id',
    'public.alarm': 'stay_id',
  },
  links: ['public.alarm.stay_id -> public.stay.stay_id'],
}

export async function onDatabase(url: string, sql: string): Promise<pg.QueryResult[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    const results: unknown = await client.query(sql)
    return (Array.isArray(results) ? results : [results]) as pg.QueryResult[]
  } finally {
    await client.end()
  }
}
