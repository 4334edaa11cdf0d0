/**
 * A hospital small enough to be counted by hand: twelve stays of five days in January to March 2026, a value an hour, and
 * an application that writes its audit entry in the transaction of what it does.
 */

import type { ExplainRules } from '../../../src/verify/certificate/rules.ts'
import { onDatabase } from '../../restore/patient/small-ward.ts'
import { type CapturedDatabase, captureDatabase } from '../../support/capture-by-hand.ts'
import { toLayout } from '../../support/layout.ts'
import type { TestRepository } from '../../support/repository.ts'

export const STAYS = 12
export const HOURS = 120

export const HOSPITAL = `
  CREATE TABLE patient (patient_id bigint PRIMARY KEY, mrn text NOT NULL);
  CREATE TABLE icu_stay (stay_id bigint PRIMARY KEY, patient_id bigint NOT NULL REFERENCES patient,
    in_at timestamptz NOT NULL, out_at timestamptz);
  CREATE TABLE vital_sign (vital_id bigint PRIMARY KEY, stay_id bigint NOT NULL, recorded_at timestamptz NOT NULL,
    value numeric, source text NOT NULL DEFAULT 'monitor');
  CREATE TABLE clinical_document (document_id int PRIMARY KEY, stay_id bigint NOT NULL, created_at timestamptz NOT NULL,
    status text NOT NULL, content text NOT NULL);
  CREATE TABLE med_order (order_id int PRIMARY KEY, stay_id bigint NOT NULL, ordered_at timestamptz NOT NULL,
    dose numeric, status text NOT NULL);
  CREATE TABLE alarm (stay_id bigint NOT NULL, raised_at timestamp NOT NULL, seen boolean NOT NULL);
  CREATE TABLE drug (code text PRIMARY KEY, price numeric NOT NULL);
  CREATE TABLE audit_log (log_id bigserial PRIMARY KEY, logged_at timestamptz NOT NULL DEFAULT now(), action text NOT NULL,
    object_table text, object_key text NOT NULL DEFAULT '', stay_id bigint);
  INSERT INTO patient SELECT n, 'M' || n FROM generate_series(1, ${STAYS / 2}) n;
  INSERT INTO icu_stay SELECT n, (n + 1) / 2, timestamptz '2026-01-01 00:00:00+00' + (n - 1) * interval '7 days',
    CASE WHEN n < 9 THEN timestamptz '2026-01-06 00:00:00+00' + (n - 1) * interval '7 days' END
    FROM generate_series(1, ${STAYS}) n;
  INSERT INTO vital_sign SELECT (n - 1) * ${HOURS} + h + 1, n, s.in_at + h * interval '1 hour', 60 + h % 40
    FROM generate_series(1, ${STAYS}) n JOIN icu_stay s ON s.stay_id = n, generate_series(0, ${HOURS - 1}) h;
  INSERT INTO clinical_document SELECT n, (n - 1) % ${STAYS} + 1, s.in_at + interval '2 hours',
    CASE WHEN n <= 18 THEN 'archived' ELSE 'draft' END, 'text of ' || n
    FROM generate_series(1, 24) n JOIN icu_stay s ON s.stay_id = (n - 1) % ${STAYS} + 1;
  INSERT INTO med_order SELECT n, (n - 1) % ${STAYS} + 1, s.in_at + interval '3 hours', n, 'running'
    FROM generate_series(1, 36) n JOIN icu_stay s ON s.stay_id = (n - 1) % ${STAYS} + 1;
  INSERT INTO alarm SELECT n % ${STAYS} + 1, timestamp '2026-02-01' + n * interval '1 minute', false
    FROM generate_series(1, 60) n;
  INSERT INTO drug SELECT 'd' || n, n FROM generate_series(1, 9) n;`

export const HOSPITAL_LAYOUT = {
  patient: { table: 'public.patient', key: 'patient_id', label: ['mrn'] },
  anchors: {
    'public.icu_stay': 'patient_id',
    'public.vital_sign': 'stay_id',
    'public.clinical_document': 'stay_id',
    'public.med_order': 'stay_id',
    'public.alarm': 'stay_id',
  },
  categories: {
    患者: ['public.patient', 'public.icu_stay'],
    生命体征: ['public.vital_sign'],
    病历文书: ['public.clinical_document'],
    医嘱: ['public.med_order'],
    设备数据: ['public.alarm'],
    审计: ['public.audit_log'],
  },
  links: ['vital_sign', 'clinical_document', 'med_order', 'alarm'].map(
    (table) => `public.${table}.stay_id -> public.icu_stay.stay_id`,
  ),
}

export const HOSPITAL_RULES: ExplainRules = {
  utcOffsetMinutes: 0,
  times: new Map([['public.vital_sign', 'recorded_at']]),
  audit: {
    table: 'public.audit_log',
    object: 'object_table',
    action: 'action',
    actions: new Map([
      ['change', ['update']],
      ['sign', ['update']],
      ['delete', ['delete']],
      ['discharge', ['update']],
      ['look', []],
    ]),
    time: 'logged_at',
    key: 'object_key',
    scope: 'stay_id',
    toleranceSeconds: 0,
    covers: new Map([['public.icu_stay', ['public.med_order']]]),
  },
  closed: [
    { table: 'public.icu_stay', key: 'stay_id', column: 'out_at', equals: null, graceHours: 24 },
    { table: 'public.clinical_document', key: 'document_id', column: 'status', equals: 'archived', graceHours: 0 },
  ],
  mayChange: new Set(['public.drug', 'public.alarm', '审计']),
  untilClosed: new Set(['医嘱']),
  series: [
    {
      table: 'public.vital_sign',
      time: 'recorded_at',
      intervalMinutes: 60,
      stays: { table: 'public.icu_stay', key: 'stay_id', start: 'in_at', end: 'out_at' },
    },
  ],
}

/** What the application does is one transaction with its entry. */
export function asApplication(action: string, table: string, stay: number | null, sql: string): string {
  return `BEGIN; ${sql}; INSERT INTO audit_log (action, object_table, stay_id)
    VALUES ('${action}', 'public.${table}', ${stay ?? 'NULL'}); COMMIT;`
}

/** Captured from its first row on. To be disposed of before the server. */
export async function openHospital(made: TestRepository, url: string): Promise<CapturedDatabase> {
  await onDatabase(url, HOSPITAL)
  const tables = ['patient', 'icu_stay', 'vital_sign', 'clinical_document', 'med_order', 'drug', 'audit_log']
  return await captureDatabase({ made, url, layout: toLayout(HOSPITAL_LAYOUT), tables })
}
