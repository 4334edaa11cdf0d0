/** What a drill finds and remarks, in both languages: the report keeps the English, paper says either. */
import type { Phrase } from '../report/language.ts'
import { NOT_KEPT_SENTENCES } from '../report/not-kept-sentences.ts'

export const DRILL_SENTENCES = {
  ended: { zh: '恢复中断：{why}', en: 'the recovery ended: {why}' },
  answersOtherwise: { zh: '问题“{question}”：副本应答不同', en: "question '{question}': the copy answers otherwise" },
  gaveNoAnswer: { zh: '问题“{question}”：副本无应答', en: "question '{question}': the copy gave no answer" },
  missed: {
    zh: '{figure} 实测 {measured} 秒，允许 {allowed} 秒',
    en: '{figure} of {measured} s was measured, {allowed} s are allowed',
  },
  nobodyKnows: { zh: '无从得知副本是否已清除', en: 'nobody knows whether the copy was cleared' },
  notCleared: { zh: '{what} 未清除', en: '{what} was not cleared' },
  /** What lies between snapshots cannot be drilled. */
  noLog: {
    zh: '没有与任何快照相接的变更日志：演练恢复到快照',
    en: 'no captured changes carry on from any snapshot: the drill goes to a snapshot',
  },
  notKept: { zh: '时刻 {at} 未保留：{why}', en: '{at} is not kept: {why}' },
  tailNotCompared: {
    zh: '未核对变更日志末端：{why}',
    en: 'the end of the change log was not compared: {why}',
  },
  sourceNotCompared: { zh: '未与源库对照：{why}', en: 'the source was not compared: {why}' },
  copyNotCleared: { zh: '副本未能清除：{why}', en: 'the copy could not be cleared: {why}' },
  tailGone: {
    zh: '变更日志 {log} 止于 {end}，而数据库曾被告知已保留至 {told}：最新的日志段已丢失',
    en: 'change log {log} ends at {end}, and the database was told that it is kept up to {told}: its newest segments are gone',
  },
} as const satisfies Record<string, Phrase>

/** Why a recovery ended, by the words of other parts. */
const REASONS: readonly Phrase[] = [
  {
    zh: '{table}：患者数据恢复后，其根与备份不同',
    en: '{table}: after the patient was put back, its root is another',
  },
]

export const ALL_DRILL_SENTENCES: readonly Phrase[] = [
  ...Object.values(DRILL_SENTENCES),
  ...REASONS,
  ...NOT_KEPT_SENTENCES,
]
