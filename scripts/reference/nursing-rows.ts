/** Nursing: the written record every two hours, structured assessments, and the fluid balance. */
import { assessmentItems, fluidItems, type Item, valueText } from './items.ts'
import { HOUR, hourOfDay, MINUTE, zonedText } from './moment.ts'
import { nursingText } from './phrases.ts'
import type { Random } from './random.ts'
import { nurseOf, type StayState } from './stay.ts'
import { copyLine, copyText, NULL, type RowSink } from './tables.ts'

export interface NursingCounter {
  recordId: number
  fluidId: number
}

/** Reviewers in records of the old system, who have no account (the foreign key is NOT VALID). */
const FORMER_REVIEWERS = [9001, 9002, 9003]

export function writeNursing(
  sink: RowSink,
  stay: StayState,
  counter: NursingCounter,
  from: number,
  until: number,
): void {
  const hour = hourOfDay(from)
  if (hour % 2 === 0) writeRecord(sink, stay, counter, within(stay.streams.nursing, from, until))
  writeAssessments(sink, stay, hour, from, until)
  writeFluids(sink, stay, counter, hour, from, until)
}

function writeRecord(sink: RowSink, stay: StayState, counter: NursingCounter, second: number): void {
  const random = stay.streams.nursing
  const hour = hourOfDay(second)
  const shift = hour < 8 ? '夜班' : hour < 16 ? '白班' : '小夜班'
  counter.recordId++
  sink.write(
    'public.nursing_record',
    copyLine(
      counter.recordId,
      stay.stayId,
      zonedText(second),
      shift,
      copyText(nursingText(stay, random)),
      nurseOf(stay, second),
      reviewer(random, stay, second),
      second > stay.shape.end - HOUR ? 'f' : 't',
    ),
  )
}

function reviewer(random: Random, stay: StayState, second: number): number | string {
  if (random.chance(0.6)) return NULL
  return random.chance(0.05) ? random.pick(FORMER_REVIEWERS) : nurseOf(stay, second, 2)
}

/** Two in even hours and three in odd ones: every item in its turn. */
function writeAssessments(sink: RowSink, stay: StayState, hour: number, from: number, until: number): void {
  const random = stay.streams.nursing
  const count = 2 + (hour % 2)
  for (let i = 0; i < count; i++) {
    const index = (hour * 3 + i) % assessmentItems.length
    const item = assessmentItems[index] as Item
    const second = Math.min(until - 1, from + (10 + 15 * i) * MINUTE)
    if (second < from) continue
    const nurse = nurseOf(stay, second)
    const value = valueText(item, assessedValue(random, stay, item.code))
    const remark = random.chance(0.95) ? NULL : random.pick(['', '已报告医生', '家属在旁'])
    sink.write('public.nursing_assessment', copyLine(stay.stayId, item.code, zonedText(second), value, nurse, remark))
  }
}

function assessedValue(random: Random, stay: StayState, code: string): number {
  const ill = stay.course.severity
  const noise = random.normal()
  switch (code) {
    case 'RASS':
      return (stay.isVentilated ? -2 : 0) - 0.5 * ill + 0.8 * noise
    case 'CPOT':
      return 1.2 + noise
    case 'CUFF':
      return 27 + 1.5 * noise
    case 'BRADEN':
      return 14 - 3 * ill + noise
    case 'FALL':
      return 45 + 10 * ill + 5 * noise
    case 'GLU_POC':
      return 8.2 + 2 * ill + 1.2 * noise
    case 'TUBE_CM':
      return 23 + 0.3 * noise
    case 'GASTRIC':
      return 40 + 40 * ill + 30 * noise
    default:
      return 2.5 + 0.4 * noise
  }
}

/** Urine and infusion every hour; every second hour something else: 60 entries a day. */
function writeFluids(
  sink: RowSink,
  stay: StayState,
  counter: NursingCounter,
  hour: number,
  from: number,
  until: number,
): void {
  const random = stay.streams.fluid
  const ill = stay.course.severity
  const write = (index: number, volume: number): void => {
    const item = fluidItems[index] as (typeof fluidItems)[number]
    const second = within(random, from, until)
    const ml = valueText(item, volume)
    counter.fluidId++
    sink.write(
      'public.fluid_balance',
      copyLine(counter.fluidId, stay.stayId, zonedText(second), item.direction, item.code, ml, nurseOf(stay, second)),
    )
  }
  write(0, 72 + 45 * ill + 22 * random.normal())
  write(1, 105 - 35 * ill + 30 * random.normal())
  if (hour % 2 === 0) {
    let share = random.unit()
    const index = fluidItems.findIndex((item) => {
      share -= item.share
      return share < 0
    })
    write(index < 0 ? 2 : index, 60 + 25 * random.normal())
  }
}

/** A moment within the hour that the hand wrote down, in whole minutes. */
function within(random: Random, from: number, until: number): number {
  const second = Math.floor((from + random.below(until - from)) / MINUTE) * MINUTE
  return second < from ? from : second
}
