/**
 * What every action of the ward program stands on: its transaction, its own chance, its moment, and the present
 * patients. An action answers whether it found something to do; it never prints or throws a row's value.
 */
import type pg from 'pg'
import { VitalCourse } from './course.ts'
import { localText, zonedText } from './moment.ts'
import { Random } from './random.ts'

/** What the whole program shares. */
export interface Floor {
  readonly seed: number
  /** Staff ids by department. */
  readonly nurses: ReadonlyMap<string, readonly number[]>
  readonly doctors: ReadonlyMap<string, readonly number[]>
  /** How present patients are doing, by stay; forgotten when they leave. */
  readonly courses: Map<string, VitalCourse>
}

export interface WardTurn {
  /** Inside a transaction of this turn. */
  readonly client: pg.ClientBase
  readonly random: Random
  /** The moment of this turn on the wall clock of the ward; no two turns share one. */
  readonly now: number
  readonly floor: Floor
}

export interface CurrentStay {
  /** Decimal text: ids go through the program as the database writes them. */
  readonly stayId: string
  readonly patientId: string
  readonly departmentId: string
  readonly bedNo: number
  readonly nurseId: number
  readonly checkerId: number
  readonly doctorId: number
  readonly course: VitalCourse
}

export type WardAction = (turn: WardTurn) => Promise<boolean>
export type StayAction = (turn: WardTurn, stay: CurrentStay) => Promise<boolean>

interface StayRow {
  readonly stay_id: string
  readonly patient_id: string
  readonly department_id: string
  readonly bed_no: number
}

/**
 * Runs `action` for one of the present patients; there is nothing to do when nobody is there. The stay is locked: the
 * patient cannot leave while something is written about them. Who changes the stay itself locks it alone.
 */
export function forSomeStay(action: StayAction, lock: 'share' | 'no key update' = 'share'): WardAction {
  return async (turn) => {
    const found = await turn.client.query<StayRow>(
      `select stay_id, patient_id, department_id, bed_no from public.icu_stay where out_at is null
       order by stay_id limit 1
       offset (select floor($1::float8 * count(*))::integer from public.icu_stay where out_at is null)
       for ${lock}`,
      [turn.random.unit()],
    )
    const row = found.rows[0]
    return row === undefined ? false : await action(turn, currentStay(turn, row))
  }
}

function currentStay(turn: WardTurn, row: StayRow): CurrentStay {
  const { floor, random } = turn
  const nurses = floor.nurses.get(row.department_id) ?? [0]
  const first = random.below(nurses.length)
  let course = floor.courses.get(row.stay_id)
  if (course === undefined) {
    course = new VitalCourse(new Random(floor.seed, 'ward-course', row.stay_id), 0.6, 0.8)
    floor.courses.set(row.stay_id, course)
  }
  return {
    stayId: row.stay_id,
    patientId: row.patient_id,
    departmentId: row.department_id,
    bedNo: row.bed_no,
    nurseId: nurses[first] as number,
    checkerId: nurses[(first + 1) % nurses.length] as number,
    doctorId: random.pick(floor.doctors.get(row.department_id) ?? [0]),
    course,
  }
}

type Field = string | number | boolean | null | Buffer

export interface Insertion {
  readonly table: string
  readonly columns: string
  readonly rows: readonly (readonly Field[])[]
  /** For tables keyed by stay, item and moment: a value that another program charted in the same second stays. */
  readonly keepsExisting?: boolean
}

export async function insert(turn: WardTurn, insertion: Insertion): Promise<void> {
  const { table, columns, rows, keepsExisting } = insertion
  let next = 1
  const tuples = rows.map((row) => `(${row.map(() => `$${next++}`).join(', ')})`).join(', ')
  const ending = keepsExisting ? ' on conflict do nothing' : ''
  await turn.client.query(`insert into ${table} (${columns}) values ${tuples}${ending}`, rows.flat())
}

export interface AuditEntry {
  readonly action: '新增' | '修改' | '删除' | '签名' | '转科'
  readonly table: string
  readonly staffId: number
  readonly stayId?: string
}

/** The application's own log: one entry for each thing that somebody did. */
export async function audit(turn: WardTurn, entry: AuditEntry): Promise<void> {
  const client = `10.30.9.${turn.random.within(10, 60)}`
  const detail = `{"ms": ${turn.random.within(2, 480)}}`
  await insert(turn, {
    table: 'audit.audit_log',
    columns: 'logged_at, staff_id, action, object_table, object_key, stay_id, client, detail',
    rows: [[zonedText(turn.now), entry.staffId, entry.action, entry.table, '', entry.stayId ?? null, client, detail]],
  })
}

/** The present moment as timestamptz and as timestamp take it. */
export function nowZoned(turn: WardTurn): string {
  return zonedText(turn.now)
}

export function nowLocal(turn: WardTurn): string {
  return localText(turn.now)
}
