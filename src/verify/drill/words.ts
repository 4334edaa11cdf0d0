/** What the report of a drill says, in both languages. */
import type { Phrase } from '../report/language.ts'
import type { DrillCheck, DrillReport, Scenario, StepName } from './drill-report.ts'

export const SCENARIO_WORDS: Readonly<Record<Scenario, Phrase>> = {
  database: { zh: '整库丢失', en: 'loss of the whole database' },
  table: { zh: '误删一张表', en: 'one table dropped by mistake' },
  patient: { zh: '单患者数据丢失', en: 'loss of one patient' },
  'random-moment': { zh: '随机时刻恢复', en: 'recovery to a random moment' },
}

export const STEP_WORDS: Readonly<Record<StepName, Phrase>> = {
  T0: { zh: '故障发生', en: 'fault' },
  T1: { zh: '发现', en: 'discovered' },
  T2: { zh: '报告', en: 'reported' },
  T3: { zh: '授权决策', en: 'authorised' },
  T4: { zh: '启动恢复', en: 'recovery begun' },
  T5: { zh: '数据恢复完成（行、主键、索引）', en: 'data restored (rows, keys, indexes)' },
  T6: { zh: '日志重放完成（先于装载合入）', en: 'changes replayed (folded in before loading)' },
  T7: { zh: '校验完成（全部根一致性计算）', en: 'verified (every root computed anew)' },
  T8: { zh: '业务验证完成', en: 'business questions answered' },
  T9: { zh: '演练环境清理完成', en: 'drill environment erased' },
}

export const STATUS_WORDS: Readonly<Record<DrillReport['status'], Phrase>> = {
  passed: {
    zh: '演练通过：副本可恢复，内容与备份逐根一致',
    en: 'Passed: the copy could be restored, and equals the backup root by root',
  },
  failed: { zh: '演练未通过', en: 'Failed' },
  inconclusive: {
    zh: '无法判定：有内容未能检查，不计为通过',
    en: 'Inconclusive: not everything could be looked at; this does not count as passed',
  },
}

export const OUTCOME_WORDS: Readonly<Record<DrillCheck['outcome'], Phrase>> = {
  same: { zh: '一致', en: 'same' },
  differs: { zh: '不一致', en: 'differs' },
  'moved-on': { zh: '源库已前进', en: 'source has gone on' },
  answered: { zh: '已应答', en: 'answered' },
  failed: { zh: '无应答', en: 'no answer' },
}

/** Of the clean-up: what was asked, as the report has it in English. */
export const CLEANUP_WORDS: Readonly<Record<string, Phrase>> = Object.fromEntries(
  [
    ['data directory is gone', '数据目录已不存在'],
    ['listing of its parent does not have it', '上级目录清单中已无此项'],
    ['server does not listen any more', '服务端口已关闭'],
    ['server does not list the database any more', '服务器的数据库清单中已无此库'],
    ['database cannot be opened any more', '该数据库已无法打开'],
    ['database holds no object any more', '数据库内已无任何对象'],
  ].map(([en, zh]) => [en, { zh: zh!, en: en! }]),
)

