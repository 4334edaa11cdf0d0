/** What the pages of a certificate say, in both languages. Field notes, section 3.3, for the statements and limits. */
import type { Phrase } from '../../report/language.ts'
import type { CertificateExceptionClass, OpinionRule, Statement, Verdict } from '../document.ts'
import type { Reason } from '../explain.ts'

export const CERTIFICATE_WORDS = {
  title: { zh: '数据完整性核验证明', en: 'Certificate of Data Integrity' },
  number: { zh: '证明编号', en: 'Certificate no.' },
  organisation: { zh: '医院', en: 'Hospital' },
  system: { zh: '系统', en: 'System' },
  database: { zh: '数据库', en: 'Database' },
  baseline: { zh: '基线', en: 'Baseline' },
  end: { zh: '截止', en: 'End' },
  issued: { zh: '出具时间', en: 'Issued' },
  dataFile: { zh: '数据文件 certificate.json SHA-256', en: 'SHA-256 of certificate.json' },
  conclusion: { zh: '一、结论', en: '1. Conclusion' },
  scope: { zh: '二、范围与基线', en: '2. Scope and baseline' },
  method: { zh: '三、方法', en: '3. Method' },
  authenticity: { zh: '四、真实性：分类、分月平衡', en: '4. Authenticity: balance by category and month' },
  completeness: { zh: '五、完整性：编号与时序', en: '5. Completeness: numbers and hours' },
  usability: { zh: '六、可用性：查阅、调取、统计、导出', en: '6. Usability: looked up, retrieved, counted, exported' },
  safety: { zh: '七、副本与密钥', en: '7. Copies and keys' },
  recovery: { zh: '八、恢复能力', en: '8. Recovery' },
  exceptions: { zh: '九、例外清单', en: '9. Exceptions' },
  limits: { zh: '十、声明与局限', en: '10. Statements and limits' },
  signing: { zh: '十一、签署', en: '11. Signatures' },
  annex: { zh: '十二、附件与核验', en: '12. Annex and verification' },
  noLoss: { zh: '无丢失', en: 'No loss' },
  rowsThen: { zh: '基线行数', en: 'Rows at baseline' },
  rowsNow: { zh: '现有行数', en: 'Rows now' },
  updated: { zh: '修改', en: 'Updated' },
  unexplained: { zh: '无解释', en: 'Unexplained' },
  moved: { zh: '移入/移出', en: 'Moved in/out' },
  category: { zh: '分类', en: 'Category' },
  month: { zh: '月份', en: 'Month' },
  quietMonths: {
    zh: '同一分类中连续无变化的月份合并为一行；逐表逐月的明细见 tables.csv。',
    en: 'Months of a category in which nothing changed stand in one line where they follow each other; tables.csv has every table and month.',
  },
  statement: { zh: '声明', en: 'Statement' },
  population: { zh: '总体', en: 'Population' },
  sample: { zh: '样本', en: 'Sample' },
  failures: { zh: '失败', en: 'Failures' },
  bound: { zh: '上限 (95%)', en: 'Bound (95%)' },
  openExceptions: { zh: '例外', en: 'Exceptions' },
  transactions: { zh: '期间事务', en: 'Transactions' },
  tablesRoot: { zh: '证明根（各表）', en: 'Root of the certificate (tables)' },
  ledgerRoot: { zh: '台账根', en: 'Root of the ledger' },
  reason: { zh: '变更依据', en: 'Accounted for by' },
  changes: { zh: '变更数', en: 'Changes' },
  holesThen: { zh: '基线已有空号', en: 'Holes at baseline' },
  holesDeleted: { zh: '因删除', en: 'By deletion' },
  holesSuspect: { zh: '疑点', en: 'Suspect' },
  expected: { zh: '应有', en: 'Expected' },
  found: { zh: '实有', en: 'Found' },
  missingThen: { zh: '基线已缺', en: 'Missing at baseline' },
  lost: { zh: '基线有、现无', en: 'There at baseline, gone' },
  root: { zh: '根（截止）', en: 'Root at the end' },
  told: { zh: '逐事务', en: 'By transaction' },
  patients: { zh: '患者（假名）', en: 'Patients (pseudonyms)' },
  count: { zh: '数量', en: 'Count' },
  kind: { zh: '类别', en: 'Class' },
  id: { zh: '编号', en: 'No.' },
  andMore: { zh: '等', en: 'and more' },
  noExceptions: { zh: '没有例外。', en: 'There are no exceptions.' },
  noneCounted: { zh: '没有可计数的表。', en: 'No table could be counted.' },
  noSeries: { zh: '配置未指定时间序列。', en: 'The configuration names no series of values.' },
  drill: { zh: '演练', en: 'Drill' },
  noDrills: {
    zh: '存储库中没有恢复演练报告。未做演练本身即为例外。',
    en: 'The repository has no report of a drill. That none was held is an exception by itself.',
  },
  restores: { zh: '期间经批准的患者级恢复：{count} 次', en: 'Approved restores of patients in the period: {count}' },
  vendor: { zh: '运维执行人', en: 'Executed by (vendor)' },
  reviewer: { zh: '运维复核人', en: 'Reviewed by (vendor)' },
  informatics: { zh: '信息科', en: 'Informatics department' },
  icu: { zh: '重症医学科', en: 'Intensive care department' },
  records: { zh: '医务部 / 病案室', en: 'Medical affairs / records' },
  acceptance: { zh: '验收组', en: 'Acceptance group' },
  continuity: {
    zh: '快照 {snapshots} 个，其间 {told} 段的变更由变更日志逐事务给出',
    en: '{snapshots} snapshots; the change log tells {told} of the stretches between them by transaction',
  },
  copy: {
    zh: '从截止快照恢复副本于 {server}：{tables} 张表、{rows} 行，逐表根一致，用时 {seconds} 秒',
    en: 'A copy was restored from the end snapshot on {server}: {tables} tables, {rows} rows, every root equal, in {seconds} s',
  },
  noCopy: { zh: '未恢复副本。', en: 'No copy was restored.' },
  seed: { zh: '抽样种子（医院给定）：{seed}', en: 'Seed of the samples, from the hospital: {seed}' },
  copies: {
    zh: '数据包 {packs} 个，{bytes}；从未通读验证的 {neverProved} 个；最早一次通读 {oldest}；主密钥的开启方式 {wrappers} 种',
    en: '{packs} packs, {bytes}; {neverProved} of them never read through; the oldest reading is of {oldest}; {wrappers} ways to the master key',
  },
  closed: {
    zh: '其中在出科、归档之后发生的变更：{count}（{unexplained} 无解释）',
    en: 'Of these, after the record was closed: {count} ({unexplained} unexplained)',
  },
  verifyHow: {
    zh: '在本包目录中执行 node verify.mjs（Node.js 20 或以上，不联网）即可独立核验；手工核对步骤见 README_验证说明。请将下列密钥与恢复单比对。',
    en: 'Run `node verify.mjs` in the directory of this package (Node.js 20 or later, no network); README_验证说明 tells how to check by hand. Compare these keys with the recovery sheet.',
  },
} as const satisfies Record<string, Phrase>

