/** What is said of what is kept: its age, its chain, what was proved of it, and restores that did not come to an end. */
import type { Check, Topic } from '../check.ts'
import { above } from './above.ts'

export const repositoryChecks = {
  'repository-closed': {
    severity: 'error',
    en: {
      title: 'The repository does not open',
      meaning: 'Nothing can be backed up or restored from here. What is kept was not looked at.',
    },
    zh: { title: '无法打开备份库', meaning: '本机无法备份也无法恢复；备份内容未检查。' },
    run: ['chartkeep snapshots'],
  },
  'snapshot-missing': {
    severity: 'error',
    en: { title: 'There is no snapshot of this source', meaning: 'Nothing is protected yet.' },
    zh: { title: '该数据源还没有快照', meaning: '目前没有任何保护。' },
    run: ['chartkeep backup'],
  },
  'snapshot-age': {
    severity: above('snapshotAgeSeconds', 'warning', { times: 3, severity: 'error' }),
    en: {
      title: 'The newest snapshot is old',
      meaning: 'A restore has to fold more changes, and tables that are not captured are as old as this.',
    },
    zh: { title: '最新快照过旧', meaning: '恢复要折叠更多变更；未捕获的表只能恢复到这个时间。' },
    run: ['chartkeep backup'],
  },
  'capture-not-set-up': {
    severity: 'warning',
    en: {
      title: 'Changes are not captured',
      meaning: 'What happened since the last snapshot is lost with the database.',
    },
    zh: { title: '尚未启用变更捕获', meaning: '上次快照之后的数据会随数据库一起丢失。' },
    run: ['chartkeep capture'],
  },
  'capture-not-running': {
    severity: 'error',
    en: { title: 'Nobody captures changes now', meaning: 'What the ward writes from now on is in no log.' },
    zh: { title: '变更捕获没有在运行', meaning: '从现在起临床系统写入的内容不在任何日志里。' },
    run: ['chartkeep capture'],
  },
  'changes-age': {
    severity: above('changesAgeSeconds', 'error'),
    en: {
      title: 'The change log is behind',
      meaning: 'Everything that was committed later than this is lost with the database.',
    },
    zh: { title: '变更日志滞后', meaning: '此时刻之后提交的内容会随数据库一起丢失。' },
    run: ['chartkeep status', 'chartkeep capture'],
  },
  'change-log-damaged': {
    severity: 'error',
    en: {
      title: 'The change log does not hold',
      meaning: 'A piece is missing or changed: moments behind it cannot be had.',
    },
    zh: { title: '变更日志不完整', meaning: '有片段缺失或被改动，其后的时间点无法恢复。' },
    run: ['chartkeep check', 'chartkeep backup'],
  },
  'change-log-shortened': {
    severity: 'error',
    en: {
      title: 'The newest pieces of the change log are gone from the store',
      meaning:
        'They were stored, and the database will not send their changes again. Only a copy of the store has them.',
    },
    zh: {
      title: '变更日志最新的片段已从存储中消失',
      meaning: '这些片段曾经写入，数据库不会再次发送其中的变更；只有存储的副本里还有。',
    },
    run: ['chartkeep status', 'chartkeep backup'],
  },
  'table-closed': {
    severity: 'warning',
    en: {
      title: 'A table was changed and has no points in time since',
      meaning: 'DDL changed it in a way that the log does not tell. A snapshot reads it anew.',
    },
    zh: { title: '有表结构变更后尚无时间点', meaning: 'DDL 的影响不在日志里；做一次快照即可重新读取。' },
    run: ['chartkeep backup'],
  },
  'gap-declared': {
    severity: 'warning',
    en: {
      title: 'The change log was broken off lately',
      meaning: 'Between the end of the old log and the first snapshot of the new one there are no points in time.',
    },
    zh: { title: '近期变更日志曾中断', meaning: '旧日志结束到新日志首个快照之间没有时间点。' },
    run: ['chartkeep status'],
  },
  'history-changed': {
    severity: 'error',
    en: {
      title: 'The database is not the one that is kept under this name',
      meaning: 'It was made anew, reloaded, upgraded, or is another one: its backups begin a history beside the old.',
    },
    zh: {
      title: '当前数据库与备份中的不是同一个',
      meaning: '数据库被重建、重新导入、升级，或连接了另一个库：新的备份将另起一段历史。',
    },
    run: ['chartkeep snapshots', 'chartkeep backup'],
  },
  'history-timeline': {
    severity: 'warning',
    en: {
      title: 'Another server took over, or the database was put back',
      meaning:
        'The timeline is another than in the last snapshot. What the old server alone had is kept in the old log.',
    },
    zh: {
      title: '发生过主备切换或数据库曾被还原',
      meaning: '时间线与上次快照不同；只存在于旧服务器的内容保存在旧日志里。',
    },
    run: ['chartkeep backup', 'chartkeep compare'],
  },
  'proof-age': {
    severity: above('proofAgeSeconds', 'warning'),
    en: {
      title: 'Not everything that is kept was read back lately',
      meaning: 'A disk loses bits in silence. Only what was read and proved is known to be there.',
    },
    zh: { title: '备份内容很久没有完整校验', meaning: '磁盘会悄悄丢失数据；只有读出并验证过的才算真的存在。' },
    run: ['chartkeep scrub'],
  },
  'compare-age': {
    severity: above('proofAgeSeconds', 'notice'),
    en: {
      title: 'The backup was not compared with the database lately',
      meaning: 'A scrub proves what was stored; only a comparison proves that it is what the database holds.',
    },
    zh: { title: '很久没有与数据库比对', meaning: '校验只证明存储完好；比对才证明与数据库一致。' },
    run: ['chartkeep compare'],
  },
  'orphan-packs': {
    severity: above('orphanPacks', 'notice'),
    en: {
      title: 'Backups that were cut off left packs behind',
      meaning: 'They harm nothing and take space. The next backup uses what it can of them.',
    },
    zh: { title: '中断的备份留下了孤立数据包', meaning: '无害但占空间；下一次备份会尽量复用。' },
    run: ['chartkeep backup', 'chartkeep check'],
  },
  'audit-chain': {
    severity: 'error',
    en: {
      title: 'The record of who did what is damaged',
      meaning: 'An entry is missing or was changed: it proves nothing any more.',
    },
    zh: { title: '审计记录受损', meaning: '有条目缺失或被改动，不再具有证明力。' },
    run: ['chartkeep audit', 'chartkeep check'],
  },
  'ledger-chain': {
    severity: 'error',
    en: {
      title: 'The ledger of snapshots is damaged',
      meaning: 'Nobody can prove any more which snapshots there have been.',
    },
    zh: { title: '快照账本受损', meaning: '无法再证明曾有过哪些快照。' },
    run: ['chartkeep check', 'chartkeep ledger verify --since CHECKPOINT'],
  },
  'restore-unfinished': {
    severity: 'error',
    en: {
      title: 'The end of a restore of a patient is not known',
      meaning: 'Its agent died behind COMMIT, or before. A new plan shows what is there now.',
    },
    zh: { title: '有患者恢复结果未知', meaning: '程序在提交前后中断。重新生成方案即可看到当前状态。' },
    run: ['chartkeep audit', 'chartkeep check'],
  },
  'emergency-open': {
    severity: 'warning',
    en: {
      title: 'An emergency restore was not counter-signed',
      meaning: 'It went ahead with one person, on a reason. Another one has to look at it and sign.',
    },
    zh: { title: '有紧急恢复尚未补签', meaning: '当时由一人凭理由执行，须由另一人复核并签字。' },
    run: ['chartkeep audit'],
  },
} as const satisfies Partial<Record<Topic, Check>>
