/**
 * The laboratory: items with their reference ranges, and the panels in which they are asked for through the day
 * (120 items a bed and day).
 *
 * `shift` says how far illness moves an item, in half widths of the reference range, upwards or downwards; of a
 * logarithmic item (D-dimer and PCT move over decades) it is the power of e instead.
 */
export interface LabItem {
  readonly code: string
  readonly name: string
  readonly unit: string
  readonly low: number
  readonly high: number
  readonly decimals: number
  readonly shift: number
  readonly isLogarithmic: boolean
}

type Row = readonly [string, string, string, number, number, number, number, 'log'?]

function panel(rows: readonly Row[]): readonly LabItem[] {
  return rows.map(([code, name, unit, low, high, decimals, shift, log]) => {
    return { code, name, unit, low, high, decimals, shift, isLogarithmic: log === 'log' }
  })
}

const bloodGas = panel([
  ['BG_PH', '酸碱度', '', 7.35, 7.45, 2, -1.2],
  ['BG_PCO2', '二氧化碳分压', 'mmHg', 35, 45, 1, 0.8],
  ['BG_PO2', '氧分压', 'mmHg', 80, 100, 1, -1.5],
  ['BG_HCO3', '碳酸氢根', 'mmol/L', 22, 27, 1, -1],
  ['BG_BE', '剩余碱', 'mmol/L', -3, 3, 1, -1],
  ['BG_LAC', '乳酸', 'mmol/L', 0.5, 1.6, 1, 0.8, 'log'],
  ['BG_SO2', '氧饱和度', '%', 95, 98, 1, -1],
  ['BG_ICA', '离子钙', 'mmol/L', 1.15, 1.29, 2, -0.8],
  ['BG_K', '钾(血气)', 'mmol/L', 3.5, 5.3, 1, 0.3],
  ['BG_GLU', '葡萄糖(血气)', 'mmol/L', 3.9, 6.1, 1, 1.8],
])

const bloodCount = panel([
  ['WBC', '白细胞', '10^9/L', 3.5, 9.5, 2, 1.4],
  ['RBC', '红细胞', '10^12/L', 4.3, 5.8, 2, -1.4],
  ['HGB', '血红蛋白', 'g/L', 130, 175, 0, -1.6],
  ['HCT', '红细胞压积', '%', 40, 50, 1, -1.6],
  ['PLT', '血小板', '10^9/L', 125, 350, 0, -0.8],
  ['NEUT_P', '中性粒细胞百分比', '%', 40, 75, 1, 1.2],
  ['LYM_P', '淋巴细胞百分比', '%', 20, 50, 1, -1.1],
  ['MONO_P', '单核细胞百分比', '%', 3, 10, 1, 0],
  ['EO_P', '嗜酸性粒细胞百分比', '%', 0.4, 8, 1, -0.8],
  ['BASO_P', '嗜碱性粒细胞百分比', '%', 0, 1, 1, 0],
  ['NEUT', '中性粒细胞', '10^9/L', 1.8, 6.3, 2, 1.5],
  ['LYM', '淋巴细胞', '10^9/L', 1.1, 3.2, 2, -0.9],
  ['MONO', '单核细胞', '10^9/L', 0.1, 0.6, 2, 0.2],
  ['EO', '嗜酸性粒细胞', '10^9/L', 0.02, 0.52, 2, -0.5],
  ['BASO', '嗜碱性粒细胞', '10^9/L', 0, 0.06, 2, 0],
  ['MCV', '平均红细胞体积', 'fL', 82, 100, 1, 0],
  ['MCH', '平均血红蛋白量', 'pg', 27, 34, 1, 0],
  ['MCHC', '平均血红蛋白浓度', 'g/L', 316, 354, 0, 0],
  ['RDW', '红细胞分布宽度', '%', 11.5, 14.5, 1, 0.6],
  ['MPV', '平均血小板体积', 'fL', 7, 11, 1, 0.2],
])

