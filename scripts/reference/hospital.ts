/**
 * The hospital's time, hour by hour over all beds: who comes, who moves, who leaves, and what is charted meanwhile.
 *
 * Rows are written in the order of time, not patient by patient, because that is how they lie in a real database: the
 * rows of one stay are spread over the table, between those of all other beds. Memory holds the present patients only.
 */
import { type AuditCounter, writeAudit } from './audit-rows.ts'
import { type VitalCounter, writeAlarms, writeDeviceData, writeVitals } from './device-rows.ts'
import { writeDocuments } from './document-rows.ts'
import { type LabCounter, writeLabs } from './lab-rows.ts'
import { type Bed, makeLayout, type Unit } from './layout.ts'
import { writeLayout } from './layout-rows.ts'
import { HOUR, MINUTE } from './moment.ts'
import { type NursingCounter, writeNursing } from './nursing-rows.ts'
import { type OrderCounter, writeOrders } from './order-rows.ts'
import { makePatient, mrnOf, type Patient, patientLine } from './people.ts'
import { writeQuality } from './quality-rows.ts'
import { Random } from './random.ts'
import { writeScores } from './score-rows.ts'
import { type HospitalShape, OCCUPANCY } from './shape.ts'
import { makeStay, type StayState } from './stay.ts'
import { moveToBed, writeArrival, writeStay } from './stay-rows.ts'
import type { RowSink } from './tables.ts'

/** Somewhere a patient can lie: the unit is fixed, the bed is not. */
interface Place {
  readonly unit: Unit
  stay: StayState | undefined
  nextArrival: number
}

type Counters = VitalCounter &
  OrderCounter &
  NursingCounter &
  LabCounter &
  AuditCounter & { stayId: number; patientId: number }

/** Patients who left alive and may come again. */
const FORMER_PATIENTS_MAX = 200
const READMISSION_SHARE = 0.1
/** The fifth person, and each twenty-fifth after. */
const DUPLICATE_EVERY = 25
const DUPLICATE_FIRST = 5
const TRANSFER_CHANCE_PER_HOUR = 0.002
const AWAY_CHANCE_PER_HOUR = 0.006

export class Hospital {
  private readonly sink: RowSink
  private readonly seed: number
  private readonly shape: HospitalShape
  private readonly random: Random
  private readonly places: Place[] = []
  private readonly freeBeds = new Map<Unit, Bed[]>()
  private readonly formerPatients: Patient[] = []
  private readonly counters: Counters = {
    vitalId: 0,
    orderId: 0,
    executionId: 0,
    recordId: 0,
    fluidId: 0,
    resultId: 0,
    sampleNo: 0,
    logId: 0,
    stayId: 0,
    patientId: 0,
  }

  constructor(sink: RowSink, shape: HospitalShape, seed: number) {
    this.sink = sink
    this.shape = shape
    this.seed = seed
    this.random = new Random(seed, 'hospital')
  }

  /** Writes every row, and gives the caller a turn after each hour: it waits there until its buffers have room. */
  *run(): Generator<number> {
    const { shape } = this
    const layout = makeLayout(new Random(this.seed, 'layout'), shape.places)
    writeLayout(this.sink, new Random(this.seed, 'layout-rows'), layout, shape.start)
    const departments = layout.units.map((unit) => unit.departmentId)
    writeQuality(this.sink, this.seed, departments, shape.start, shape.end)
    this.openPlaces(layout.units)

    for (let from = shape.start; from < shape.end; from += HOUR - (from % HOUR)) {
      const until = Math.min(shape.end, from + HOUR - (from % HOUR))
      for (const [index, place] of this.places.entries()) this.runHour(place, index, from, until)
      yield until
    }
    for (const { stay } of this.places) if (stay) writeStay(this.sink, stay)
  }

  private openPlaces(units: readonly Unit[]): void {
    for (const unit of units) this.freeBeds.set(unit, [...unit.beds])
    for (let i = 0; i < this.shape.places; i++) {
      const unit = units[i % units.length] as Unit
      const nextArrival = this.shape.start + this.random.within(1, 6 * 60) * MINUTE
      this.places.push({ unit, stay: undefined, nextArrival })
    }
  }