export const VERDICT_WORDS: Readonly<Record<Verdict, Phrase>> = {
  unqualified: { zh: '无保留意见', en: 'Unqualified opinion' },
  qualified: { zh: '保留意见', en: 'Qualified opinion' },
  adverse: { zh: '否定意见', en: 'Adverse opinion' },
  disclaimer: { zh: '无法表示意见', en: 'Disclaimer of opinion' },
}

export const RULE_WORDS: Readonly<Record<OpinionRule, Phrase>> = {
  'balance-open': { zh: '行数平衡不成立', en: 'the rows do not add up' },
  'not-comparable': {
    zh: '有表的主键或归属列已变，无法逐行比对',
    en: "a table's key or anchor is another, so that rows cannot be told apart",
  },
  'not-demonstrated': { zh: '四项可用性未全部实测', en: 'not all four demonstrations were carried out' },
  'demonstration-failed': { zh: '可用性实测有失败', en: 'a demonstration failed' },
  'unexplained-share': {
    zh: '某一分类中无解释的变更超过基线行数的百分之一',
    en: 'of a category, changes without explanation exceed one row in a hundred',
  },
  unexplained: { zh: '有无解释的变更，见例外清单', en: 'there are changes without explanation: see the exceptions' },
  'structure-lost': { zh: '有表或列不复存在', en: 'a table or a column is gone' },
  'snapshot-missing': { zh: '期间有快照缺失或不可读', en: 'a snapshot in between is gone or cannot be read' },
  'no-drill': { zh: '半年内没有通过的恢复演练', en: 'no drill was passed within half a year' },
}

