/** Laboratory results: one sample a panel, results that follow the patient's last ones and the severity of illness. */
import { type LabItem, labIndex, labRounds, plausibleRange } from './labs.ts'
import { hourOfDay, localText, MINUTE } from './moment.ts'
import type { StayState } from './stay.ts'
import { NULL, type RowSink } from './tables.ts'

export interface LabCounter {
  resultId: number
  sampleNo: number
}

/** How much of an item's last deviation is left in its next result. */
const MEMORY = 0.8
const INNOVATION = Math.sqrt(1 - MEMORY * MEMORY)

export function writeLabs(sink: RowSink, stay: StayState, counter: LabCounter, from: number, until: number): void {
  const panels = labRounds.get(hourOfDay(from))
  if (panels === undefined) return
  const random = stay.streams.lab
  for (const panel of panels) {
    const sampledAt = from + random.below(until - from)
    const reportedAt = sampledAt + random.within(5, 12) * MINUTE + panel.length * 2 * MINUTE
    if (reportedAt > stay.shape.end) continue
    counter.sampleNo++
    const sampleNo = `L${String(counter.sampleNo).padStart(9, '0')}`
    const times = `${localText(sampledAt)}\t${localText(reportedAt)}`
    let lines = ''
    for (const lab of panel) {
      counter.resultId++
      lines += `${counter.resultId}\t${stay.stayId}\t${sampleNo}\t${lab.code}\t${resultFields(stay, lab)}\t${times}\n`
    }
    sink.write('public.lab_result', lines)
  }
}

/** value_text, value_number, unit, reference_range, flag. Below what the method can see, the text is `<low` alone. */
function resultFields(stay: StayState, lab: LabItem): string {
  const value = nextValue(stay, lab)
  const unit = lab.unit || NULL
  const range = `${lab.low}-${lab.high}`
  const floor = lab.low / 2
  if (lab.isLogarithmic && value < floor) return `<${floor.toFixed(lab.decimals)}\t${NULL}\t${unit}\t${range}\t`
  const text = value.toFixed(lab.decimals)
  const flag = Number(text) > lab.high ? 'H' : Number(text) < lab.low ? 'L' : ''
  return `${text}\t${text}\t${unit}\t${range}\t${flag}`
}

function nextValue(stay: StayState, lab: LabItem): number {
  const index = labIndex(lab)
  const drift = (stay.labDrift[index] as number) * MEMORY + INNOVATION * stay.streams.lab.normal()
  stay.labDrift[index] = drift
  const middle = (lab.low + lab.high) / 2
  const half = (lab.high - lab.low) / 2
  const ill = stay.course.severity
  const { low, high } = plausibleRange(lab)
  const value = lab.isLogarithmic
    ? middle * Math.exp(1.6 * lab.shift * ill + 0.45 * drift)
    : middle + half * (1.3 * lab.shift * ill + 0.6 * drift)
  return Math.min(high, Math.max(low, value))
}
