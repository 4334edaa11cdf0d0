/** The audit log: some five hundred entries a bed and day, most of them look-ups, a few without a patient. */
import { hourOfDay, zonedText } from './moment.ts'
import type { Random } from './random.ts'
import { doctorOf, nurseOf, type StayState } from './stay.ts'
import { copyLine, NULL, type RowSink } from './tables.ts'

export interface AuditCounter {
  logId: number
}

/** Shares of a day in each hour: people are awake in daytime, and busy when shifts change. */
const shares = [
  0.022, 0.02, 0.02, 0.018, 0.018, 0.022, 0.034, 0.06, 0.075, 0.075, 0.068, 0.056, 0.04, 0.038, 0.046, 0.06, 0.062,
  0.05, 0.04, 0.038, 0.04, 0.04, 0.032, 0.026,
]
const ENTRIES_PER_DAY = 500

const actions = [
  ['查看', 'public.vital_sign'],
  ['查看', 'public.clinical_document'],
  ['查看', 'public.lab_result'],
  ['查看', 'public.med_order'],
  ['查看', 'public.nursing_record'],
  ['新增', 'public.nursing_assessment'],
  ['新增', 'public.fluid_balance'],
  ['新增', 'public.order_execution'],
  ['修改', 'public.vital_sign'],
  ['修改', 'public.clinical_document'],
  ['打印', 'public.nursing_record'],
  ['签名', 'public.clinical_document'],
] as const

export function writeAudit(sink: RowSink, stay: StayState, counter: AuditCounter, from: number, until: number): void {
  const random = stay.streams.audit
  const wanted = (ENTRIES_PER_DAY * (shares[hourOfDay(from)] as number) * (until - from)) / 3600
  const count = Math.floor(wanted) + (random.chance(wanted % 1) ? 1 : 0)
  for (let i = 0; i < count; i++) {
    const second = from + Math.floor(((i + random.unit()) * (until - from)) / count)
    counter.logId++
    sink.write(
      'audit.audit_log',
      random.chance(0.04) ? loginLine(random, stay, counter, second) : actionLine(random, stay, counter, second),
    )
  }
}

function actionLine(random: Random, stay: StayState, counter: AuditCounter, second: number): string {
  const [action, table] = random.pick(actions)
  const staffId = table === 'public.med_order' ? doctorOf(stay, second) : nurseOf(stay, second)
  const key = action === '查看' ? '' : String(random.within(1, 9_999_999))
  const detail = random.chance(0.3) ? NULL : `{"ms": ${random.within(2, 480)}, "rows": ${random.within(1, 60)}}`
  return copyLine(
    counter.logId,
    zonedText(second),
    staffId,
    action,
    table,
    key,
    stay.stayId,
    client(random, stay),
    detail,
  )
}

function loginLine(random: Random, stay: StayState, counter: AuditCounter, second: number): string {
  const action = random.pick(['登录', '登录', '退出', '登录失败'])
  return copyLine(
    counter.logId,
    zonedText(second),
    nurseOf(stay, second),
    action,
    NULL,
    NULL,
    NULL,
    client(random, stay),
    NULL,
  )
}

function client(random: Random, stay: StayState): string {
  return `10.30.${Number(stay.bed.departmentId.slice(3))}.${random.within(10, 60)}`
}
