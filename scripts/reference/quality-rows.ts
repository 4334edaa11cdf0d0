/** Quality indicators of each department and month, by the definitions of 2024 (ICU-01 …). */
import { localText, monthsBetween } from './moment.ts'
import { Random } from './random.ts'
import { copyLine, NULL, type RowSink } from './tables.ts'

/** Code, name, the middle of the rate in per cent, and whether the denominator is bed-days rather than patients. */
const indicators = [
  ['ICU-01', '床位使用率', 85, true],
  ['ICU-02', '医师床位比', 80, false],
  ['ICU-03', '护士床位比', 250, false],
  ['ICU-04', 'APACHEⅡ评分≥15分患者收治率', 62, false],
  ['ICU-05', '感染性休克集束化治疗完成率', 82, false],
  ['ICU-06', '抗菌药物治疗前病原学送检率', 93, false],
  ['ICU-07', '深静脉血栓预防率', 88, false],
  ['ICU-08', '急性呼吸窘迫综合征俯卧位通气实施率', 45, false],
  ['ICU-09', '镇痛评估率', 95, false],
  ['ICU-10', '镇静评估率', 94, false],
  ['ICU-11', '标化病死指数', 78, false],
  ['ICU-12', '非计划气管插管拔管率', 2, false],
  ['ICU-13', '气管插管拔管后48小时内再插管率', 4, false],
  ['ICU-14', '非计划转入ICU率', 6, false],
  ['ICU-15', '转出ICU后48小时内重返率', 2, false],
  ['ICU-16', '呼吸机相关性肺炎发病率', 0.6, true],
  ['ICU-17', '血管导管相关血流感染发病率', 0.2, true],
  ['ICU-18', '导尿管相关泌尿系感染发病率', 0.2, true],
  ['ICU-19', '48小时内肠内营养启动率', 66, false],
  ['ICU-20', '急性脑损伤患者意识评估率', 90, false],
] as const

const DEFINITION = '重症医学专业医疗质量控制指标(2024年版)'

export function writeQuality(
  sink: RowSink,
  seed: number,
  departments: readonly string[],
  start: number,
  end: number,
): void {
  const months = monthsBetween(start, end)
  for (const department of departments) {
    for (const [index, month] of months.entries()) {
      const random = new Random(seed, 'quality', department, month)
      const patients = random.within(18, 30)
      const submitted = `${months[index + 1]?.slice(0, 8)}05 10:00:00`
      const submittedAt = index + 1 < months.length && submitted < localText(end) ? `${submitted}+08` : NULL
      for (const [code, , rate, isPerBedDay] of indicators) {
        const denominator = isPerBedDay ? patients * 30 : patients
        const wanted = (rate / 100) * denominator * (1 + 0.08 * random.normal())
        // Nearly all of these are shares, and a share has no more cases than its denominator.
        const ceiling = rate > 100 ? denominator * 4 : denominator
        const numerator = Math.min(ceiling, Math.max(0, Math.floor(wanted + random.unit())))
        sink.write(
          'public.quality_indicator',
          copyLine(department, code, month, DEFINITION, numerator, denominator, submittedAt),
        )
      }
    }
  }
}
