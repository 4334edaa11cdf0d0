/** Drugs, frequencies and diagnoses of an intensive-care unit: dictionaries, and what orders are made from. */

export interface Drug {
  readonly code: string
  readonly name: string
  readonly specification: string
  readonly unit: string
  readonly price: string
  readonly route: string
  readonly frequencies: readonly string[]
  readonly doseLow: number
  readonly doseHigh: number
  readonly isHighAlert: boolean
}

type Row = readonly [string, string, string, string, string, readonly string[], number, number, 'alert'?]

function drugs(rows: readonly Row[]): readonly Drug[] {
  return rows.map(([name, specification, unit, price, route, frequencies, doseLow, doseHigh, alert], index) => ({
    code: `YP${String(index + 1).padStart(5, '0')}`,
    name,
    specification,
    unit,
    price,
    route,
    frequencies,
    doseLow,
    doseHigh,
    isHighAlert: alert === 'alert',
  }))
}

export const drugList = drugs([
  ['去甲肾上腺素注射液', '1mL:2mg', 'mg', '18.50', '静脉泵入', ['CIV'], 8, 16, 'alert'],
  ['肾上腺素注射液', '1mL:1mg', 'mg', '6.20', '静脉推注', ['ST'], 1, 1, 'alert'],
  ['多巴胺注射液', '2mL:20mg', 'mg', '2.10', '静脉泵入', ['CIV'], 100, 200, 'alert'],
  ['多巴酚丁胺注射液', '2mL:20mg', 'mg', '4.80', '静脉泵入', ['CIV'], 100, 200, 'alert'],
  ['丙泊酚中/长链脂肪乳注射液', '50mL:1g', 'mg', '68.00', '静脉泵入', ['CIV'], 500, 1000],
  ['咪达唑仑注射液', '2mL:10mg', 'mg', '12.40', '静脉泵入', ['CIV', 'ST'], 5, 50],
  ['右美托咪定注射液', '2mL:200μg', 'μg', '42.00', '静脉泵入', ['CIV'], 200, 400],
  ['瑞芬太尼注射液', '1mg', 'mg', '55.60', '静脉泵入', ['CIV'], 1, 2, 'alert'],
  ['舒芬太尼注射液', '1mL:50μg', 'μg', '39.70', '静脉泵入', ['CIV'], 50, 200, 'alert'],
  ['罗库溴铵注射液', '5mL:50mg', 'mg', '72.30', '静脉推注', ['ST'], 30, 50, 'alert'],
  ['胰岛素注射液', '10mL:400U', 'U', '38.90', '静脉泵入', ['CIV'], 50, 50, 'alert'],
  ['氯化钾注射液', '10mL:1g', 'g', '0.90', '静脉滴注', ['ST', 'QD', 'BID'], 1, 3, 'alert'],
  ['呋塞米注射液', '2mL:20mg', 'mg', '0.80', '静脉推注', ['ST', 'QD', 'BID'], 20, 40],
  ['托拉塞米注射液', '10mg', 'mg', '22.40', '静脉推注', ['ST', 'QD'], 10, 20],
  ['注射用美罗培南', '0.5g', 'g', '96.00', '静脉滴注', ['Q8H', 'Q12H'], 1, 2],
  ['注射用亚胺培南西司他丁钠', '1g', 'g', '118.00', '静脉滴注', ['Q6H', 'Q8H'], 1, 1],
  ['注射用哌拉西林钠他唑巴坦钠', '4.5g', 'g', '64.00', '静脉滴注', ['Q8H', 'Q6H'], 4.5, 4.5],
  ['注射用头孢哌酮钠舒巴坦钠', '1.5g', 'g', '32.50', '静脉滴注', ['Q8H', 'Q12H'], 1.5, 3],
  ['注射用万古霉素', '0.5g', 'g', '105.00', '静脉滴注', ['Q12H', 'Q8H'], 0.5, 1],
  ['利奈唑胺葡萄糖注射液', '300mL:600mg', 'mg', '260.00', '静脉滴注', ['Q12H'], 600, 600],
  ['注射用替加环素', '50mg', 'mg', '310.00', '静脉滴注', ['Q12H'], 50, 100],
  ['注射用伏立康唑', '0.2g', 'g', '298.00', '静脉滴注', ['Q12H'], 0.2, 0.4],
  ['注射用卡泊芬净', '50mg', 'mg', '640.00', '静脉滴注', ['QD'], 50, 70],
  ['注射用艾司奥美拉唑钠', '40mg', 'mg', '28.60', '静脉滴注', ['QD', 'BID'], 40, 40],
  ['低分子肝素钙注射液', '0.4mL:4100U', 'U', '24.30', '皮下注射', ['QD', 'Q12H'], 4100, 4100],
  ['肝素钠注射液', '2mL:12500U', 'U', '16.80', '静脉泵入', ['CIV'], 12500, 12500, 'alert'],
  ['注射用甲泼尼龙琥珀酸钠', '40mg', 'mg', '24.90', '静脉推注', ['QD', 'Q12H', 'ST'], 40, 80],
  ['氨溴索注射液', '2mL:15mg', 'mg', '3.40', '静脉推注', ['BID', 'TID'], 15, 30],
  ['布地奈德混悬液', '2mL:1mg', 'mg', '11.60', '雾化吸入', ['BID', 'TID'], 1, 2],
  ['人血白蛋白', '10g:50mL', 'g', '378.00', '静脉滴注', ['ST', 'QD'], 10, 20],
  ['乳酸钠林格注射液', '500mL', 'mL', '6.50', '静脉滴注', ['ST', 'QD', 'BID'], 500, 500],
  ['0.9%氯化钠注射液', '250mL', 'mL', '3.10', '静脉滴注', ['ST', 'BID', 'TID'], 100, 250],
  ['5%葡萄糖注射液', '250mL', 'mL', '3.30', '静脉滴注', ['ST', 'QD', 'BID'], 100, 250],
  ['脂肪乳氨基酸葡萄糖注射液', '1440mL', 'mL', '168.00', '静脉滴注', ['QD'], 1440, 1440],
  ['肠内营养混悬液(TPF)', '500mL', 'mL', '42.00', '鼻饲', ['QD', 'BID', 'TID'], 250, 500],
  ['枯草杆菌二联活菌肠溶胶囊', '250mg', 'mg', '1.80', '鼻饲', ['TID'], 500, 500],
  ['乳果糖口服溶液', '15mL', 'mL', '4.20', '鼻饲', ['TID', 'BID'], 15, 30],
  ['莫沙必利片', '5mg', 'mg', '1.40', '鼻饲', ['TID'], 5, 5],
  ['阿司匹林肠溶片', '100mg', 'mg', '0.50', '鼻饲', ['QD'], 100, 100],
  ['阿托伐他汀钙片', '20mg', 'mg', '5.60', '鼻饲', ['QN'], 20, 40],
  ['胺碘酮注射液', '3mL:150mg', 'mg', '19.80', '静脉泵入', ['CIV', 'ST'], 150, 600, 'alert'],
  ['艾司洛尔注射液', '2mL:200mg', 'mg', '46.50', '静脉泵入', ['CIV'], 200, 1000, 'alert'],
  ['硝酸甘油注射液', '1mL:5mg', 'mg', '4.70', '静脉泵入', ['CIV'], 10, 50],
  ['尼卡地平注射液', '10mL:10mg', 'mg', '33.10', '静脉泵入', ['CIV'], 20, 50],
  ['维生素K1注射液', '1mL:10mg', 'mg', '2.60', '肌肉注射', ['QD', 'ST'], 10, 20],
])

