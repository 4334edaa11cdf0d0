/** What is put right afterwards, what is kept in the office, and what is deleted. */
import { audit, forSomeStay, nowZoned, type StayAction, type WardAction, type WardTurn } from './ward-turn.ts'

const correctVital: StayAction = async (turn, { stayId, nurseId }) => {
  const updated = await turn.client.query(
    `update public.vital_sign v set value = round(v.value * $3::numeric, 1), source = '手工', validated_by = $4
     from (select vital_id, recorded_at from public.vital_sign where stay_id = $1 and item_code = 'HR'
           order by recorded_at desc limit 1 offset $2) found
     where v.vital_id = found.vital_id and v.recorded_at = found.recorded_at and v.value between 40 and 150`,
    [stayId, turn.random.below(20), turn.random.chance(0.5) ? 1.05 : 0.95, nurseId],
  )
  return await audited(turn, updated.rowCount, 'public.vital_sign', nurseId, stayId)
}

const correctLab: StayAction = async (turn, { stayId, doctorId }) => {
  const updated = await turn.client.query(
    `update public.lab_result set value_text = round(value_number * 0.98, 2)::text, value_number = round(value_number * 0.98, 2)
     where result_id = (select result_id from public.lab_result
       where stay_id = $1 and item_code = 'BG_GLU' order by sampled_at desc, result_id desc limit 1 offset $2)
     and value_number > 2`,
    [stayId, turn.random.below(4)],
  )
  return await audited(turn, updated.rowCount, 'public.lab_result', doctorId, stayId)
}

const correctNursing: StayAction = async (turn, { stayId, nurseId }) => {
  const updated = await turn.client.query(
    `update public.nursing_record set content = content || '(补充记录:已通知医生。)', reviewed_by = $3, signed = true
     where record_id = (select record_id from public.nursing_record where stay_id = $1
       order by recorded_at desc, record_id desc limit 1 offset $2)`,
    [stayId, turn.random.below(6), nurseId],
  )
  return await audited(turn, updated.rowCount, 'public.nursing_record', nurseId, stayId)
}

/**
 * The newest alarms are seen. `device_alarm` has no key: a backup tool that publishes its updates all the same would
 * make exactly this statement fail (F34).
 */
const acknowledgeAlarms: StayAction = async (turn, { stayId }) => {
  const updated = await turn.client.query(
    `update public.device_alarm set acknowledged = true
     where stay_id = $1 and not acknowledged and raised_at = (
       select max(raised_at) from public.device_alarm where stay_id = $1 and not acknowledged)`,
    [stayId],
  )
  return updated.rowCount !== 0
}

/** The monthly figures are computed again, while nothing but shares may rise to their denominators. */
const recomputeQuality: WardAction = async (turn) => {
  const updated = await turn.client.query(
    `update public.quality_indicator set numerator = least(denominator, numerator + 1), submitted_at = $2
     where (department_id, indicator_code, month) = (
       select department_id, indicator_code, month from public.quality_indicator where numerator <= denominator
       order by month desc, department_id, indicator_code limit 1 offset $1)`,
    [turn.random.below(15), nowZoned(turn)],
  )
  return updated.rowCount !== 0
}

const updateDictionary: WardAction = async (turn) => {
  const updated = await turn.client.query(
    `update dict.drug set price = round(price * $2::numeric, 2)
     where drug_code = (select drug_code from dict.drug order by drug_code limit 1 offset $1)`,
    [turn.random.below(40), turn.random.chance(0.5) ? 1.02 : 0.98],
  )
  return updated.rowCount !== 0
}

export const correctionActions = {
  'correct-vital': forSomeStay(correctVital),
  'correct-lab': forSomeStay(correctLab),
  'correct-nursing-record': forSomeStay(correctNursing),
  'acknowledge-alarms': forSomeStay(acknowledgeAlarms),
  'recompute-quality': recomputeQuality,
  'update-dictionary': updateDictionary,
} as const

