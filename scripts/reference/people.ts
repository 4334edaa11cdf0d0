/** Names, addresses and the fixed facts of an invented person. Nobody in here exists. */
import { createHash } from 'node:crypto'
import { DAY, dateText, zonedText } from './moment.ts'
import type { Random } from './random.ts'
import { copyLine, NULL } from './tables.ts'

export type Sex = '男' | '女'

export interface Patient {
  readonly patientId: number
  readonly mrn: string
  readonly name: string
  readonly sex: Sex
  readonly ageYears: number
  readonly birthDate: string
  readonly heightCm: number
  readonly weightKg: number
}

const surnames = '王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎'
const givenMale = '伟强磊军洋勇杰涛明超刚平辉鹏华飞鑫波斌宇浩凯健俊帆志国建文海龙永庆福生德宏'
const givenFemale = '芳娜敏静丽艳娟霞秀兰玲桂英梅红玉萍燕云洁琳雪慧莉婷佳颖欣怡淑珍凤春'
const places = [
  '历下区泺源大街',
  '市中区经十路',
  '槐荫区张庄路',
  '天桥区堤口路',
  '历城区花园路',
  '长清区大学路',
  '章丘区明水街道',
  '济阳区纬二路',
]
const bloodGroups = ['A型Rh阳性', 'B型Rh阳性', 'O型Rh阳性', 'AB型Rh阳性', 'O型Rh阴性']
const allergens = ['青霉素', '头孢菌素', '磺胺类', '碘对比剂', '阿司匹林', '海鲜', '花粉']

export function mrnOf(patientId: number): string {
  return `ZY${10_000_000 + patientId}`
}

export function personName(random: Random, sex: Sex): string {
  const given = sex === '男' ? givenMale : givenFemale
  const second = random.chance(0.7) ? given[random.below(given.length)] : ''
  return `${surnames[random.below(surnames.length)]}${given[random.below(given.length)]}${second}`
}

export function makePatient(random: Random, patientId: number, second: number): Patient {
  const sex: Sex = random.chance(0.6) ? '男' : '女'
  const ageYears = Math.round(Math.min(98, Math.max(16, 64 + 14 * random.normal())))
  return {
    patientId,
    mrn: mrnOf(patientId),
    name: personName(random, sex),
    sex,
    ageYears,
    birthDate: dateText(second - Math.round(ageYears * 365.25 * DAY) - random.below(365) * DAY),
    heightCm: Math.round((sex === '男' ? 170 : 159) + 6 * random.normal()),
    weightKg: Math.round(((sex === '男' ? 68 : 58) + 10 * random.normal()) * 2) / 2,
  }
}

/** The line of `public.patient`. Some people have no known allergy (an empty array), of others nobody asked (NULL). */
export function patientLine(random: Random, patient: Patient, registeredAt: number, mergedInto?: number): string {
  const card = createHash('sha256')
    .update(`${patient.mrn}/${patient.birthDate}/${random.hex(8)}`)
    .digest('hex')
  return copyLine(
    patient.patientId,
    patient.mrn,
    patient.name,
    patient.sex,
    patient.birthDate,
    `\\\\x${card}`,
    random.chance(0.9) ? random.pick(bloodGroups) : NULL,
    allergyArray(random),
    random.chance(0.85) ? `199${String(random.below(100_000_000)).padStart(8, '0')}` : '',
    `山东省济南市${random.pick(places)}${random.within(1, 320)}号`,
    mergedInto ?? NULL,
    zonedText(registeredAt),
  )
}

function allergyArray(random: Random): string {
  if (random.chance(0.2)) return NULL
  if (random.chance(0.75)) return '{}'
  const first = random.pick(allergens)
  const second = random.pick(allergens)
  return first === second ? `{${first}}` : `{${first},${second}}`
}