const electrolytes = panel([
  ['K', '钾', 'mmol/L', 3.5, 5.3, 2, 0.3],
  ['NA', '钠', 'mmol/L', 137, 147, 1, 0.4],
  ['CL', '氯', 'mmol/L', 99, 110, 1, 0.3],
  ['CA', '钙', 'mmol/L', 2.11, 2.52, 2, -0.9],
  ['P', '磷', 'mmol/L', 0.85, 1.51, 2, 0],
  ['MG', '镁', 'mmol/L', 0.75, 1.02, 2, 0],
  ['GLU', '葡萄糖', 'mmol/L', 3.9, 6.1, 2, 1.8],
  ['UREA', '尿素', 'mmol/L', 3.1, 8, 2, 0.6, 'log'],
  ['CREA', '肌酐', 'μmol/L', 57, 97, 0, 0.8, 'log'],
  ['CO2', '总二氧化碳', 'mmol/L', 20, 29, 1, -0.9],
])

const biochemistry = panel([
  ['ALT', '丙氨酸氨基转移酶', 'U/L', 9, 50, 0, 0.8, 'log'],
  ['AST', '天门冬氨酸氨基转移酶', 'U/L', 15, 40, 0, 0.9, 'log'],
  ['TBIL', '总胆红素', 'μmol/L', 3.4, 23, 1, 0.6, 'log'],
  ['DBIL', '直接胆红素', 'μmol/L', 0.5, 8, 1, 0.7, 'log'],
  ['TP', '总蛋白', 'g/L', 65, 85, 1, -1.2],
  ['ALB', '白蛋白', 'g/L', 40, 55, 1, -1.3],
  ['GLB', '球蛋白', 'g/L', 20, 40, 1, 0],
  ['ALP', '碱性磷酸酶', 'U/L', 45, 125, 0, 0.3],
  ['GGT', '谷氨酰转移酶', 'U/L', 10, 60, 0, 0.5, 'log'],
  ['CHE', '胆碱酯酶', 'U/L', 5100, 11700, 0, -1.2],
  ['UA', '尿酸', 'μmol/L', 208, 428, 0, 0.4],
  ['CYSC', '胱抑素C', 'mg/L', 0.59, 1.03, 2, 0.7, 'log'],
  ['CK', '肌酸激酶', 'U/L', 50, 310, 0, 0.7, 'log'],
  ['CKMB', '肌酸激酶同工酶', 'U/L', 0, 24, 0, 0.4],
  ['LDH', '乳酸脱氢酶', 'U/L', 120, 250, 0, 0.7, 'log'],
  ['HBDH', '羟丁酸脱氢酶', 'U/L', 72, 182, 0, 0.6],
  ['AMY', '淀粉酶', 'U/L', 35, 135, 0, 0.4],
  ['LIP', '脂肪酶', 'U/L', 5, 60, 0, 0.4, 'log'],
  ['TG', '甘油三酯', 'mmol/L', 0.45, 1.69, 2, 0.3],
  ['CHOL', '总胆固醇', 'mmol/L', 2.9, 5.2, 2, -0.8],
])

const coagulation = panel([
  ['PT', '凝血酶原时间', '秒', 9.4, 12.5, 1, 1],
  ['PTA', '凝血酶原活动度', '%', 80, 130, 0, -1],
  ['INR', '国际标准化比值', '', 0.8, 1.2, 2, 1],
  ['APTT', '活化部分凝血活酶时间', '秒', 25.1, 36.5, 1, 1],
  ['FIB', '纤维蛋白原', 'g/L', 2, 4, 2, 0.9],
  ['TT', '凝血酶时间', '秒', 10.3, 16.6, 1, 0.4],
  ['DD', 'D-二聚体', 'mg/L', 0.05, 0.55, 2, 1.1, 'log'],
  ['FDP', '纤维蛋白降解产物', 'mg/L', 0.5, 5, 2, 1, 'log'],
])

