/**
 * The wording of nursing records and of documents: sentences of the field with gaps for what was measured. A text is
 * put together from the patient's own values, so that it agrees with the charted ones.
 */
import { type VitalCourse, vital } from './course.ts'
import type { Random } from './random.ts'

/** What a text says of a patient: what was measured at that moment, and the machine's settings. */
export interface Bedside {
  readonly course: VitalCourse
  readonly isVentilated: boolean
  readonly ventilator: { readonly mode: string; readonly fio2: number; readonly peep: number }
}

type Phrase = (stay: Bedside, random: Random) => string

const consciousness = ['神志清楚', '嗜睡状态', '药物镇静状态', '浅昏迷', '神志模糊，躁动不安', '谵妄状态']
const sputum = ['少量白色稀薄痰', '中量白色黏痰', '中量黄色黏痰', '大量黄白色黏痰', '少量血性痰']
const skin = ['全身皮肤完整无破损', '骶尾部皮肤发红，已予减压敷料保护', '双下肢轻度水肿', '左足跟Ⅰ期压力性损伤，已换药']
const abdomen = ['腹软，无压痛', '腹部膨隆，肠鸣音弱', '腹软，肠鸣音3次/分', '腹部切口敷料清洁干燥']
const catheters = [
  '右颈内静脉置管',
  '左锁骨下静脉置管',
  '右股静脉透析置管',
  '左桡动脉置管',
  '留置胃管',
  '留置尿管',
  '腹腔引流管',
]
const family = ['已向家属交代病情，表示理解', '家属探视，情绪稳定', '夜间安静入睡', '约束带使用中，末梢血运好']

const openings: readonly Phrase[] = [
  (stay, random) =>
    `患者${consciousness[random.below(consciousness.length)]}，双侧瞳孔等大等圆，直径约${(2 + random.below(4) / 2).toFixed(1)}mm，对光反射${random.chance(0.8) ? '灵敏' : '迟钝'}，体温${stay.course.text(vital.TEMP)}℃。`,
  (stay) =>
    `遵医嘱持续心电监护，示${Number(stay.course.text(vital.HR)) > 100 ? '窦性心动过速' : '窦性心律'}，心率${stay.course.text(vital.HR)}次/分，血压${stay.course.text(vital.ABPS)}/${stay.course.text(vital.ABPD)}mmHg，血氧饱和度${stay.course.text(vital.SPO2)}%。`,
]

const breathing: readonly Phrase[] = [
  (stay) =>
    stay.isVentilated
      ? `经口气管插管接呼吸机辅助通气，模式${stay.ventilator.mode}，FiO2 ${Math.round(stay.ventilator.fio2)}%，PEEP ${Math.round(stay.ventilator.peep)}cmH2O，插管深度23cm，固定妥善。`
      : `鼻导管吸氧${stay.course.severity > 0.6 ? 5 : 3}L/min，呼吸${stay.course.text(vital.RR)}次/分，无明显呼吸困难。`,
  (stay, random) =>
    `予翻身拍背、${stay.isVentilated ? '气管内' : '经口鼻'}吸痰，吸出${random.pick(sputum)}，吸痰后双肺呼吸音${random.chance(0.6) ? '清' : '粗'}。`,
]

const body: readonly Phrase[] = [
  (_stay, random) => `${random.pick(skin)}，予温水擦浴，每2小时更换体位。`,
  (_stay, random) =>
    `${random.pick(abdomen)}，鼻饲肠内营养${random.within(2, 8) * 10}mL/h，回抽胃残余${random.within(0, 12) * 10}mL。`,
  (_stay, random) => `${random.pick(catheters)}固定良好，穿刺点无渗血渗液，敷料干燥。`,
  (_stay, random) => `尿色${random.chance(0.8) ? '淡黄清亮' : '深黄'}，近2小时尿量${random.within(4, 30) * 10}mL。`,
  (stay) =>
    `${stay.course.severity > 0.8 ? '去甲肾上腺素持续泵入维持血压,' : '血管活性药物已减停,'}末梢${stay.course.severity > 0.9 ? '湿冷' : '温暖'}。`,
  (_stay, random) => `${random.pick(family)}。`,
]

