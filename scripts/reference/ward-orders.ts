/**
 * Orders and executions. Whoever changes an order locks it first and skips one that somebody else holds, as the
 * application does: two nurses never execute one order at the same moment.
 */
import { zonedText } from './moment.ts'
import { makeOrder } from './order-rows.ts'
import { NULL } from './tables.ts'
import { audit, forSomeStay, insert, nowZoned, type StayAction } from './ward-turn.ts'

const RUNNING = `status in ('待执行', '执行中')`

const giveOrder: StayAction = async (turn, { stayId, doctorId }) => {
  const order = makeOrder(turn.random, turn.now)
  const isLongTerm = order.frequency !== 'ST'
  const columns =
    'stay_id, kind, is_long_term, drug_code, content, dose, dose_unit, route, frequency, ordered_by, ordered_at, stop_at, status'
  await insert(turn, {
    table: 'public.med_order',
    columns,
    rows: [
      [
        stayId,
        order.kind,
        isLongTerm,
        order.drug?.code ?? null,
        order.content,
        order.dose === NULL ? null : order.dose,
        order.drug?.unit ?? null,
        order.drug?.route ?? null,
        order.frequency,
        doctorId,
        nowZoned(turn),
        isLongTerm ? null : zonedText(order.stopAt),
        '待执行',
      ],
    ],
  })
  await audit(turn, { action: '新增', table: 'public.med_order', staffId: doctorId, stayId })
  return true
}

/** The nurse starts an execution; the order is then running. */
const executeOrder: StayAction = async (turn, { stayId, nurseId, checkerId }) => {
  const orders = await turn.client.query<{ order_id: string; dose: string | null }>(
    `select order_id, dose from public.med_order where stay_id = $1 and ${RUNNING}
     order by order_id desc limit 1 offset $2 for no key update skip locked`,
    [stayId, turn.random.below(6)],
  )
  const order = orders.rows[0]
  if (order === undefined) return false
  await turn.client.query(`update public.med_order set status = '执行中' where order_id = $1 and status = '待执行'`, [
    order.order_id,
  ])
  const when = nowZoned(turn)
  const checker = checkerId !== nurseId && turn.random.chance(0.3) ? checkerId : null
  await insert(turn, {
    table: 'public.order_execution',
    columns: 'order_id, stay_id, planned_at, started_at, actual_dose, nurse_id, checker_id',
    rows: [[order.order_id, stayId, when, when, order.dose, nurseId, checker]],
  })
  await audit(turn, { action: '新增', table: 'public.order_execution', staffId: nurseId, stayId })
  return true
}

const finishExecution: StayAction = async (turn, { stayId, nurseId }) => {
  const updated = await turn.client.query(
    `update public.order_execution set finished_at = greatest(started_at, $2)
     where execution_id = (
       select execution_id from public.order_execution where stay_id = $1 and finished_at is null
       order by planned_at, execution_id limit 1 for no key update skip locked)`,
    [stayId, nowZoned(turn)],
  )
  if (updated.rowCount === 0) return false
  await audit(turn, { action: '修改', table: 'public.order_execution', staffId: nurseId, stayId })
  return true
}

/** The doctor stops an order, or changes its dose: a dose by a tenth, as titration goes. */
const changeOrder: StayAction = async (turn, { stayId, doctorId }) => {
  const isStop = turn.random.chance(0.5)
  const change = isStop
    ? `status = '已停止', stop_at = greatest(ordered_at, $2::timestamptz)`
    : `dose = round(dose * 1.1, 2), stop_at = greatest(ordered_at, stop_at, $2::timestamptz)`
  const updated = await turn.client.query(
    `update public.med_order set ${change}
     where order_id = (
       select order_id from public.med_order where stay_id = $1 and ${RUNNING} and (dose < 50000 or $4)
       order by order_id limit 1 offset $3 for no key update skip locked)`,
    [stayId, nowZoned(turn), turn.random.below(4), isStop],
  )
  if (updated.rowCount === 0) return false
  await audit(turn, { action: '修改', table: 'public.med_order', staffId: doctorId, stayId })
  return true
}

export const orderActions = {
  'give-order': forSomeStay(giveOrder),
  'execute-order': forSomeStay(executeOrder),
  'finish-execution': forSomeStay(finishExecution),
  'change-order': forSomeStay(changeOrder),
} as const
