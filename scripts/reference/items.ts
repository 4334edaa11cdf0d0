/**
 * What is measured at a bed: codes, units, the number of decimals, and the range outside which a value is an error of
 * the sensor or of the hand. Generators clamp to that range, and the tests ask the database whether they did.
 */
export interface Item {
  readonly code: string
  readonly name: string
  readonly unit: string
  readonly decimals: number
  readonly low: number
  readonly high: number
}

function item(code: string, name: string, unit: string, decimals: number, low: number, high: number): Item {
  return { code, name, unit, decimals, low, high }
}

export const vitalItems = [
  item('HR', '心率', '次/分', 0, 30, 200),
  item('RR', '呼吸', '次/分', 0, 5, 50),
  item('SPO2', '血氧饱和度', '%', 0, 70, 100),
  item('TEMP', '体温', '℃', 1, 34, 41.5),
  item('ABPS', '有创收缩压', 'mmHg', 0, 50, 230),
  item('ABPD', '有创舒张压', 'mmHg', 0, 25, 130),
  item('ABPM', '有创平均压', 'mmHg', 0, 33, 165),
  item('CVP', '中心静脉压', 'cmH2O', 0, -2, 30),
  item('PR', '脉率', '次/分', 0, 28, 205),
  item('NBPS', '无创收缩压', 'mmHg', 0, 45, 240),
  item('NBPD', '无创舒张压', 'mmHg', 0, 20, 140),
  item('ETCO2', '呼末二氧化碳', 'mmHg', 0, 15, 80),
] as const

export const ventilatorItems = [
  item('VT_SET', '设定潮气量', 'mL', 0, 200, 700),
  item('VT_EXP', '呼出潮气量', 'mL', 0, 120, 900),
  item('F_SET', '设定频率', '次/分', 0, 6, 35),
  item('F_TOT', '总频率', '次/分', 0, 6, 50),
  item('FIO2', '吸入氧浓度', '%', 0, 21, 100),
  item('PEEP', '呼气末正压', 'cmH2O', 0, 0, 24),
  item('PPEAK', '气道峰压', 'cmH2O', 0, 8, 60),
  item('PPLAT', '平台压', 'cmH2O', 0, 6, 45),
  item('PS', '压力支持', 'cmH2O', 0, 0, 30),
  item('MV', '分钟通气量', 'L/min', 1, 1, 40),
  item('IE', '吸呼比(呼)', '', 1, 1, 4),
  item('CDYN', '动态顺应性', 'mL/cmH2O', 0, 8, 120),
] as const

export const pumpItems = [
  item('RATE', '泵速', 'mL/h', 1, 0, 200),
  item('TOTAL', '累计量', 'mL', 1, 0, 100_000),
] as const

export const assessmentItems = [
  item('RASS', '镇静程度(RASS)', '分', 0, -5, 4),
  item('CPOT', '疼痛(CPOT)', '分', 0, 0, 8),
  item('PUPIL_L', '左瞳孔', 'mm', 1, 1, 6),
  item('PUPIL_R', '右瞳孔', 'mm', 1, 1, 6),
  item('CUFF', '气囊压力', 'cmH2O', 0, 20, 35),
  item('BRADEN', '压疮风险(Braden)', '分', 0, 6, 23),
  item('FALL', '跌倒坠床风险', '分', 0, 0, 100),
  item('GLU_POC', '床旁血糖', 'mmol/L', 1, 2, 30),
  item('TUBE_CM', '气管插管深度', 'cm', 1, 18, 26),
  item('GASTRIC', '胃残余量', 'mL', 0, 0, 500),
] as const

/** `share`: how often an entry other than the hourly urine and infusion is this one. */
export const fluidItems = [
  { ...item('INFUSION', '静脉输液', 'mL', 1, 0, 1000), direction: '入', share: 0 },
  { ...item('URINE', '尿量', 'mL', 1, 0, 1500), direction: '出', share: 0 },
  { ...item('ENTERAL', '肠内营养', 'mL', 1, 0, 500), direction: '入', share: 0.4 },
  { ...item('DRUG', '静脉推注', 'mL', 1, 0, 100), direction: '入', share: 0.2 },
  { ...item('BLOOD', '血制品', 'mL', 1, 0, 800), direction: '入', share: 0.05 },
  { ...item('DRAIN', '引流液', 'mL', 1, 0, 800), direction: '出', share: 0.2 },
  { ...item('GASTRIC_OUT', '胃液', 'mL', 1, 0, 800), direction: '出', share: 0.1 },
  { ...item('STOOL', '大便', 'mL', 1, 0, 800), direction: '出', share: 0.05 },
] as const

/** The value within the item's range, with its decimals. */
export function valueText(of: Item, value: number): string {
  return Math.min(of.high, Math.max(of.low, value)).toFixed(of.decimals)
}