/** A nursing record of some 130 to 200 characters. */
export function nursingText(stay: Bedside, random: Random): string {
  const sentences = [openings[0], openings[1], random.pick(breathing)].map((phrase) => (phrase as Phrase)(stay, random))
  const first = random.below(body.length)
  sentences.push((body[first] as Phrase)(stay, random))
  if (random.chance(0.6))
    sentences.push((body[(first + 1 + random.below(body.length - 1)) % body.length] as Phrase)(stay, random))
  return sentences.join('')
}

const findings: readonly Phrase[] = [
  ...openings,
  ...breathing,
  ...body,
  () => '双肺呼吸音粗，可闻及散在湿啰音，未闻及哮鸣音。心律齐，各瓣膜听诊区未闻及病理性杂音。',
  () => '床旁胸片示双肺纹理增多紊乱，右下肺斑片状渗出影，较前片稍有吸收，心影不大，肋膈角变钝。',
  (stay) =>
    `血流动力学：平均动脉压${stay.course.text(vital.ABPM)}mmHg，中心静脉压${stay.course.text(vital.CVP)}cmH2O，乳酸较前${stay.course.severity > 0.7 ? '升高' : '下降'}，毛细血管再充盈时间2秒。`,
  () => '床旁超声：下腔静脉内径1.8cm，呼吸变异率约20%，左室收缩功能可，未见心包积液。',
  () => '连续肾脏替代治疗运行平稳，枸橼酸局部抗凝，滤器后离子钙0.32mmol/L，跨膜压无明显升高。',
  () => '痰培养回报肺炎克雷伯菌，对美罗培南、阿米卡星敏感，血培养双侧双瓶五日未见细菌生长。',
]

const plans: readonly string[] = [
  '继续呼吸机辅助通气，肺保护性通气策略，潮气量6~8mL/kg理想体重，平台压控制在30cmH2O以下，每日评估自主呼吸试验。',
  '继续抗感染治疗，动态监测体温、血常规、降钙素原变化，及时复查病原学，根据药敏结果调整抗菌药物。',
  '限制性液体管理，保持每日出入量负平衡，监测尿量、肌酐及电解质，必要时行肾脏替代治疗。',
  '镇痛镇静目标RASS -2~0分，每日唤醒，CAM-ICU评估谵妄，注意血流动力学变化。',
  '肠内营养支持，床头抬高30°，目标热卡25kcal/(kg·d)，监测胃残余量，预防误吸及应激性溃疡。',
  '低分子肝素预防深静脉血栓，双下肢间歇充气加压，注意有无出血倾向，复查凝血功能及D-二聚体。',
  '加强气道管理，翻身拍背，按需吸痰，监测气囊压力25~30cmH2O，落实呼吸机相关性肺炎集束化预防措施。',
  '控制血糖7.8~10.0mmol/L，每2小时监测床旁血糖，调整胰岛素泵速，警惕低血糖发生。',
  '患者病情危重，随时可能出现呼吸循环衰竭、多器官功能障碍而危及生命，已向家属详细交代病情，家属表示理解并签字。',
]

/** A paragraph of findings, `count` sentences long. */
export function findingsText(stay: Bedside, random: Random, count: number): string {
  let text = ''
  for (let i = 0; i < count; i++) text += random.pick(findings)(stay, random)
  return text
}

/** A numbered plan of treatment. */
export function planText(random: Random, count: number): string {
  const start = random.below(plans.length)
  const lines: string[] = []
  for (let i = 0; i < count; i++) lines.push(`${i + 1}.${plans[(start + i) % plans.length]}`)
  return lines.join('\n')
}
