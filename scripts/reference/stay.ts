/**
 * One stay in intensive care, while it is generated: who lies there, until when, how ill, on which machine; and the
 * lines that are written about the stay itself.
 *
 * The whole stay is decided at admission (its planned end, the days on the ventilator), so that orders and documents
 * can be written in their final state at once. Only the bed changes on the way.
 */
import { VitalCourse } from './course.ts'
import { diagnoses } from './drugs.ts'
import type { Bed, Unit } from './layout.ts'
import { DAY, dateText, HOUR, zonedText } from './moment.ts'
import type { Patient } from './people.ts'
import { Random } from './random.ts'
import type { HospitalShape } from './shape.ts'
import { copyLine, NULL, type RowSink } from './tables.ts'

export interface Ventilator {
  mode: string
  fio2: number
  peep: number
  tidalVolume: number
  frequency: number
}

export interface StayState {
  readonly shape: HospitalShape
  readonly stayId: number
  readonly admissionId: number
  readonly patient: Patient
  readonly unit: Unit
  bed: Bed
  transfers: number
  readonly inAt: number
  /** The planned end; it may lie beyond the data. */
  readonly outAt: number
  /** The end of what is charted: the end of the stay or of the data, whichever is first. */
  readonly endAt: number
  readonly isCurrent: boolean
  readonly diagnosis: (typeof diagnoses)[number]
  readonly outcome: string
  readonly attendingId: number
  readonly ventilatedUntil: number
  isVentilated: boolean
  /** Away from the bed (CT, theatre) until then: nothing is charted. */
  awayUntil: number
  readonly ventilator: Ventilator
  readonly course: VitalCourse
  /** For what belongs to no single table. */
  readonly random: Random
  /** A stream for each table's generator. */
  readonly streams: Readonly<Record<StreamName, Random>>
  /** How far each laboratory item stands from its middle, so that results follow each other. */
  readonly labDrift: Float64Array
  readonly pumpTotals: Float64Array
}

const streamNames = ['device', 'alarm', 'order', 'nursing', 'fluid', 'lab', 'score', 'document', 'audit'] as const
export type StreamName = (typeof streamNames)[number]

const STAY_DAYS_MEAN = 6.5
const outcomes = ['转出', '转出', '转出', '转出', '转出', '好转出院', '自动出院', '死亡', '转院'] as const
const LAB_ITEMS_MAX = 128

export interface Arrival {
  readonly seed: number
  readonly shape: HospitalShape
  readonly stayId: number
  readonly admissionId: number
  readonly patient: Patient
  readonly unit: Unit
  readonly bed: Bed
  readonly inAt: number
}

export function makeStay(arrival: Arrival): StayState {
  const { seed, shape, stayId, inAt, patient, unit } = arrival
  const random = new Random(seed, 'stay', stayId)
  const diagnosis = random.pick(diagnoses)
  const outAt = inAt + Math.round(stayDays(random) * DAY)
  const memory = shape.profile.vitalEveryMinutes <= 5 ? 0.93 : 0.55
  const severity = diagnosis.severity * (0.7 + 0.6 * random.unit())
  // Three of four are ventilated for most of their stay: 60 % of all bed-days.
  const ventilatedShare = stayId % 4 === 3 ? 0 : 0.7 + 0.2 * random.unit()
  const ventilatedUntil = inAt + Math.round((outAt - inAt) * ventilatedShare)
  return {
    ...arrival,
    transfers: 0,
    outAt,
    endAt: Math.min(outAt, shape.end),
    isCurrent: outAt > shape.end,
    diagnosis,
    outcome: random.pick(outcomes),
    attendingId: random.pick(unit.doctors).staffId,
    ventilatedUntil,
    isVentilated: ventilatedUntil > inAt,
    awayUntil: 0,
    ventilator: {
      mode: random.pick(['SIMV+PS', 'A/C', 'PCV']),
      fio2: 60,
      peep: 8,
      tidalVolume: Math.round(((patient.heightCm - 100) * 7) / 10) * 10,
      frequency: 14 + random.below(5),
    },
    course: new VitalCourse(new Random(seed, 'course', stayId), severity, memory),
    random,
    streams: Object.fromEntries(streamNames.map((name) => [name, new Random(seed, name, stayId)])) as Record<
      StreamName,
      Random
    >,
    labDrift: Float64Array.from({ length: LAB_ITEMS_MAX }, () => random.normal()),
    pumpTotals: new Float64Array(5),
  }
}

