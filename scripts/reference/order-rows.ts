/**
 * Orders and their executions. An order is written with everything that follows from it within the stay: its end, its
 * state at the end of the data, and the executions at the times of its frequency.
 */
import { careOrders, type Drug, drugList, frequencyByCode } from './drugs.ts'
import { DAY, HOUR, hourOfDay, MINUTE, zonedText } from './moment.ts'
import type { Random } from './random.ts'
import { doctorOf, nurseOf, type StayState } from './stay.ts'
import { copyLine, NULL, type RowSink } from './tables.ts'

export interface OrderCounter {
  orderId: number
  executionId: number
}

/** Orders begun in each hour of the day: ward rounds in the morning, few at night. 14 a day, and those of admission. */
const perHour = [
  0.25, 0.2, 0.2, 0.15, 0.15, 0.2, 0.3, 0.4, 1, 2.6, 2.2, 1.1, 0.4, 0.4, 0.6, 0.9, 0.9, 0.6, 0.3, 0.3, 0.3, 0.25, 0.2,
  0.2,
]
const ORDERS_AT_ADMISSION = 6
const solvents = drugList.filter((drug) => /^(0\.9%|5%)/.test(drug.name))
const remarks = ['', '患者外出检查，推迟执行', '泵速已核对', '家属要求暂缓', '双人核对']

export interface Order {
  readonly drug: Drug | undefined
  readonly kind: string
  readonly content: string
  readonly frequency: string
  readonly dose: string
  readonly startAt: number
  readonly stopAt: number
}

export function writeOrders(sink: RowSink, stay: StayState, counter: OrderCounter, from: number, until: number): void {
  const random = stay.streams.order
  const isAdmission = stay.inAt >= from && stay.inAt < until
  const wanted = (perHour[hourOfDay(from)] as number) + (isAdmission ? ORDERS_AT_ADMISSION : 0)
  const count = Math.floor(wanted) + (random.chance(wanted % 1) ? 1 : 0)
  let leader: { readonly order: Order; readonly orderId: number } | undefined
  for (let i = 0; i < count; i++) {
    const order = leader ? makeSolvent(random, leader.order) : makeOrder(random, from + random.below(until - from))
    counter.orderId++
    writeOrder(sink, stay, order, counter.orderId, leader?.orderId)
    writeExecutions(sink, stay, order, counter)
    // A few infusions are mixed: the next order is the fluid that this one is dissolved in.
    const isLeader = leader === undefined && order.drug?.route === '静脉滴注' && random.chance(0.3)
    leader = isLeader ? { order, orderId: counter.orderId } : undefined
  }
}

export function makeOrder(random: Random, startAt: number): Order {
  const isDrug = random.chance(0.75)
  const drug = isDrug ? random.pick(drugList) : undefined
  const care = random.pick(careOrders)
  const frequency = drug === undefined ? care.frequency : random.chance(0.25) ? 'ST' : random.pick(drug.frequencies)
  return {
    drug,
    kind: drug === undefined ? care.kind : '药物',
    content: drug?.name ?? care.content,
    frequency,
    dose: drug === undefined ? NULL : doseText(random, drug),
    startAt,
    stopAt: stopOf(random, frequency, startAt),
  }
}

function makeSolvent(random: Random, leader: Order): Order {
  const drug = random.pick(solvents)
  return { ...leader, drug, content: drug.name, dose: doseText(random, drug) }
}

function doseText(random: Random, drug: Drug): string {
  return (drug.doseLow + (drug.doseHigh - drug.doseLow) * (random.below(3) / 2)).toFixed(2)
}

function stopOf(random: Random, frequency: string, startAt: number): number {
  if (frequency === 'ST') return startAt + random.within(20, 90) * MINUTE
  if (frequency === 'Q2H') return startAt + random.within(12, 24) * HOUR
  return startAt + Math.round((0.6 + 2 * random.unit()) * DAY)
}

function writeOrder(sink: RowSink, stay: StayState, order: Order, orderId: number, groupOrderId?: number): void {
  const random = stay.streams.order
  const isRunning = order.stopAt > stay.shape.end && stay.isCurrent
  const stopAt = Math.min(order.stopAt, stay.outAt)
  const status = isRunning ? '执行中' : random.chance(0.02) ? '已作废' : order.stopAt > stay.outAt ? '已停止' : '已完成'
  sink.write(
    'public.med_order',
    copyLine(
      orderId,
      stay.stayId,
      order.kind,
      order.frequency === 'ST' ? 'f' : 't',
      order.drug?.code ?? NULL,
      order.content,
      order.dose,
      order.drug?.unit ?? NULL,
      order.drug?.route ?? NULL,
      order.frequency,
      doctorOf(stay, order.startAt),
      zonedText(order.startAt),
      isRunning ? NULL : zonedText(stopAt),
      status,
      groupOrderId ?? NULL,
    ),
  )
}

function writeExecutions(sink: RowSink, stay: StayState, order: Order, counter: OrderCounter): void {
  const random = stay.streams.order
  const end = Math.min(order.stopAt, stay.endAt)
  for (const planned of plannedTimes(order, end)) {
    const started = planned + random.within(0, 25) * MINUTE
    if (started >= end) break
    const finished = started + random.within(3, 50) * MINUTE
    const nurse = nurseOf(stay, started)
    counter.executionId++
    sink.write(
      'public.order_execution',
      copyLine(
        counter.executionId,
        counter.orderId,
        stay.stayId,
        zonedText(planned),
        zonedText(started),
        finished > stay.endAt ? NULL : zonedText(finished),
        order.dose,
        nurse,
        order.drug?.isHighAlert ? nurseOf(stay, started, 1) : NULL,
        random.chance(0.9) ? NULL : random.pick(remarks),
      ),
    )
  }
}

function plannedTimes(order: Order, end: number): number[] {
  const hours = frequencyByCode.get(order.frequency)?.hours ?? []
  if (hours.length === 0) return [order.startAt]
  const times: number[] = []
  for (let day = Math.floor(order.startAt / DAY) * DAY; day < end; day += DAY) {
    for (const hour of hours) {
      const planned = day + hour * HOUR
      if (planned >= order.startAt && planned < end) times.push(planned)
    }
  }
  return times
}
