/** What the report of a guard says, in both languages. */
import type { Phrase } from '../report/language.ts'
import { WORDS } from '../report/words.ts'
import type { GuardEnd, GuardSnapshot } from './guard-report.ts'

export const HISTORY_WORDS: Readonly<Record<GuardEnd['history'], Phrase>> = {
  unchanged: {
    zh: '历史数据未被改变：变更前已存在的已归档、已关闭记录逐行一致',
    en: 'History is unchanged: records that were closed before the change are the same, row by row',
  },
  changed: { zh: '历史数据已被改变，见例外', en: 'History was changed: see the exceptions' },
  undecided: { zh: '无法判定：部分内容不能证明', en: 'Undecided: part of it could not be proved' },
}

export const PROVED_WORDS: Readonly<Record<GuardSnapshot['proved'], Phrase>> = {
  passed: { zh: '已与数据库逐行比对，一致', en: 'read beside the database, row by row: equal' },
  failed: { zh: '与数据库不一致', en: 'not what the database held' },
  inconclusive: WORDS.inconclusive,
  'not-compared': { zh: '未比对', en: 'not compared' },
}

export const GUARD_WORDS = {
  title: { zh: '系统变更数据守护报告', en: 'Upgrade guard report' },
  conclusion: { zh: '一、结论', en: '1  Conclusion' },
  scope: { zh: '二、变更与基线', en: '2  The change and its two ends' },
  rows: { zh: '三、数据变化', en: '3  Changes of rows' },
  schema: { zh: '四、结构变化', en: '4  Changes of the schema' },
  exceptions: { zh: '五、例外', en: '5  Exceptions' },
  limits: { zh: '六、方法与局限', en: '6  Method and limits' },
  signing: { zh: '七、签署', en: '7  Signatures' },
  reason: { zh: '变更事由', en: 'Reason' },
  begun: { zh: '守护开始', en: 'Begun' },
  ended: { zh: '守护结束', en: 'Ended' },
  before: { zh: '变更前快照', en: 'Snapshot before' },
  after: { zh: '变更后快照', en: 'Snapshot after' },
  proof: { zh: '快照证明', en: 'Proof of it' },
  size: { zh: '{tables} 张表，{rows} 行', en: '{rows} rows in {tables} tables' },
  rowsBefore: { zh: '变更前', en: 'Before' },
  updatedOpen: { zh: '修改 未关闭', en: 'Updated, open' },
  updatedClosed: { zh: '修改 已关闭', en: 'Updated, closed' },
  rowsAfter: { zh: '变更后', en: 'After' },
  same: {
    zh: '其余 {tables} 张表的根在变更前后相等：逐行一致。',
    en: 'The other {tables} tables have the same root before and after: they are equal, row by row.',
  },
  moved: {
    zh: '另有 {rows} 行在同一分区表内由一个分区移至另一分区：未丢失；其分区键有变者已计入修改。',
    en: 'Besides, {rows} rows are in another part of their partitioned table now: none of them is lost; where the partition key changed they count as updated.',
  },
  countNote: {
    zh: '“未关闭”含配置允许变化的类别及未配置关闭规则的记录；删除含全部记录。',
    en: 'Open includes categories that may change and records of which nothing says when they are closed; deletions are of all records.',
  },
  added: { zh: '新增对象', en: 'Added' },
  removed: { zh: '移除对象', en: 'Removed' },
  changedObjects: { zh: '定义改变', en: 'Changed' },
  columns: { zh: '列变化', en: 'Columns' },
  noSchema: { zh: '结构无变化。', en: 'The schema is the same.' },
  noExceptions: { zh: '无例外。', en: 'None.' },
  method: {
    zh: '变更前后各取一份一致性快照，并各自与数据库全量逐行比对；两份快照的表树逐层比较，根相等即全部行相等。',
    en: 'A consistent snapshot was taken before and after, each read beside the whole database; the trees of both were compared level by level, and equal roots mean equal rows.',
  },
  columnLimit: {
    zh: '新增或移除的列不参与逐行比较，另列于第四节。',
    en: 'Columns that only one side has take no part in the comparison of rows, and stand in section 4.',
  },
  trafficLimit: {
    zh: '守护期间病区的正常书写也计入变化：本报告不区分变更程序与日常业务对未关闭记录的修改。',
    en: 'What the wards wrote meanwhile counts, too: changes of open records by the upgrade and by daily work are not told apart.',
  },
  vendor: { zh: '变更实施方', en: 'Who carried out the change' },
  records: { zh: '病案室 / 医务部', en: 'Medical records' },
} as const satisfies Record<string, Phrase>