/** Orders that are no drug. */
export const careOrders = [
  { kind: '护理', content: '特级护理', frequency: 'QD' },
  { kind: '护理', content: '持续心电、血压、血氧饱和度监测', frequency: 'QD' },
  { kind: '护理', content: '翻身拍背', frequency: 'Q2H' },
  { kind: '护理', content: '口腔护理', frequency: 'Q6H' },
  { kind: '护理', content: '床头抬高30°', frequency: 'QD' },
  { kind: '护理', content: '记24小时出入量', frequency: 'QD' },
  { kind: '护理', content: '测中心静脉压', frequency: 'Q8H' },
  { kind: '治疗', content: '呼吸机辅助呼吸', frequency: 'QD' },
  { kind: '治疗', content: '气管内吸痰', frequency: 'Q6H' },
  { kind: '治疗', content: '连续性肾脏替代治疗(CVVHDF)', frequency: 'ST' },
  { kind: '治疗', content: '俯卧位通气', frequency: 'ST' },
  { kind: '检查', content: '床旁胸部X线', frequency: 'ST' },
  { kind: '检查', content: '床旁超声心动图', frequency: 'ST' },
  { kind: '检查', content: '头颅+胸部CT平扫', frequency: 'ST' },
  { kind: '检验', content: '血气分析', frequency: 'Q6H' },
  { kind: '检验', content: '血培养+药敏', frequency: 'ST' },
] as const

