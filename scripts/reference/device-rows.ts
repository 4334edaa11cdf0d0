/** Monitor, ventilator and pumps: the time series, most of all rows. Called hour by hour for each occupied bed. */
import { type Item, pumpItems, valueText, ventilatorItems, vitalItems } from './items.ts'
import { monitorOf, pumpOf, ventilatorOf } from './layout.ts'
import { HOUR, hourOfDay, localText, MINUTE } from './moment.ts'
import type { Profile } from './shape.ts'
import { nurseOf, type StayState } from './stay.ts'
import { copyLine, NULL, type RowSink } from './tables.ts'

/** Numbers the rows of `vital_sign`. */
export interface VitalCounter {
  vitalId: number
}

export function writeVitals(
  sink: RowSink,
  stay: StayState,
  profile: Profile,
  counter: VitalCounter,
  from: number,
  until: number,
): void {
  const { stayId, course } = stay
  const every = profile.vitalEveryMinutes * MINUTE
  const hour = hourOfDay(from)
  const validator = profile.name === 'A' ? nurseOf(stay, from) : NULL
  for (let second = firstAt(from, every); second < until; second += every) {
    course.step(hour + (second % HOUR) / HOUR)
    if (second < stay.awayUntil) continue
    const when = localText(second)
    // Now and then one cable is off: the cuff, the finger clip, or none at all.
    const missing = stay.random.chance(0.02) ? stay.random.below(vitalItems.length) : -1
    let lines = ''
    for (let i = 0; i < vitalItems.length; i++) {
      if (i === missing) continue
      counter.vitalId++
      const code = (vitalItems[i] as Item).code
      lines += `${counter.vitalId}\t${stayId}\t${code}\t${when}+08\t${oneDecimal(course.text(i))}\t监护仪\t${validator}\n`
    }
    sink.write('public.vital_sign', lines)
  }
}

/** The column is numeric(6,1). */
function oneDecimal(text: string): string {
  return text.includes('.') ? text : `${text}.0`
}

export function writeDeviceData(sink: RowSink, stay: StayState, profile: Profile, from: number, until: number): void {
  if (stay.isVentilated) {
    const every = profile.ventilatorEveryMinutes * MINUTE
    adjustVentilator(stay)
    for (let second = firstAt(from, every); second < until; second += every) {
      if (second >= stay.awayUntil) writeVentilator(sink, stay, second)
    }
  }
  const every = profile.pumpEveryMinutes * MINUTE
  for (let second = firstAt(from, every); second < until; second += every) writePumps(sink, stay, profile, second)
}

/** Once an hour the settings follow the patient: less oxygen for who recovers, then spontaneous breathing. */
function adjustVentilator(stay: StayState): void {
  const random = stay.streams.device
  const machine = stay.ventilator
  const wantedFio2 = 32 + 38 * stay.course.severity
  machine.fio2 = Math.round((machine.fio2 + (wantedFio2 - machine.fio2) * 0.3) / 5) * 5
  machine.peep = Math.round(4 + 5 * stay.course.severity + (random.chance(0.1) ? 2 : 0))
  if (stay.course.severity < 0.4 && random.chance(0.1)) machine.mode = 'CPAP+PS'
}

function writeVentilator(sink: RowSink, stay: StayState, second: number): void {
  const random = stay.streams.device
  const { mode, fio2, peep, tidalVolume, frequency } = stay.ventilator
  const compliance = 52 - 14 * stay.course.severity + 3 * random.normal()
  const expired = tidalVolume * (1 + 0.05 * random.normal())
  const total = frequency + Math.max(0, 3 * random.normal())
  const plateau = peep + expired / Math.max(12, compliance)
  const peak = plateau + 5 + Math.abs(2 * random.normal())
  const support = mode === 'A/C' ? 0 : 10 + Math.round(4 * stay.course.severity)
  const values = [
    tidalVolume,
    expired,
    frequency,
    total,
    fio2,
    peep,
    peak,
    plateau,
    support,
    (expired * total) / 1000,
    1.5 + random.below(6) / 10,
    compliance,
  ]
  const device = ventilatorOf(stay.bed)
  const when = localText(second)
  let lines = ''
  for (let i = 0; i < values.length; i++) {
    const item = ventilatorItems[i] as Item
    lines += `${stay.stayId}\t${device}\t${item.code}\t${when}\t${valueText(item, values[i] as number)}\t${mode}\n`
  }
  sink.write('public.device_data', lines)
}

function writePumps(sink: RowSink, stay: StayState, profile: Profile, second: number): void {
  const random = stay.streams.device
  const when = localText(second)
  const hours = profile.pumpEveryMinutes / 60
  const first = profile.pumpsKept === 5 ? 0 : random.below(5)
  let lines = ''
  for (let i = first; i < first + profile.pumpsKept; i++) {
    const rate = Math.max(0.5, (2 + 3 * i) * (1 + 0.4 * stay.course.severity) + 0.3 * random.normal())
    stay.pumpTotals[i] = (stay.pumpTotals[i] as number) + rate * hours
    const start = `${stay.stayId}\t${pumpOf(stay.bed, i)}\t`
    lines += `${start}RATE\t${when}\t${valueText(pumpItems[0], rate)}\t${NULL}\n`
    lines += `${start}TOTAL\t${when}\t${valueText(pumpItems[1], stay.pumpTotals[i] as number)}\t${NULL}\n`
  }
  sink.write('public.device_data', lines)
}

const alarms = [
  ['中', 'ABP_HIGH', '动脉压高于上限'],
  ['高', 'SPO2_LOW', '血氧饱和度低于下限'],
  ['中', 'HR_HIGH', '心率高于上限'],
  ['低', 'LEAD_OFF', '心电导联脱落'],
  ['高', 'PAW_HIGH', '气道压力高'],
  ['中', 'MV_LOW', '分钟通气量低'],
  ['低', 'PUMP_NEAR_END', '输注即将完成'],
  ['高', 'PUMP_OCCLUSION', '输液管路堵塞'],
] as const

/** About one an hour, more for the very ill; one of twelve is kept twice by the gateway. */
export function writeAlarms(sink: RowSink, stay: StayState, from: number, until: number): void {
  const random = stay.streams.alarm
  const count = random.below(2 + Math.round(stay.course.severity))
  for (let i = 0; i < count; i++) {
    const kind = random.below(alarms.length)
    const [priority, code, message] = alarms[kind] as (typeof alarms)[number]
    const device =
      kind < 4 ? monitorOf(stay.bed) : kind < 6 ? ventilatorOf(stay.bed) : pumpOf(stay.bed, random.below(5))
    const when = localText(from + random.below(until - from))
    const line = copyLine(stay.stayId, device, when, priority, code, message, random.chance(0.8) ? 't' : 'f')
    sink.write('public.device_alarm', random.chance(1 / 12) ? line + line : line)
  }
}

/** The first reading at or after `from` on the clock's own grid. */
function firstAt(from: number, every: number): number {
  return Math.ceil(from / every) * every
}