export const STATEMENT_WORDS: Readonly<Record<Statement, Phrase>> = {
  'look-up': { zh: '可查阅：按主键从副本查行', en: 'Can be looked up: rows by their key' },
  retrieve: { zh: '可调取：患者全部记录', en: 'Can be retrieved: all of a patient' },
  count: { zh: '可统计：副本重新计数', en: 'Can be counted: by the copy itself' },
  export: { zh: '可导出：导出后读回比对', en: 'Can be exported: and read back' },
}

/** What an exception tells of a demonstration that failed. */
export const FAILED_SENTENCES: readonly Phrase[] = [
  { zh: '{statement}，总体 {population}', en: '{statement} of {population}' },
  ...Object.entries({ 'look-up': '查阅', retrieve: '调取', count: '统计', export: '导出' }).map(([en, zh]) => ({
    zh,
    en,
  })),
]

export const REASON_WORDS: Readonly<Record<Reason, Phrase>> = {
  changeset: { zh: '经批准的恢复', en: 'an approved restore' },
  'audit-transaction': { zh: '应用审计（同一事务）', en: "the application's audit, same transaction" },
  'audit-time': { zh: '应用审计（时限之内）', en: "the application's audit, within the tolerance" },
  'audit-period': { zh: '应用审计（同一期间）', en: "the application's audit, same period" },
  'may-change': { zh: '按规则可变', en: 'may change by the rules' },
  'open-record': { zh: '记录尚未关闭', en: 'record not closed yet' },
  none: { zh: '无解释', en: 'nothing' },
}

export const EXCEPTION_WORDS: Readonly<Record<CertificateExceptionClass, Phrase>> = {
  'unexplained-update': { zh: '无解释的修改', en: 'update without explanation' },
  'unexplained-delete': { zh: '无解释的删除', en: 'deletion without explanation' },
  'changed-after-closing': { zh: '出科或归档后变更', en: 'changed after closing' },
  'table-gone': { zh: '表不复存在', en: 'table gone' },
  'column-gone': { zh: '列不复存在', en: 'column gone' },
  'not-comparable': { zh: '无法逐行比对', en: 'not comparable' },
  'snapshot-missing': { zh: '快照缺失', en: 'snapshot missing' },
  'key-holes': { zh: '编号空缺（疑点）', en: 'holes in numbers (suspect)' },
  'series-lost': { zh: '时段数据不复存在', en: 'hours of values gone' },
  'series-suspect': { zh: '时段无数据（疑点）', en: 'hours without values (suspect)' },
  'demonstration-failed': { zh: '可用性实测失败', en: 'demonstration failed' },
  'no-drill': { zh: '没有恢复演练', en: 'no drill' },
  copies: { zh: '副本', en: 'copies' },
}