export interface Frequency {
  readonly code: string
  readonly name: string
  readonly perDay: string
  readonly hours: readonly number[]
}

export const frequencies: readonly Frequency[] = [
  { code: 'ST', name: '立即', perDay: '1', hours: [] },
  { code: 'QD', name: '每日一次', perDay: '1', hours: [9] },
  { code: 'QN', name: '每晚一次', perDay: '1', hours: [21] },
  { code: 'BID', name: '每日两次', perDay: '2', hours: [9, 17] },
  { code: 'TID', name: '每日三次', perDay: '3', hours: [9, 13, 17] },
  { code: 'Q12H', name: '每12小时一次', perDay: '2', hours: [9, 21] },
  { code: 'Q8H', name: '每8小时一次', perDay: '3', hours: [0, 8, 16] },
  { code: 'Q6H', name: '每6小时一次', perDay: '4', hours: [3, 9, 15, 21] },
  { code: 'Q2H', name: '每2小时一次', perDay: '12', hours: [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22] },
  { code: 'CIV', name: '持续静脉泵入', perDay: '4', hours: [4, 10, 16, 22] },
]

export const frequencyByCode = new Map(frequencies.map((frequency) => [frequency.code, frequency]))

export const diagnoses = [
  { code: 'A41.900', name: '脓毒症', pinyin: 'NDZ', severity: 1.1 },
  { code: 'R57.200', name: '感染性休克', pinyin: 'GRXXK', severity: 1.4 },
  { code: 'J15.902', name: '重症肺炎', pinyin: 'ZZFY', severity: 1 },
  { code: 'J80.x00', name: '急性呼吸窘迫综合征', pinyin: 'JXHXJPZHZ', severity: 1.2 },
  { code: 'J44.100', name: '慢性阻塞性肺疾病急性加重', pinyin: 'MXZSXFJBJXJZ', severity: 0.8 },
  { code: 'I21.900', name: '急性心肌梗死', pinyin: 'JXXJGS', severity: 0.9 },
  { code: 'I50.900', name: '急性心力衰竭', pinyin: 'JXXLSJ', severity: 0.9 },
  { code: 'I61.900', name: '脑出血', pinyin: 'NCX', severity: 0.9 },
  { code: 'I63.900', name: '大面积脑梗死', pinyin: 'DMJNGS', severity: 0.8 },
  { code: 'S06.900', name: '重型颅脑损伤', pinyin: 'ZXLNSS', severity: 1 },
  { code: 'T07.x00', name: '多发伤', pinyin: 'DFS', severity: 0.9 },
  { code: 'K85.900', name: '重症急性胰腺炎', pinyin: 'ZZJXYXY', severity: 1.1 },
  { code: 'K65.000', name: '急性弥漫性腹膜炎', pinyin: 'JXMMXFMY', severity: 1 },
  { code: 'K92.208', name: '上消化道大出血', pinyin: 'SXHDDCX', severity: 0.9 },
  { code: 'N17.900', name: '急性肾损伤', pinyin: 'JXSSS', severity: 0.8 },
  { code: 'E10.100', name: '糖尿病酮症酸中毒', pinyin: 'TNBTZSZD', severity: 0.7 },
  { code: 'T60.000', name: '有机磷农药中毒', pinyin: 'YJLNYZD', severity: 1 },
  { code: 'O72.100', name: '产后出血', pinyin: 'CHCX', severity: 0.8 },
  { code: 'Z98.800', name: '外科大手术后监护', pinyin: 'WKDSSHJH', severity: 0.5 },
  { code: 'I46.900', name: '心肺复苏后', pinyin: 'XFFSH', severity: 1.4 },
] as const
