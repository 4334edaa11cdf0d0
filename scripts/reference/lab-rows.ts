/** Laboratory results: one sample a panel, results that follow the patient's last ones and the severity of illness. */
import { type LabItem, labIndex, labResult, labRounds, referenceText } from './labs.ts'
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

/** value_text, value_number, unit, reference_range, flag. */
function resultFields(stay: StayState, lab: LabItem): string {
  const index = labIndex(lab)
  const drift = (stay.labDrift[index] as number) * MEMORY + INNOVATION * stay.streams.lab.normal()
  stay.labDrift[index] = drift
  const { text, number, flag } = labResult(lab, stay.course.severity, drift)
  return `${text}\t${number ?? NULL}\t${lab.unit || NULL}\t${referenceText(lab)}\t${flag}`
}
