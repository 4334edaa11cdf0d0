/** The lines of dictionaries, departments, beds, staff and devices. */
import { diagnoses, drugList, frequencies } from './drugs.ts'
import { assessmentItems, fluidItems, type Item, pumpItems, ventilatorItems, vitalItems } from './items.ts'
import { labItems, plausibleRange } from './labs.ts'
import { type Bed, devicesOf, type Layout, type StaffMember } from './layout.ts'
import { DAY, dateText } from './moment.ts'
import type { Random } from './random.ts'
import { copyLine, NULL, type RowSink } from './tables.ts'

export function writeLayout(sink: RowSink, random: Random, layout: Layout, start: number): void {
  writeItems(sink)
  for (const drug of drugList) {
    const alert = drug.isHighAlert ? 't' : 'f'
    sink.write('dict.drug', copyLine(drug.code, drug.name, drug.specification, drug.unit, drug.price, NULL, alert))
  }
  for (const diagnosis of diagnoses) {
    sink.write('dict.diagnosis', copyLine(diagnosis.code, diagnosis.name, diagnosis.pinyin))
  }
  for (const frequency of frequencies) {
    const times = `{${frequency.hours.map((hour) => `${String(hour).padStart(2, '0')}:00`).join(',')}}`
    const remark = frequency.code === 'CIV' ? '每6小时核对泵速' : frequency.code === 'ST' ? '' : NULL
    sink.write('dict."给药频次"', copyLine(frequency.code, frequency.name, frequency.perDay, times, remark))
  }
  writeDepartments(sink, layout)
  for (const member of layout.staff) writeStaff(sink, random, member, start)
  for (const [unitIndex, unit] of layout.units.entries()) {
    for (const bed of unit.beds) writeBed(sink, random, bed, unitIndex, start)
  }
}

function writeItems(sink: RowSink): void {
  const groups: [string, readonly Item[]][] = [
    ['生命体征', vitalItems],
    ['呼吸机', ventilatorItems],
    ['输注泵', pumpItems],
    ['护理评估', assessmentItems],
    ['出入量', fluidItems],
  ]
  for (const [category, items] of groups) {
    for (const { code, name, unit, decimals, low, high } of items) {
      sink.write('dict.item', copyLine(code, name, category, unit || NULL, decimals, NULL, NULL, low, high, 't'))
    }
  }
  for (const lab of labItems) {
    const { low, high } = plausibleRange(lab)
    const unit = lab.unit || NULL
    sink.write('dict.item', copyLine(lab.code, lab.name, '检验', unit, lab.decimals, lab.low, lab.high, low, high, 't'))
  }
}

function writeDepartments(sink: RowSink, layout: Layout): void {
  const write = (id: string, name: string, parent: string, beds: number, remark: string): void => {
    const phone = parent === NULL ? NULL : `0531-8921${String(id.length * 1117).slice(0, 4)}`
    sink.write('public.department', copyLine(id, name, parent, phone, beds, '2016-05-01', remark))
  }
  write('HOSP', '本院', NULL, 0, NULL)
  write('CCM', '重症医学中心', 'HOSP', 0, '')
  for (const unit of layout.units) write(unit.departmentId, unit.name, 'CCM', unit.beds.length, NULL)
  write('ED', '急诊科', 'HOSP', 20, NULL)
  write('OR', '手术麻醉科', 'HOSP', 0, NULL)
  write('GW', '普通病房', 'HOSP', 800, '转出去向')
  write('LAB', '检验科', 'HOSP', 0, NULL)
  write('IT', '信息科', 'HOSP', 0, NULL)
}

function writeStaff(sink: RowSink, random: Random, member: StaffMember, start: number): void {
  const title =
    member.role === '医生'
      ? random.pick(['主任医师', '副主任医师', '主治医师', '住院医师'])
      : member.role === '护士'
        ? random.pick(['主管护师', '护师', '护师', '护士'])
        : '工程师'
  const qualifications =
    member.role === '工程师' ? '{}' : random.pick(['{重症专科}', '{重症专科,CRRT}', '{"ECMO 组","重症专科"}', '{}'])
  const hired = dateText(start - random.within(200, 7000) * DAY)
  const id = member.staffId
  sink.write(
    'public.staff',
    copyLine(id, `G${id}`, member.name, member.role, title, member.departmentId, qualifications, hired, 't'),
  )
}

function writeBed(sink: RowSink, random: Random, bed: Bed, unitIndex: number, start: number): void {
  const { departmentId, bedNo } = bed
  const hexNo = bedNo.toString(16).padStart(2, '0')
  const kind = bedNo % 8 === 1 ? '负压单间' : bedNo % 4 === 1 ? '单间' : '普通床'
  const mac = `a4:1f:72:${String(unitIndex).padStart(2, '0')}:00:${hexNo}`
  sink.write(
    'public.bed',
    copyLine(departmentId, bedNo, kind, `10.20.${unitIndex + 1}.${bedNo}`, mac, 't', bedNo === 1 ? '靠近护士站' : NULL),
  )
  for (const [index, device] of devicesOf(bed).entries()) {
    const calibrated = start - random.within(10, 300) * DAY
    sink.write(
      'public.device',
      copyLine(
        device.deviceId,
        device.kind,
        device.model,
        `SN${random.hex(5).toUpperCase()}${index}`,
        departmentId,
        bedNo,
        `10.20.${unitIndex + 1}.254/24`,
        `[${dateText(calibrated)},${dateText(calibrated + 730 * DAY)})`,
        `{"protocol": "HL7", "interval_s": ${index < 2 ? 10 : 60}, "alarm": {"volume": ${random.within(3, 8)}}}`,
        random.chance(0.9) ? `${random.within(8, 280)}000.00` : NULL,
      ),
    )
  }
}
