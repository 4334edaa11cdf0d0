/** What is charted all day: monitors, ventilators, alarms, nursing, fluids, laboratory, scores. Insertions only. */
import { assessmentItems, fluidItems, type Item, valueText, ventilatorItems, vitalItems } from './items.ts'
import { labPanels, labResult, referenceText } from './labs.ts'
import { monitorOf, ventilatorOf } from './layout.ts'
import { hourOfDay, localText, MINUTE } from './moment.ts'
import { type Bedside, nursingText } from './phrases.ts'
import { makeScore, type ScoreKind, scoreKinds } from './score-rows.ts'
import { audit, type CurrentStay, forSomeStay, insert, nowLocal, nowZoned, type StayAction } from './ward-turn.ts'

const chartVitals: StayAction = async (turn, { stayId, course, nurseId }) => {
  course.age()
  course.step(hourOfDay(turn.now))
  const when = nowZoned(turn)
  const rows = vitalItems.map((item, index) => [stayId, item.code, when, course.text(index)])
  await insert(turn, { table: 'public.vital_sign', columns: 'stay_id, item_code, recorded_at, value', rows })
  await audit(turn, { action: '新增', table: 'public.vital_sign', staffId: nurseId, stayId })
  return true
}

const chartDevices: StayAction = async (turn, { stayId, departmentId, bedNo }) => {
  const device = ventilatorOf({ departmentId, bedNo })
  const when = nowLocal(turn)
  const rows = ventilatorItems.map((item) => {
    return [stayId, device, item.code, when, between(item, 0.35 + 0.1 * turn.random.normal()), 'SIMV+PS']
  })
  const columns = 'stay_id, device_id, item_code, recorded_at, value, mode'
  await insert(turn, { table: 'public.device_data', columns, rows, keepsExisting: true })
  return true
}

/** Now and then the gateway sends an alarm twice. */
const raiseAlarm: StayAction = async (turn, { stayId, departmentId, bedNo }) => {
  const row = [
    stayId,
    monitorOf({ departmentId, bedNo }),
    nowLocal(turn),
    '高',
    'SPO2_LOW',
    '血氧饱和度低于下限',
    false,
  ]
  const rows = turn.random.chance(0.2) ? [row, row] : [row]
  const columns = 'stay_id, device_id, raised_at, priority, code, message, acknowledged'
  await insert(turn, { table: 'public.device_alarm', columns, rows })
  return true
}

const writeNursing: StayAction = async (turn, stay) => {
  const { stayId, nurseId } = stay
  const content = nursingText(bedsideOf(stay), turn.random)
  const columns = 'stay_id, recorded_at, shift, content, nurse_id, signed'
  const rows = [[stayId, nowZoned(turn), '白班', content, nurseId, turn.random.chance(0.8)]]
  await insert(turn, { table: 'public.nursing_record', columns, rows })
  await audit(turn, { action: '新增', table: 'public.nursing_record', staffId: nurseId, stayId })
  return true
}

const assess: StayAction = async (turn, { stayId, nurseId }) => {
  const when = nowZoned(turn)
  const item = turn.random.pick(assessmentItems)
  const columns = 'stay_id, item_code, assessed_at, value, nurse_id'
  const rows = [[stayId, item.code, when, between(item, turn.random.unit()), nurseId]]
  await insert(turn, { table: 'public.nursing_assessment', columns, rows, keepsExisting: true })
  await audit(turn, { action: '新增', table: 'public.nursing_assessment', staffId: nurseId, stayId })
  return true
}

const recordFluid: StayAction = async (turn, { stayId, nurseId }) => {
  const item = turn.random.pick(fluidItems)
  const volume = valueText(item, 80 + 30 * turn.random.normal())
  const columns = 'stay_id, recorded_at, direction, item_code, volume_ml, nurse_id'
  const rows = [[stayId, nowZoned(turn), item.direction, item.code, volume, nurseId]]
  await insert(turn, { table: 'public.fluid_balance', columns, rows })
  await audit(turn, { action: '新增', table: 'public.fluid_balance', staffId: nurseId, stayId })
  return true
}

/** One sample of the laboratory's interface: it knows nothing of staff, so nobody is named. */
const receiveLabs: StayAction = async (turn, { stayId, course }) => {
  const sampleNo = `W${String(turn.now).padStart(10, '0')}${turn.random.hex(2)}`
  const reported = nowLocal(turn)
  const sampled = localText(turn.now - turn.random.within(10, 60) * MINUTE)
  const rows = turn.random.pick(labPanels).map((lab) => {
    const { text, number, flag } = labResult(lab, course.severity, turn.random.normal())
    return [stayId, sampleNo, lab.code, text, number, lab.unit || null, referenceText(lab), flag, sampled, reported]
  })
  const columns =
    'stay_id, sample_no, item_code, value_text, value_number, unit, reference_range, flag, sampled_at, reported_at'
  await insert(turn, { table: 'public.lab_result', columns, rows })
  return true
}

const score: StayAction = async (turn, { stayId, course, doctorId }) => {
  const kind = turn.random.pick(Object.keys(scoreKinds) as ScoreKind[])
  const { total, json } = makeScore(turn.random, kind, course.severity)
  const columns = 'stay_id, kind, scored_at, total, parts, scored_by'
  const rows = [[stayId, kind, nowZoned(turn), total, json, doctorId]]
  await insert(turn, { table: 'public.score', columns, rows, keepsExisting: true })
  await audit(turn, { action: '新增', table: 'public.score', staffId: doctorId, stayId })
  return true
}

/** `share` of the way through the item's plausible range. */
function between(item: Item, share: number): string {
  return valueText(item, item.low + (item.high - item.low) * share)
}

export function bedsideOf(stay: CurrentStay): Bedside {
  return { course: stay.course, isVentilated: true, ventilator: { mode: 'SIMV+PS', fio2: 45, peep: 6 } }
}

export const chartingActions = {
  'chart-vitals': forSomeStay(chartVitals),
  'chart-devices': forSomeStay(chartDevices),
  'raise-alarm': forSomeStay(raiseAlarm),
  'write-nursing-record': forSomeStay(writeNursing),
  'assess-patient': forSomeStay(assess),
  'record-fluid': forSomeStay(recordFluid),
  'receive-labs': forSomeStay(receiveLabs),
  'score-patient': forSomeStay(score),
} as const
