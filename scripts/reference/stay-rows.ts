/**
 * The lines about a stay itself: the way in, the moves, and, when its charting ends, the admission, the stay and the way
 * out. A stay that is still going on has no end, no outcome and no discharge.
 */
import type { Bed } from './layout.ts'
import { DAY, dateText, MINUTE, zonedText } from './moment.ts'
import { nurseOf, type StayState } from './stay.ts'
import { copyLine, NULL, type RowSink } from './tables.ts'

const comorbidities = ['', ';高血压病3级(极高危)', ';2型糖尿病', ';冠心病 心功能Ⅲ级', ';慢性肾功能不全']
const isolations = ['{接触隔离}', '{飞沫隔离}', '{接触隔离,"CRE 定植"}']

interface Move {
  readonly kind: '转入' | '换床' | '转出'
  readonly from: readonly [departmentId: string, bedNo: number | string]
  readonly to: readonly [departmentId: string, bedNo: number | string]
  readonly at: number
}

function writeMove(sink: RowSink, stay: StayState, move: Move): void {
  stay.transfers++
  const { kind, from, to, at } = move
  const nurse = nurseOf(stay, at)
  sink.write('public.icu_transfer', copyLine(stay.stayId, stay.transfers, kind, ...from, ...to, zonedText(at), nurse))
}

export function writeArrival(sink: RowSink, stay: StayState): void {
  const from = [stay.random.pick(['ED', 'OR', 'GW']), NULL] as const
  writeMove(sink, stay, { kind: '转入', from, to: [stay.bed.departmentId, stay.bed.bedNo], at: stay.inAt })
}

export function moveToBed(sink: RowSink, stay: StayState, bed: Bed, second: number): void {
  const from = [stay.bed.departmentId, stay.bed.bedNo] as const
  writeMove(sink, stay, { kind: '换床', from, to: [bed.departmentId, bed.bedNo], at: second })
  stay.bed = bed
}

export function writeStay(sink: RowSink, stay: StayState): void {
  writeAdmission(sink, stay)
  writeIcuStay(sink, stay)
  if (stay.isCurrent) return
  const to = [stay.outcome === '转出' ? 'GW' : NULL, NULL] as const
  writeMove(sink, stay, { kind: '转出', from: [stay.bed.departmentId, stay.bed.bedNo], to, at: stay.outAt })
}

function writeAdmission(sink: RowSink, stay: StayState): void {
  const { random, diagnosis, outcome } = stay
  const admittedAt = stay.inAt - random.within(0, 3) * DAY - random.within(10, 300) * MINUTE
  // Whoever leaves the hospital from here leaves at once; the others stay some days in a ward.
  const leftAt = outcome === '转出' ? stay.outAt + random.within(1, 9) * DAY : stay.outAt
  const hasLeft = !stay.isCurrent && leftAt <= stay.shape.end
  sink.write(
    'public.admission',
    copyLine(
      stay.admissionId,
      stay.patient.patientId,
      zonedText(admittedAt),
      hasLeft ? zonedText(leftAt) : NULL,
      random.pick(['急诊', '急诊', '门诊', '外院转入']),
      diagnosis.code,
      `${diagnosis.name}${random.pick(comorbidities)}`,
      random.chance(0.85) ? `[${dateText(admittedAt).slice(0, 4)}-01-01,)` : NULL,
      hasLeft ? (outcome === '转出' ? '好转出院' : outcome) : NULL,
    ),
  )
}

function writeIcuStay(sink: RowSink, stay: StayState): void {
  const { random, patient, bed, isCurrent } = stay
  sink.write(
    'public.icu_stay',
    copyLine(
      stay.stayId,
      patient.patientId,
      stay.admissionId,
      bed.departmentId,
      bed.bedNo,
      zonedText(stay.inAt),
      isCurrent ? NULL : zonedText(stay.outAt),
      patient.heightCm.toFixed(1),
      patient.weightKg.toFixed(1),
      stay.attendingId,
      '特级护理',
      random.chance(0.12) ? random.pick(isolations) : NULL,
      isCurrent ? NULL : stay.outcome,
    ),
  )
}
