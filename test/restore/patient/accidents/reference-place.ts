/** The reference database, small and with many patients, and its ward. */
import pg from 'pg'
import { referenceConfiguration } from '../../../../scripts/reference/configuration.ts'
import { createReferenceDatabase } from '../../../../scripts/reference/create.ts'
import { startWard } from '../../../../scripts/reference/ward.ts'
import { REFERENCE_ACCIDENTS } from './accidents.ts'
import type { AccidentPlace, AccidentTable, AccidentWorld } from './world.ts'

const STAYS_PATIENT = '(SELECT s.patient_id FROM public.icu_stay s WHERE s.stay_id = t.stay_id)'
const DOCUMENTS_PATIENT = '(SELECT d.patient_id FROM public.clinical_document d WHERE d.document_id = t.document_id)'

const ofPatient = (name: string, ...key: string[]): AccidentTable => ({ name, key, owner: 't.patient_id' })
const ofStay = (name: string, ...key: string[]): AccidentTable => ({ name, key, owner: STAYS_PATIENT })
const ofDocument = (name: string, ...key: string[]): AccidentTable => ({ name, key, owner: DOCUMENTS_PATIENT })
const ofNobody = (name: string, ...key: string[]): AccidentTable => ({ name, key, owner: 'NULL' })

/** Parents before children. */
const WORLD: AccidentWorld = {
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
  patients: 'public.patient',
  trailed: new Set(['public.nursing_record', 'public.med_order']),
  layout: referenceConfiguration(),
  categories: referenceConfiguration().categories,
}

/** What makes of the reference database one that is small and has many patients: rows of the long tables are few. */
const THIN_OUT = [
  "DELETE FROM public.vital_sign WHERE hashtext(vital_id::text || 'a') % 40 <> 0",
  'DELETE FROM public.device_data WHERE hashtext(recorded_at::text || device_id || item_code) % 60 <> 0',
  'DELETE FROM audit.audit_log WHERE log_id % 60 <> 0',
  'DELETE FROM public.lab_result WHERE result_id % 12 <> 0',
  'DELETE FROM public.nursing_assessment WHERE hashtext(assessed_at::text || item_code) % 12 <> 0',
  'DELETE FROM public.fluid_balance WHERE fluid_id % 10 <> 0',
  'DELETE FROM public.device_alarm WHERE hashtext(raised_at::text || code) % 6 <> 0',
  'DELETE FROM public.order_execution WHERE execution_id % 5 <> 0',
]

const STAY = '(SELECT stay_id FROM public.icu_stay WHERE patient_id = $1 ORDER BY stay_id LIMIT 1)'
const DEEDS = [
  `UPDATE public.nursing_record SET content = content || '.' WHERE record_id = (SELECT min(record_id) + $2 FROM public.nursing_record WHERE stay_id = ${STAY})`,
  `UPDATE public.patient SET phone = $2::text WHERE patient_id = $1`,
  `INSERT INTO public.lab_result (stay_id, sample_no, item_code, value_text, sampled_at, reported_at)
     SELECT ${STAY}, 'T' || $2::text, item_code, '1', now(), now() FROM dict.item LIMIT 1`,
  `DELETE FROM public.lab_result WHERE result_id = (SELECT min(result_id) + $2 FROM public.lab_result WHERE stay_id = ${STAY})`,
  `UPDATE public.fluid_balance SET volume_ml = volume_ml + 1 WHERE fluid_id = (SELECT max(fluid_id) - $2 FROM public.fluid_balance WHERE stay_id = ${STAY})`,
]

const TURNS = 40

export const REFERENCE_PLACE: AccidentPlace = {
  world: WORLD,
  make: async (_, url, { rows, seed }) => {
    await createReferenceDatabase({ url, rows, seed })
    const client = new pg.Client(url)
    await client.connect()
    for (const statement of THIN_OUT) await client.query(statement)
    await client.end()
  },
  finish: ['CREATE TABLE oracle.labels AS SELECT patient_id, mrn FROM public.patient'],
  play: async ({ url }, seed) => {
    const rate = { actionsPerSecond: Number.POSITIVE_INFINITY, connections: 2, deletionShare: 0.1 }
    const ward = await startWard({ url, seed, actionsMax: TURNS, ...rate })
    await ward.finished
  },
  accidents: REFERENCE_ACCIDENTS,
  deeds: DEEDS,
  hasWard: true,
}
