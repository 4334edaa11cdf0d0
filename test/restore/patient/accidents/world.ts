/** What the oracle has to know of a database to judge a restore of one patient by plain SQL: written by hand, not read by chartkeep. */
import { referenceConfiguration } from '../../../../scripts/reference/configuration.ts'

export interface AccidentTable {
  /** As in SQL; of a partitioned table the whole. */
  readonly name: string
  /** Of the primary key; none for a table without one. */
  readonly key: readonly string[]
  /** Over `t`: the patient's key, or NULL for rows that are nobody's. */
  readonly owner: string
  /** Columns that triggers own: no part of what is compared. */
  readonly triggered?: readonly string[]
}

export interface AccidentWorld {
  readonly tables: readonly AccidentTable[]
  readonly layout: object
  readonly categories: Readonly<Record<string, readonly string[]>>
}

const STAYS_PATIENT = '(SELECT s.patient_id FROM public.icu_stay s WHERE s.stay_id = t.stay_id)'
const DOCUMENTS_PATIENT = '(SELECT d.patient_id FROM public.clinical_document d WHERE d.document_id = t.document_id)'

const ofPatient = (name: string, ...key: string[]): AccidentTable => ({ name, key, owner: 't.patient_id' })
const ofStay = (name: string, ...key: string[]): AccidentTable => ({ name, key, owner: STAYS_PATIENT })
const ofDocument = (name: string, ...key: string[]): AccidentTable => ({ name, key, owner: DOCUMENTS_PATIENT })
const ofNobody = (name: string, ...key: string[]): AccidentTable => ({ name, key, owner: 'NULL' })

/** The reference database. Parents before children. */
export const REFERENCE_WORLD: AccidentWorld = {
  tables: [
    ofNobody('public.department', 'department_id'),
    ofNobody('public.staff', 'staff_id'),
    ofNobody('public.bed', 'department_id', 'bed_no'),
    ofNobody('public.device', 'device_id'),
    ofNobody('dict.item', 'item_code'),
    ofNobody('dict.drug', 'drug_code'),
    ofNobody('dict.diagnosis', 'diagnosis_code'),
    ofNobody('dict."给药频次"', '频次代码'),
    ofNobody('public.quality_indicator', 'department_id', 'indicator_code', 'month'),
    ofPatient('public.patient', 'patient_id'),
    ofPatient('public.admission', 'admission_id'),
    ofPatient('public.icu_stay', 'stay_id'),
    ofStay('public.icu_transfer', 'stay_id', 'transfer_no'),
    { ...ofPatient('public.clinical_document', 'document_id'), triggered: ['updated_at'] },
    ofDocument('public.document_version', 'document_id', 'version'),
    ofDocument('public.document_signature', 'signature_id'),
    ofStay('public.vital_sign', 'vital_id', 'recorded_at'),
    ofStay('public.device_data', 'stay_id', 'device_id', 'item_code', 'recorded_at'),
    ofStay('public.device_alarm'),
    ofStay('public.med_order', 'order_id'),
    ofStay('public.order_execution', 'execution_id'),
    ofStay('public.nursing_record', 'record_id'),
    ofStay('public.nursing_assessment', 'stay_id', 'item_code', 'assessed_at'),
    ofStay('public.fluid_balance', 'fluid_id'),
    ofStay('public.lab_result', 'result_id'),
    ofStay('public.score', 'stay_id', 'kind', 'scored_at'),
    ofStay('audit.audit_log', 'log_id'),
  ],
  layout: referenceConfiguration(),
  categories: referenceConfiguration().categories,
}

/** What makes of the reference database one that is small and has many patients: rows of the long tables are few. */
export const THIN_OUT = [
  "DELETE FROM public.vital_sign WHERE hashtext(vital_id::text || 'a') % 40 <> 0",
  'DELETE FROM public.device_data WHERE hashtext(recorded_at::text || device_id || item_code) % 60 <> 0',
  'DELETE FROM audit.audit_log WHERE log_id % 60 <> 0',
  'DELETE FROM public.lab_result WHERE result_id % 12 <> 0',
  'DELETE FROM public.nursing_assessment WHERE hashtext(assessed_at::text || item_code) % 12 <> 0',
  'DELETE FROM public.fluid_balance WHERE fluid_id % 10 <> 0',
  'DELETE FROM public.device_alarm WHERE hashtext(raised_at::text || code) % 6 <> 0',
  'DELETE FROM public.order_execution WHERE execution_id % 5 <> 0',
]