export const DRILL_WORDS = {
  title: { zh: '灾难恢复演练报告', en: 'Disaster recovery drill report' },
  summary: { zh: '一、结论', en: '1  Conclusion' },
  scope: { zh: '二、范围与环境', en: '2  Scope and environment' },
  timeline: { zh: '三、时间线', en: '3  Time line' },
  figures: { zh: '四、恢复指标', en: '4  Recovery figures' },
  verification: { zh: '五、数据核验', en: '5  Verification of the data' },
  questions: { zh: '六、业务验证', en: '6  Business questions' },
  loss: { zh: '七、与源库对照', en: '7  Beside the source' },
  problems: { zh: '八、问题与偏差', en: '8  Problems and deviations' },
  cleanup: { zh: '九、清理证明', en: '9  Proof of erasure' },
  statements: { zh: '十、依据与局限', en: '10  Basis and limits' },
  signing: { zh: '十一、签署', en: '11  Signatures' },

  held: { zh: '演练时间', en: 'Held' },
  scenario: { zh: '演练场景', en: 'Scenario' },
  object: { zh: '对象', en: 'Object' },
  authorisation: { zh: '授权', en: 'Authorisation' },
  notGiven: { zh: '未提供', en: 'not given' },
  backup: { zh: '备份集', en: 'Backup set' },
  manifest: { zh: '清单 SHA-256', en: 'SHA-256 of its manifest' },
  target: { zh: '恢复目标', en: 'Target' },
  state: { zh: '恢复到', en: 'State reached' },
  environment: { zh: '演练环境', en: 'Environment' },
  embedded: { zh: '独立临时服务器', en: 'scratch server of its own' },
  made: { zh: '演练服务器上的临时数据库', en: 'database made on the server for drills' },
  given: { zh: '指定数据库', en: 'database that was given' },
  replayed: { zh: '重放', en: 'Replayed' },
  transactions: {
    zh: '{segments} 段，{transactions} 个事务',
    en: '{transactions} transactions in {segments} segments',
  },
  sourceVersion: { zh: '源库版本', en: 'Source version' },

  figure: { zh: '指标', en: 'Figure' },
  measured: { zh: '实测', en: 'Measured' },
  allowed: { zh: '目标', en: 'Target' },
  rtoFault: { zh: 'RTO（自故障发生起）', en: 'RTO, from the fault' },
  rtoAuthorised: { zh: 'RTO（自授权起）', en: 'RTO, from the authorisation' },
  usable: { zh: '其中：数据可用（T5）', en: 'of that, data usable (T5)' },
  rpo: { zh: 'RPO', en: 'RPO' },
  met: { zh: '达到目标', en: 'met' },
  missed: { zh: '未达目标', en: 'missed' },
  noTarget: { zh: '未设目标', en: 'no target set' },
  rtoNote: {
    zh: '业务可用以 T8 为准：行、主键、索引就绪，全部根校验完成，业务问题已应答。T8 之后的对照读取与清理不计入 RTO。',
    en: 'Usable means T8: rows, keys and indexes are there, every root is verified and the questions are answered. What is read for comparison after T8 does not count.',
  },
  rpoNote: {
    zh: '截至 {at} 之前提交的事务均已在副本中，依据：{basis}。',
    en: 'Everything committed up to {at} is in the copy, by {basis}.',
  },
  heartbeat: { zh: '变更日志心跳', en: 'the heartbeat of the change log' },
  transaction: { zh: '最后一个恢复的事务', en: 'the last transaction recovered' },
  snapshot: { zh: '快照时刻', en: 'the time of the snapshot' },

  rows: { zh: '行数', en: 'Rows' },
  root: { zh: '根（SHA-256）', en: 'Root (SHA-256)' },
  equal: { zh: '一致', en: 'equal' },
  unequal: { zh: '不一致', en: 'differs' },
  verificationNote: {
    zh: '每张表的根由恢复后的数据逐行重新计算，并与备份清单比较；根相等即全部行、全部字段相等。',
    en: 'Each root was computed anew from the rows of the copy and compared with the manifest: equal roots mean equal rows, in every field.',
  },
  noTables: { zh: '恢复未进行到此步。', en: 'The recovery did not come this far.' },
  question: { zh: '问题', en: 'Question' },
  copy: { zh: '副本', en: 'Copy' },
  expected: { zh: '期望', en: 'Expected' },
  time: { zh: '耗时', en: 'Time' },
  rowsAnswered: { zh: '{rows} 行 · {digest}', en: '{rows} rows · {digest}' },
  noQuestions: {
    zh: '配置未给出业务问题，或本场景不适用。',
    en: 'The configuration names no questions, or the scenario has none.',
  },
  notRecovered: { zh: '未恢复的新增行', en: 'New rows not recovered' },
  changedSince: { zh: '其后被修改', en: 'Changed since' },
  deletedSince: { zh: '其后被删除', en: 'Deleted since' },
  lossNote: {
    zh: '源库读取时间 {at}，晚于故障时刻：其间写入的行也计入下表。',
    en: 'The source was read at {at}, after the fault: rows written in between count, too.',
  },
  lossNotRead: {
    zh: '未与源库对照（目标为历史时刻、场景不适用或源库不可询问）。',
    en: 'Not compared: a moment in the past, a scenario without it, or a source that is not asked.',
  },
  noLoss: { zh: '各表与源库逐行一致，无丢失行。', en: 'Every table equals the source row by row: no row is lost.' },
  severity: { zh: '级别', en: 'Severity' },
  kind: { zh: '类别', en: 'Kind' },
  message: { zh: '内容', en: 'What was found' },
  owner: { zh: '责任人 / 期限', en: 'Owner / due' },
  error: { zh: '错误', en: 'error' },
  warning: { zh: '警告', en: 'warning' },
  noProblems: { zh: '未发现问题。', en: 'No problem was found.' },
  deviations: { zh: '与方案的偏差', en: 'Deviations' },
  notRebuilt: { zh: '未重建的对象', en: 'Objects not rebuilt' },
  cleaned: { zh: '清理对象', en: 'What was erased' },
  notCleaned: {
    zh: '未能证明已清理：副本含患者数据，须人工清除。',
    en: 'Not proved: the copy holds patients and has to be removed by hand.',
  },
  nothingToClean: { zh: '未建立副本，无需清理。', en: 'No copy was made.' },
  standard: {
    zh: '参照 GB/T 20988-2025《网络安全技术 信息系统灾难恢复规范》关于灾难恢复演练与测试的要求记录。',
    en: 'Recorded with reference to GB/T 20988-2025, Cybersecurity technology: disaster recovery for information systems.',
  },
  levelLimit: {
    zh: '本报告仅给出数据备份要素的实测值，不构成灾难恢复能力等级的判定：等级由全部要素共同决定。',
    en: 'The figures concern the element of data backup alone. They establish no level of disaster recovery capability: a level depends on all elements together.',
  },
  copyLimit: {
    zh: '演练在隔离副本上进行，生产数据库未被写入。副本与生产在硬件、并发上的差异会影响 RTO。',
    en: 'The drill was held on a copy apart from production, which was not written to. Other hardware and load give another RTO.',
  },
  truthLimit: {
    zh: '一致性是相对于备份而言；不对数据录入时的真实性、准确性作出保证。',
    en: 'Equality is with the backup; nothing is said of whether the data were true when they were entered.',
  },
  said: { zh: '人工申报', en: 'as people said' },
  leader: { zh: '演练负责人', en: 'Leader of the drill' },
  witness: { zh: '见证人', en: 'Witness' },
} as const satisfies Record<string, Phrase>