  private runHour(place: Place, index: number, from: number, until: number): void {
    if (place.stay) {
      const end = Math.min(until, place.stay.endAt)
      this.chart(place.stay, from, end)
      if (place.stay.endAt < until) this.discharge(place, index)
      else this.maybeMove(place.stay, until)
    } else if (place.nextArrival < until) {
      const inAt = Math.max(from, place.nextArrival)
      place.stay = this.admit(place.unit, inAt)
      this.chart(place.stay, inAt, until)
    }
  }

  private admit(unit: Unit, inAt: number): StayState {
    const patient = this.nextPatient(inAt)
    const beds = this.freeBeds.get(unit) as Bed[]
    const [bed] = beds.splice(this.random.below(beds.length), 1)
    const stayId = ++this.counters.stayId
    const arrival = {
      seed: this.seed,
      shape: this.shape,
      stayId,
      admissionId: stayId,
      patient,
      unit,
      bed: bed as Bed,
      inAt,
    }
    const stay = makeStay(arrival)
    writeArrival(this.sink, stay)
    return stay
  }

  private nextPatient(inAt: number): Patient {
    if (this.formerPatients.length > 0 && this.random.chance(READMISSION_SHARE)) {
      return this.formerPatients.splice(this.random.below(this.formerPatients.length), 1)[0] as Patient
    }
    const patientId = ++this.counters.patientId
    const random = new Random(this.seed, 'patient', patientId)
    const patient = makePatient(random, patientId, inAt)
    this.sink.write('public.patient', patientLine(random, patient, inAt - 40 * MINUTE))
    if (patientId % DUPLICATE_EVERY === DUPLICATE_FIRST) this.writeDuplicate(random, patient, inAt - 35 * MINUTE)
    return patient
  }

  /** The same person registered twice, at the emergency desk and on the ward, and merged afterwards. */
  private writeDuplicate(random: Random, patient: Patient, registeredAt: number): void {
    const patientId = ++this.counters.patientId
    const twin = { ...patient, patientId, mrn: mrnOf(patientId) }
    this.sink.write('public.patient', patientLine(random, twin, registeredAt, patient.patientId))
  }

  /** All that is written about one stay within one hour (or the part of it that the patient was there). */
  private chart(stay: StayState, from: number, until: number): void {
    if (until <= from) return
    const { sink, counters } = this
    const { profile } = this.shape
    stay.isVentilated = from < stay.ventilatedUntil
    stay.course.age()
    if (stay.random.chance(AWAY_CHANCE_PER_HOUR)) stay.awayUntil = from + stay.random.within(40, 150) * MINUTE
    writeVitals(sink, stay, profile, counters, from, until)
    writeDeviceData(sink, stay, profile, from, until)
    writeAlarms(sink, stay, from, until)
    writeOrders(sink, stay, counters, from, until)
    writeNursing(sink, stay, counters, from, until)
    writeLabs(sink, stay, counters, from, until)
    writeScores(sink, stay, from, until)
    writeDocuments(sink, stay, from, until)
    writeAudit(sink, stay, counters, from, until)
  }

  private maybeMove(stay: StayState, second: number): void {
    if (!stay.random.chance(TRANSFER_CHANCE_PER_HOUR) || second >= stay.endAt) return
    const beds = this.freeBeds.get(stay.unit) as Bed[]
    if (beds.length === 0) return
    const [bed] = beds.splice(stay.random.below(beds.length), 1)
    beds.push(stay.bed)
    moveToBed(this.sink, stay, bed as Bed, second)
  }

  /**
   * The place stays empty for a share of the stay that has ended, which holds the occupancy near 85 % even over a few
   * weeks. Whatever the seed, most places are occupied when the data end: the ward program needs present patients.
   */
  private discharge(place: Place, index: number): void {
    const stay = place.stay as StayState
    writeStay(this.sink, stay)
    ;(this.freeBeds.get(place.unit) as Bed[]).push(stay.bed)
    if (stay.outcome !== '死亡') this.formerPatients.push(stay.patient)
    if (this.formerPatients.length > FORMER_PATIENTS_MAX) this.formerPatients.shift()
    const gap = (stay.outAt - stay.inAt) * (1 / OCCUPANCY - 1) * (0.8 + 0.4 * this.random.unit())
    const latest = index % 7 === 6 ? Number.POSITIVE_INFINITY : this.shape.end - 8 * HOUR
    place.stay = undefined
    place.nextArrival = Math.min(stay.outAt + Math.round(gap), Math.max(stay.outAt + HOUR, latest))
  }
}