/** Paragraphs of the method. */
export const METHOD: readonly Phrase[] = [
  {
    zh: '每行以数据库 COPY 文本格式（UTC、ISO 日期、全精度）为规范形式；每患者加盐，SHA-256 逐级汇总为各表的根（RFC 6962 结构）。根记入经签名的快照清单，清单记入只增台账。',
    en: 'A row is its COPY text under pinned settings (UTC, ISO dates, full precision). Rows are salted by patient and hashed by SHA-256 up to a root for each table; roots stand in signed manifests, manifests in an append-only ledger (RFC 6962).',
  },
  {
    zh: '自基线至截止，逐表同时遍历两棵树及其间变更日志，逐行判定新增、修改、删除（含期间产生又消失的行）。不以现库自证：现库不参与比对。',
    en: 'From baseline to end, both trees and the change log between them are walked together, and every row told as inserted, updated or deleted, also rows that came and went in between. The live database is not asked: it cannot vouch for itself.',
  },
  {
    zh: '每项修改、删除须有依据：经批准的恢复、应用自身的审计记录、或配置规定可变；均无者计为“无解释”并列入例外。新增以其为新增作为依据。',
    en: "Every update and deletion needs a reason: an approved restore, an entry of the application's own audit, or a rule of the configuration. What has none is counted as unexplained and listed. An insert is explained by being one.",
  },
  {
    zh: '抽样由医院给定的种子以 HMAC-SHA-256 计数器抽取，任何人可重复；上限为超几何分布的精确上限（单侧 95%）。',
    en: "Samples are drawn by an HMAC-SHA-256 counter from the hospital's seed, so that anybody can draw them again; bounds are exact, by the hypergeometric distribution (one-sided, 95 %).",
  },
]

export const LIMITS: readonly Phrase[] = [
  {
    zh: '本证明依据技术方法确认数据自基线以来的一致性，不对数据录入时的真实性、准确性作出保证；基线以前的历史数据仅确认其在基线时点的状态。',
    en: 'This certificate confirms by technical means that data are consistent since the baseline. It does not vouch for their truth when they were entered; of what was before the baseline it confirms the state at the baseline only.',
  },
  {
    zh: '编号空缺与时段缺数为疑点而非证据：回滚的新增也会留下空号，外出检查也会没有监护数据。',
    en: 'Holes in numbers and hours without values are suspects and no proof: an insert that was rolled back leaves a hole, and a patient in the theatre sends no values.',
  },
  {
    zh: '应用审计作为依据，只说明应用记录了该项变更，不说明该项变更在医疗上正确。',
    en: "An entry of the application's audit shows that the application recorded a change, and not that the change was right.",
  },
  {
    zh: '密码算法为 SHA-256 与 Ed25519（Node.js / OpenSSL 实现），未使用经认证的商用密码模块；未附第三方时间戳，时间以各系统时钟为准。',
    en: 'Algorithms are SHA-256 and Ed25519 as Node.js and OpenSSL have them; no certified cryptographic module was used. No time stamp of a third party is attached: times are those of the systems’ clocks.',
  },
  {
    zh: '未与 HIS、LIS、监护网关等外部系统对账；未备份的对象见第二节。',
    en: 'Nothing was reconciled with other systems (HIS, LIS, gateways). What is not backed up stands in section 2.',
  },
]

export const DECLARATION: Phrase = {
  zh: '经对{system}自基线时点（{baseline}）至截止时点（{end}）期间、第二节所列范围的全量历史诊疗数据进行核验：(1) 除例外清单所列外，未发现未经记录的修改或删除；(2) 可查阅、调取、统计、导出的检验方法、样本量与失败数见第六节；(3) 备份副本的恢复验证见第六、八节。',
  en: 'All records of {system} within the scope of section 2, from the baseline ({baseline}) to the end ({end}), were examined: (1) but for the exceptions listed, no update or deletion without a record was found; (2) how they can be looked up, retrieved, counted and exported was tried as section 6 says, with samples and failures; (3) that the backup can be restored is shown in sections 6 and 8.',
}

export const NOT_EXAMINED: Phrase = {
  zh: '因第一节所列原因，本证明不对数据是否完整作出结论；以下仅为所见事实。',
  en: 'For the reasons in section 1, this certificate comes to no conclusion as to whether the data are complete; what follows is what was seen.',
}
