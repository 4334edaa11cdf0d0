/**
 * Who comes, moves and leaves. One bed holds one present patient (a partial unique index says so), therefore whoever
 * takes a bed locks its row and looks again: the bed seen free may have been taken before it was locked. Nobody waits
 * for a bed's lock, so that beds and stays cannot wait for each other.
 */
import { diagnoses } from './drugs.ts'
import { DAY, dateText } from './moment.ts'
import { personName } from './people.ts'
import type { Random } from './random.ts'
import {
  audit,
  type CurrentStay,
  forSomeStay,
  insert,
  nowZoned,
  type StayAction,
  type WardAction,
  type WardTurn,
} from './ward-turn.ts'

interface BedRow {
  readonly department_id: string
  readonly bed_no: number
}

const OCCUPIED = `exists (select from public.icu_stay s where s.out_at is null
  and s.department_id = b.department_id and s.bed_no = b.bed_no)`

async function takeFreeBed(turn: WardTurn): Promise<BedRow | undefined> {
  const locked = await turn.client.query<BedRow>(
    `select department_id, bed_no from public.bed b where in_use and not ${OCCUPIED}
     order by department_id, bed_no limit 1 for no key update skip locked`,
  )
  const bed = locked.rows[0]
  if (bed === undefined) return undefined
  const again = await turn.client.query(
    `select from public.bed b where department_id = $1 and bed_no = $2 and not ${OCCUPIED}`,
    [bed.department_id, bed.bed_no],
  )
  return again.rowCount === 1 ? bed : undefined
}

/** A new patient, a new admission and a stay in a free bed. */
const admit: WardAction = async (turn) => {
  const bed = await takeFreeBed(turn)
  const doctors = turn.floor.doctors.get(bed?.department_id ?? '')
  const nurses = turn.floor.nurses.get(bed?.department_id ?? '')
  if (bed === undefined || doctors === undefined || nurses === undefined) return false
  const { random } = turn
  const when = nowZoned(turn)
  const patientId = await insertPatient(turn)
  const diagnosis = random.pick(diagnoses)
  const admission = await turn.client.query<{ admission_id: string }>(
    `insert into public.admission (patient_id, admitted_at, source, diagnosis_code, diagnosis_text)
     values ($1, $2, '急诊', $3, $4) returning admission_id`,
    [patientId, when, diagnosis.code, diagnosis.name],
  )
  const stay = await turn.client.query<{ stay_id: string }>(
    `insert into public.icu_stay
       (patient_id, admission_id, department_id, bed_no, in_at, height_cm, weight_kg, attending_id)
     values ($1, $2, $3, $4, $5, $6, $7, $8) returning stay_id`,
    [
      patientId,
      admission.rows[0]?.admission_id,
      bed.department_id,
      bed.bed_no,
      when,
      random.within(150, 185),
      random.within(45, 95),
      random.pick(doctors),
    ],
  )
  const stayId = stay.rows[0]?.stay_id as string
  const nurse = random.pick(nurses)
  await insert(turn, {
    table: 'public.icu_transfer',
    columns: 'stay_id, transfer_no, kind, from_department_id, to_department_id, to_bed_no, moved_at, moved_by',
    rows: [[stayId, 1, '转入', 'ED', bed.department_id, bed.bed_no, when, nurse]],
  })
  await audit(turn, { action: '转科', table: 'public.icu_stay', staffId: nurse, stayId })
  return true
}

async function insertPatient(turn: WardTurn): Promise<string> {
  const { random } = turn
  const sex = random.chance(0.6) ? '男' : '女'
  const born = dateText(turn.now - random.within(18 * 365, 95 * 365) * DAY)
  const inserted = await turn.client.query<{ patient_id: string }>(
    `insert into public.patient (mrn, name, sex, birth_date, id_card_sha256, phone, address, registered_at)
     values ('ZY' || nextval('public.mrn_no_seq'), $1, $2, $3, $4, $5, '山东省济南市历下区', $6) returning patient_id`,
    [personName(random, sex), sex, born, Buffer.from(random.hex(32), 'hex'), phone(random), nowZoned(turn)],
  )
  return inserted.rows[0]?.patient_id as string
}

const moveBed: StayAction = async (turn, stay) => {
  const { stayId, nurseId } = stay
  const bed = await takeFreeBed(turn)
  if (bed === undefined) return false
  await turn.client.query('update public.icu_stay set department_id = $2, bed_no = $3 where stay_id = $1', [
    stayId,
    bed.department_id,
    bed.bed_no,
  ])
  await insertTransfer(turn, stayId, nurseId, { kind: '换床', from: stay, to: bed })
  await audit(turn, { action: '转科', table: 'public.icu_stay', staffId: nurseId, stayId })
  return true
}

/** Whoever leaves: running orders stop, the stay ends, the admission too when the patient goes home or dies. */
const discharge: StayAction = async (turn, stay) => {
  const { stayId, nurseId } = stay
  const when = nowZoned(turn)
  const outcome = turn.random.pick(['转出', '转出', '转出', '好转出院', '死亡'])
  await turn.client.query(
    `update public.med_order set status = '已停止', stop_at = greatest(ordered_at, $2)
     where stay_id = $1 and status in ('待执行', '执行中')`,
    [stayId, when],
  )
  await turn.client.query(
    `update public.icu_stay set out_at = greatest(in_at + interval '1 minute', $2), outcome = $3 where stay_id = $1`,
    [stayId, when, outcome],
  )
  if (outcome !== '转出') {
    await turn.client.query(
      `update public.admission a set discharged_at = greatest(a.admitted_at, $2), outcome = $3
       from public.icu_stay s where s.stay_id = $1 and a.admission_id = s.admission_id`,
      [stayId, when, outcome],
    )
  }
  await insertTransfer(turn, stayId, nurseId, { kind: '转出', from: stay, to: undefined })
  await audit(turn, { action: '转科', table: 'public.icu_stay', staffId: nurseId, stayId })
  turn.floor.courses.delete(stayId)
  return true
}

interface Move {
  readonly kind: '换床' | '转出'
  readonly from: CurrentStay
  readonly to: BedRow | undefined
}

/** The stay is locked, so its moves can be numbered. */
async function insertTransfer(turn: WardTurn, stayId: string, nurseId: number, move: Move): Promise<void> {
  await turn.client.query(
    `insert into public.icu_transfer (stay_id, transfer_no, kind, from_department_id, from_bed_no, to_department_id,
       to_bed_no, moved_at, moved_by)
     select $1, coalesce(max(transfer_no), 0) + 1, $2, $3, $4, $5, $6, $7, $8
     from public.icu_transfer where stay_id = $1`,
    [
      stayId,
      move.kind,
      move.from.departmentId,
      move.from.bedNo,
      move.to?.department_id ?? 'GW',
      move.to?.bed_no ?? null,
      nowZoned(turn),
      nurseId,
    ],
  )
}

const updatePatient: StayAction = async (turn, { stayId, patientId, nurseId }) => {
  await turn.client.query('update public.patient set phone = $2 where patient_id = $1', [patientId, phone(turn.random)])
  await audit(turn, { action: '修改', table: 'public.patient', staffId: nurseId, stayId })
  return true
}

function phone(random: Random): string {
  return `199${String(random.below(100_000_000)).padStart(8, '0')}`
}

export const stayActions = {
  'admit-patient': admit,
  'move-bed': forSomeStay(moveBed, 'no key update'),
  'discharge-patient': forSomeStay(discharge, 'no key update'),
  'update-patient': forSomeStay(updatePatient),
} as const