const inflammation = panel([
  ['CRP', 'C反应蛋白', 'mg/L', 0.5, 8, 1, 1.4, 'log'],
  ['PCT', '降钙素原', 'ng/mL', 0.02, 0.05, 2, 2, 'log'],
  ['IL6', '白介素6', 'pg/mL', 1.5, 7, 1, 1.8, 'log'],
  ['SAA', '血清淀粉样蛋白A', 'mg/L', 1, 10, 1, 1.4, 'log'],
])

const heart = panel([
  ['TNI', '肌钙蛋白I', 'ng/mL', 0.01, 0.04, 3, 1.2, 'log'],
  ['MYO', '肌红蛋白', 'ng/mL', 20, 72, 1, 0.9, 'log'],
  ['CKMB_M', '肌酸激酶同工酶质量', 'ng/mL', 0.5, 5, 2, 0.6, 'log'],
  ['NTPROBNP', 'N末端B型钠尿肽原', 'pg/mL', 20, 125, 0, 1.5, 'log'],
])

export const labItems: readonly LabItem[] = [
  ...bloodGas,
  ...bloodCount,
  ...electrolytes,
  ...biochemistry,
  ...coagulation,
  ...inflammation,
  ...heart,
]

export const labPanels = [bloodGas, bloodCount, electrolytes, coagulation, inflammation, heart]

/** What is drawn at which hour of the day. */
export const labRounds: ReadonlyMap<number, readonly (readonly LabItem[])[]> = new Map([
  [2, [bloodGas]],
  [6, [bloodCount, [...electrolytes, ...biochemistry], coagulation, inflammation]],
  [8, [bloodGas]],
  [14, [bloodGas, heart]],
  [18, [electrolytes, heart]],
  [20, [bloodGas]],
])

const indexByCode = new Map(labItems.map((lab, index) => [lab.code, index]))

export function labIndex(lab: LabItem): number {
  return indexByCode.get(lab.code) as number
}

/** How far an item goes for the severity of illness and the patient's own drift (of deviation 1). */
function labValue(lab: LabItem, severity: number, drift: number): number {
  const middle = (lab.low + lab.high) / 2
  const half = (lab.high - lab.low) / 2
  if (lab.isLogarithmic) return middle * Math.exp(1.6 * lab.shift * severity + 0.45 * drift)
  return middle + half * (1.3 * lab.shift * severity + 0.6 * drift)
}

/** Beyond these a result would be sent back to the laboratory. */
export function plausibleRange(lab: LabItem): { readonly low: number; readonly high: number } {
  const width = lab.high - lab.low
  if (lab.isLogarithmic) return { low: 0, high: Number(labValue(lab, 1.8, 2.5).toFixed(lab.decimals)) }
  const low = lab.low >= 0 ? lab.low * 0.3 : lab.low - 4 * width
  const high = lab.unit === '%' ? Math.min(100, lab.high + 4 * width) : lab.high + 4 * width
  return { low: Number(low.toFixed(lab.decimals)), high: Number(high.toFixed(lab.decimals)) }
}

export interface LabResult {
  readonly text: string
  /** Null below what the method can see; the text is then `<limit`. */
  readonly number: string | null
  readonly flag: 'H' | 'L' | ''
}

export function labResult(lab: LabItem, severity: number, drift: number): LabResult {
  const { low, high } = plausibleRange(lab)
  const value = Math.min(high, Math.max(low, labValue(lab, severity, drift)))
  const limit = lab.low / 2
  if (lab.isLogarithmic && value < limit) return { text: `<${limit.toFixed(lab.decimals)}`, number: null, flag: '' }
  const text = value.toFixed(lab.decimals)
  return { text, number: text, flag: Number(text) > lab.high ? 'H' : Number(text) < lab.low ? 'L' : '' }
}

export function referenceText(lab: LabItem): string {
  return `${lab.low}-${lab.high}`
}