/** All values of one reading: the sensor lay on the wrong patient. */
const deleteVitals: StayAction = async (turn, { stayId, nurseId }) => {
  const deleted = await turn.client.query(
    `delete from public.vital_sign where stay_id = $1 and recorded_at = (
       select recorded_at from public.vital_sign where stay_id = $1 and item_code = 'HR'
       order by recorded_at desc limit 1 offset $2)`,
    [stayId, turn.random.below(20)],
  )
  return await audited(turn, deleted.rowCount, 'public.vital_sign', nurseId, stayId, '删除')
}

const deleteNursing: StayAction = async (turn, { stayId, nurseId }) => {
  const deleted = await turn.client.query(
    `delete from public.nursing_record where record_id = (select record_id from public.nursing_record
       where stay_id = $1 order by recorded_at desc, record_id desc limit 1 offset $2)`,
    [stayId, turn.random.below(6)],
  )
  return await audited(turn, deleted.rowCount, 'public.nursing_record', nurseId, stayId, '删除')
}

/** The whole document; its versions go with it. */
const deleteDocument: StayAction = async (turn, { stayId, doctorId }) => {
  const found = await turn.client.query<{ document_id: string }>(
    `select document_id from public.clinical_document where stay_id = $1 and status <> '已归档'
     order by created_at desc, document_id limit 1 offset $2 for update skip locked`,
    [stayId, turn.random.below(3)],
  )
  const documentId = found.rows[0]?.document_id
  if (documentId === undefined) return false
  await turn.client.query('delete from public.document_signature where document_id = $1', [documentId])
  const deleted = await turn.client.query('delete from public.clinical_document where document_id = $1', [documentId])
  return await audited(turn, deleted.rowCount, 'public.clinical_document', doctorId, stayId, '删除')
}

const deleteOrder: StayAction = async (turn, { stayId, doctorId }) => {
  const found = await turn.client.query<{ order_id: string }>(
    `select order_id from public.med_order where stay_id = $1 order by order_id desc limit 1 offset $2
     for update skip locked`,
    [stayId, turn.random.below(8)],
  )
  const orderId = found.rows[0]?.order_id
  if (orderId === undefined) return false
  await turn.client.query('delete from public.order_execution where order_id = $1', [orderId])
  const deleted = await turn.client.query('delete from public.med_order where order_id = $1', [orderId])
  return await audited(turn, deleted.rowCount, 'public.med_order', doctorId, stayId, '删除')
}

/** All results of one sample: it was another patient's. */
const deleteLabs: StayAction = async (turn, { stayId, doctorId }) => {
  const deleted = await turn.client.query(
    `delete from public.lab_result where stay_id = $1 and sample_no = (select sample_no from public.lab_result
       where stay_id = $1 and item_code = 'BG_GLU' order by sampled_at desc, result_id desc limit 1 offset $2)`,
    [stayId, turn.random.below(4)],
  )
  return await audited(turn, deleted.rowCount, 'public.lab_result', doctorId, stayId, '删除')
}

const deleteFluid: StayAction = async (turn, { stayId, nurseId }) => {
  const deleted = await turn.client.query(
    `delete from public.fluid_balance where fluid_id = (select fluid_id from public.fluid_balance
       where stay_id = $1 order by recorded_at desc, fluid_id desc limit 1 offset $2)`,
    [stayId, turn.random.below(10)],
  )
  return await audited(turn, deleted.rowCount, 'public.fluid_balance', nurseId, stayId, '删除')
}

export const deletionActions = {
  'delete-vitals': forSomeStay(deleteVitals),
  'delete-nursing-record': forSomeStay(deleteNursing),
  'delete-document': forSomeStay(deleteDocument),
  'delete-order': forSomeStay(deleteOrder),
  'delete-labs': forSomeStay(deleteLabs),
  'delete-fluid': forSomeStay(deleteFluid),
} as const

async function audited(
  turn: WardTurn,
  rows: number | null,
  table: string,
  staffId: number,
  stayId: string,
  action: '修改' | '删除' = '修改',
): Promise<boolean> {
  if (!rows) return false
  await audit(turn, { action, table, staffId, stayId })
  return true
}
