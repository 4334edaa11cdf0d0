/**
 * One stay in intensive care, while it is generated: who lies there, until when, how ill, on which machine.
 *
 * The whole stay is decided at admission (its planned end, the days on the ventilator), so that orders and documents
 * can be written in their final state at once. Only the bed changes on the way.
 */
import { VitalCourse } from './course.ts'
import { diagnoses } from './drugs.ts'
import type { Bed, Unit } from './layout.ts'
import { DAY, HOUR } from './moment.ts'
import type { Patient } from './people.ts'
import { Random } from './random.ts'
import type { HospitalShape } from './shape.ts'

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
