/**
 * The tables and the columns that are loaded, in the order of a line's fields. Generated columns are not among them.
 * A generator writes whole lines in COPY text form; this list is what they are checked against by the server.
 */
export const tableColumns = {
  'dict.item':
    'item_code, name, category, unit, decimals, reference_low, reference_high, plausible_low, plausible_high, active',
  'dict.drug': 'drug_code, name, specification, unit, price, atc, high_alert',
  'dict.diagnosis': 'diagnosis_code, name, pinyin',
  'dict."给药频次"': '"频次代码", "名称", "每日次数", "执行时点", "备注"',
  'public.department': 'department_id, name, parent_department_id, phone, beds_planned, opened_on, "备注"',
  'public.staff': 'staff_id, staff_no, name, role, title, department_id, qualifications, hired_on, active',
  'public.bed': 'department_id, bed_no, kind, monitor_ip, monitor_mac, in_use, "备注"',
  'public.device': 'device_id, kind, model, serial_no, department_id, bed_no, gateway, calibration, settings, price',
  'public.patient':
    'patient_id, mrn, name, sex, birth_date, id_card_sha256, blood_group, allergies, phone, address, merged_into, registered_at',
  'public.admission':
    'admission_id, patient_id, admitted_at, discharged_at, source, diagnosis_code, diagnosis_text, insurance, outcome',
  'public.icu_stay':
    'stay_id, patient_id, admission_id, department_id, bed_no, in_at, out_at, height_cm, weight_kg, attending_id, nursing_level, isolation, outcome',
  'public.icu_transfer':
    'stay_id, transfer_no, kind, from_department_id, from_bed_no, to_department_id, to_bed_no, moved_at, moved_by',
  'public.clinical_document':
    'document_id, stay_id, patient_id, kind, title, status, current_version, author_id, created_at, updated_at, content_sha256, content',
  'public.document_version': 'document_id, version, saved_at, saved_by, reason, content_sha256, content',
  'public.document_signature': 'signature_id, document_id, version, signer_id, level, signed_at, signature',
  'public.vital_sign': 'vital_id, stay_id, item_code, recorded_at, value, source, validated_by',
  'public.device_data': 'stay_id, device_id, item_code, recorded_at, value, mode',
  'public.device_alarm': 'stay_id, device_id, raised_at, priority, code, message, acknowledged',
  'public.med_order':
    'order_id, stay_id, kind, is_long_term, drug_code, content, dose, dose_unit, route, frequency, ordered_by, ordered_at, stop_at, status, group_order_id',
  'public.order_execution':
    'execution_id, order_id, stay_id, planned_at, started_at, finished_at, actual_dose, nurse_id, checker_id, remark',
  'public.nursing_record': 'record_id, stay_id, recorded_at, shift, content, nurse_id, reviewed_by, signed',
  'public.nursing_assessment': 'stay_id, item_code, assessed_at, value, nurse_id, remark',
  'public.fluid_balance': 'fluid_id, stay_id, recorded_at, direction, item_code, volume_ml, nurse_id',
  'public.lab_result':
    'result_id, stay_id, sample_no, item_code, value_text, value_number, unit, reference_range, flag, sampled_at, reported_at',
  'public.score': 'stay_id, kind, scored_at, total, parts, scored_by',
  'public.quality_indicator': 'department_id, indicator_code, month, definition, numerator, denominator, submitted_at',
  'audit.audit_log': 'log_id, logged_at, staff_id, action, object_table, object_key, stay_id, client, detail',
} as const satisfies Readonly<Record<string, string>>

export type TableName = keyof typeof tableColumns

export const tableNames = Object.keys(tableColumns) as TableName[]

/** Takes the lines of all tables. `line` is whole and ends with a newline. */
export interface RowSink {
  write(table: TableName, line: string): void
}

/** A value that may hold anything, as a COPY field. */
export function copyText(value: string): string {
  return value.replace(/[\\\t\n\r]/g, (char) => escapes[char] as string)
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

export const NULL = '\\N'

/** One row: fields that are already in COPY form. */
export function copyLine(...fields: readonly (string | number)[]): string {
  return `${fields.join('\t')}\n`
}
