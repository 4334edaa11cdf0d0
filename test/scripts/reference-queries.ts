/** What the tests of the reference database and of the ward program ask a database. */
import pg from 'pg'
import type { TableName } from '../../scripts/reference/tables.ts'
import { tableNames } from '../../scripts/reference/tables.ts'

/** Session settings that shape text are fixed, so that digests of two databases compare. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, options: '-c TimeZone=UTC -c DateStyle=ISO' })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

export async function one<Row extends object>(client: pg.Client, sql: string, values: unknown[] = []): Promise<Row> {
  const { rows } = await client.query<Row>(sql, values)
  return rows[0] as Row
}

/** A digest of each table's rows, whatever their order. */
export async function digests(url: string): Promise<Record<TableName, string>> {
  const client = await connect(url)
  try {
    const found = {} as Record<TableName, string>
    for (const name of tableNames) {
      const sql = `select md5(coalesce(string_agg(t::text, E'\\n' order by t::text collate "C"), '')) as digest from ${name} t`
      found[name] = (await one<{ digest: string }>(client, sql)).digest
    }
    return found
  } finally {
    await client.end()
  }
}

/**
 * Rules of the ward that no constraint holds. Each query counts the rows that break its rule, and the whole is what a
 * believable database answers with nothing but zeros.
 */
export const wardRules: Readonly<Record<string, string>> = {
  'a score is the sum of its parts': `select count(*)::int as broken from public.score
    where total <> (select sum(value::int) from jsonb_each_text(parts))`,
  'what is signed is what is stored': `select count(*)::int as broken from public.document_version
    where sha256(convert_to(content, 'UTF8')) <> content_sha256`,
  'a document shows its current version': `select count(*)::int as broken from public.clinical_document d
    left join public.document_version v on v.document_id = d.document_id and v.version = d.current_version
    where v.content is distinct from d.content or v.content_sha256 is distinct from d.content_sha256`,
  'versions have no holes': `select count(*)::int as broken from (
    select document_id from public.document_version group by 1 having max(version) <> count(*)) x`,
  'a signed document has its author’s signature, an unsigned one has not': `select count(*)::int as broken
    from public.clinical_document d where (status in ('已签名', '已归档')) <> exists (
      select from public.document_signature s
      where s.document_id = d.document_id and s.version = d.current_version and s.level = '书写医师')`,
  'a bed holds one patient at a time': `select count(*)::int as broken from public.icu_stay a join public.icu_stay b
    on a.stay_id < b.stay_id and a.out_at is null and b.out_at is null
    and a.department_id = b.department_id and a.bed_no = b.bed_no`,
  'a patient has one stay at a time': `select count(*)::int as broken from public.icu_stay a join public.icu_stay b
    on a.stay_id < b.stay_id and a.patient_id = b.patient_id
    and tstzrange(a.in_at, a.out_at) && tstzrange(b.in_at, b.out_at)`,
  'a present patient lies where the last transfer put them': `select count(*)::int as broken
    from public.icu_stay s where out_at is null and (department_id, bed_no)::text is distinct from (
      select (to_department_id, to_bed_no)::text from public.icu_transfer t
      where t.stay_id = s.stay_id order by transfer_no desc limit 1)`,
  'a discharged patient has no running order': `select count(*)::int as broken from public.med_order o
    join public.icu_stay s using (stay_id) where s.out_at is not null and o.status in ('待执行', '执行中')`,
  'an execution belongs to the stay of its order': `select count(*)::int as broken from public.order_execution e
    join public.med_order o using (order_id) where o.stay_id <> e.stay_id`,
  'a laboratory result belongs to a stay': `select count(*)::int as broken from public.lab_result l
    where not exists (select from public.icu_stay s where s.stay_id = l.stay_id)`,
  'systolic pressure is above diastolic': `select count(*)::int as broken from public.vital_sign s
    join public.vital_sign d using (stay_id, recorded_at)
    where s.item_code = 'ABPS' and d.item_code = 'ABPD' and s.value <= d.value`,
  'no measured value leaves its plausible range': `select count(*)::int as broken from (
      select item_code, value from public.vital_sign union all
      select item_code, value::numeric from public.device_data union all
      select item_code, value_number from public.lab_result union all
      select item_code, volume_ml from public.fluid_balance union all
      select item_code, value::numeric from public.nursing_assessment) m
    left join dict.item i using (item_code)
    where value is not null and (value between plausible_low and plausible_high) is not true`,
}

export async function brokenRules(url: string): Promise<Record<string, number>> {
  const client = await connect(url)
  try {
    const broken: Record<string, number> = {}
    for (const [rule, sql] of Object.entries(wardRules)) {
      const { broken: count } = await one<{ broken: number }>(client, sql)
      if (count > 0) broken[rule] = count
    }
    return broken
  } finally {
    await client.end()
  }
}