/** Skewed as real stays are: many of two to five days, some of weeks. */
function stayDays(random: Random): number {
  const days = STAY_DAYS_MEAN * Math.exp(0.75 * random.normal() - 0.28)
  return Math.min(45, Math.max(0.6, days))
}

/** Who is on duty at this bed: the same nurse for a whole shift of eight hours. */
export function nurseOf(stay: StayState, second: number, extra = 0): number {
  const shift = Math.floor(second / (8 * HOUR))
  const { nurses } = stay.unit
  return (nurses[(shift * 7 + stay.bed.bedNo + extra) % nurses.length] as Unit['nurses'][number]).staffId
}

export function doctorOf(stay: StayState, second: number): number {
  const day = Math.floor(second / DAY)
  const { doctors } = stay.unit
  return (doctors[(day * 3 + stay.bed.bedNo) % doctors.length] as Unit['doctors'][number]).staffId
}

export function writeArrival(sink: RowSink, stay: StayState): void {
  stay.transfers++
  sink.write(
    'public.icu_transfer',
    copyLine(
      stay.stayId,
      stay.transfers,
      '转入',
      stay.random.pick(['ED', 'OR', 'GW']),
      NULL,
      stay.bed.departmentId,
      stay.bed.bedNo,
      zonedText(stay.inAt),
      nurseOf(stay, stay.inAt),
    ),
  )
}

export function moveToBed(sink: RowSink, stay: StayState, bed: Bed, second: number): void {
  const from = stay.bed
  stay.transfers++
  sink.write(
    'public.icu_transfer',
    copyLine(
      stay.stayId,
      stay.transfers,
      '换床',
      from.departmentId,
      from.bedNo,
      bed.departmentId,
      bed.bedNo,
      zonedText(second),
      nurseOf(stay, second),
    ),
  )
  stay.bed = bed
}

/** Written when the stay's charting ends: the admission, the stay and, if the patient left, the transfer out. */
export function writeStay(sink: RowSink, stay: StayState): void {
  const { stayId, admissionId, patient, diagnosis, random, bed, isCurrent } = stay
  const admittedAt = stay.inAt - random.within(0, 3) * DAY - random.within(10, 300) * 60
  const outcome = isCurrent ? NULL : stay.outcome
  // Whoever leaves the hospital from here leaves at once; the others stay some days in a ward.
  const leftAt = stay.outcome === '转出' ? stay.outAt + random.within(1, 9) * DAY : stay.outAt
  const dischargedAt = isCurrent || leftAt > stay.shape.end ? NULL : zonedText(leftAt)
  const insurance = random.chance(0.85) ? `[${dateText(admittedAt).slice(0, 4)}-01-01,)` : NULL
  sink.write(
    'public.admission',
    copyLine(
      admissionId,
      patient.patientId,
      zonedText(admittedAt),
      dischargedAt,
      random.pick(['急诊', '急诊', '门诊', '外院转入']),
      diagnosis.code,
      `${diagnosis.name}${random.pick(['', ';高血压病3级(极高危)', ';2型糖尿病', ';冠心病 心功能Ⅲ级', ';慢性肾功能不全'])}`,
      insurance,
      dischargedAt === NULL ? NULL : stay.outcome === '转出' ? '好转出院' : stay.outcome,
    ),
  )
  const isolation = random.chance(0.12) ? random.pick(['{接触隔离}', '{飞沫隔离}', '{接触隔离,"CRE 定植"}']) : NULL
  sink.write(
    'public.icu_stay',
    copyLine(
      stayId,
      patient.patientId,
      admissionId,
      bed.departmentId,
      bed.bedNo,
      zonedText(stay.inAt),
      isCurrent ? NULL : zonedText(stay.outAt),
      patient.heightCm.toFixed(1),
      patient.weightKg.toFixed(1),
      stay.attendingId,
      '特级护理',
      isolation,
      outcome,
    ),
  )
  if (!isCurrent) {
    stay.transfers++
    const to = stay.outcome === '转出' ? 'GW' : NULL
    sink.write(
      'public.icu_transfer',
      copyLine(
        stayId,
        stay.transfers,
        '转出',
        bed.departmentId,
        bed.bedNo,
        to,
        NULL,
        zonedText(stay.outAt),
        nurseOf(stay, stay.outAt),
      ),
    )
  }
}
