/** What is said of publication, tables and slots: how changes get from the database to the log. */
import type { Check, Topic } from '../check.ts'
import { above } from './above.ts'

const SETUP = ['chartkeep setup-sql > setup.sql', 'psql -d DATABASE -f setup.sql']

export const captureChecks = {
  'publication-missing': {
    severity: 'error',
    en: { title: 'There is no publication', meaning: 'Changes cannot be followed.' },
    zh: { title: '没有发布（publication）', meaning: '无法跟踪变更。' },
    run: SETUP,
  },
  'publication-shape': {
    severity: 'error',
    en: {
      title: 'The publication leaves something out, or sends it otherwise than capture reads it',
      meaning: 'Its tables have no points in time: they are read in full at each snapshot.',
    },
    zh: { title: '发布的选项不完整或不符合要求', meaning: '其中的表没有时间点恢复能力，每次快照都要完整读取。' },
    run: ['chartkeep backup'],
  },
  'publication-owner': {
    severity: 'warning',
    en: {
      title: 'The publication does not belong to our role',
      meaning: 'In an emergency we could not take a table out of it.',
    },
    zh: { title: '发布不归 chartkeep 角色所有', meaning: '紧急情况下无法把表移出发布。' },
    run: [],
  },
  'publication-drift': {
    severity: 'warning',
    en: {
      title: 'A table is not published',
      meaning:
        'It could be followed, and is not: it is read in full at each snapshot, and has no points in time between.',
    },
    zh: { title: '有表尚未加入发布', meaning: '该表本可跟踪却未跟踪：每次快照完整读取，两次快照之间没有时间点。' },
    run: [...SETUP, 'chartkeep backup'],
  },
  'publication-danger': {
    severity: 'error',
    en: {
      title: "The application's UPDATE and DELETE fail on a published table, or will on the next new one",
      meaning: 'It is published and has no usable replica identity. Take it out of the publication at once.',
    },
    zh: {
      title: '发布导致应用程序的 UPDATE/DELETE 失败（或新表将会如此）',
      meaning: '该表已发布却没有可用的复制标识，请立即移出发布。',
    },
    run: ['chartkeep backup'],
  },
  'table-unlogged': {
    severity: 'warning',
    en: {
      title: 'A table is unlogged',
      meaning: 'The server empties it after a crash, and its changes cannot be followed.',
    },
    zh: { title: '存在不写日志的表（UNLOGGED）', meaning: '服务器崩溃后该表会被清空，且无法跟踪变更。' },
    run: [],
  },
  'table-without-key': {
    severity: 'notice',
    en: {
      title: 'A table has no primary key',
      meaning: 'It is read in full at each snapshot, and has no points in time between.',
    },
    zh: { title: '有表没有主键', meaning: '每次快照完整读取，两次快照之间没有时间点。' },
    run: [],
  },
  'table-key-unusable': {
    severity: 'warning',
    en: {
      title: "A table's primary key cannot serve as its identity",
      meaning:
        'It is deferrable, invalid or computed: its changes cannot be followed, and must not be published (F44).',
    },
    zh: { title: '主键不能用作复制标识', meaning: '主键可延迟、无效或为计算列：无法跟踪，也不可发布。' },
    run: [],
  },
  'table-replica-identity': {
    severity: 'warning',
    en: {
      title: "A table's replica identity does not let its rows be found",
      meaning: 'It has a primary key and does not use it: the table is read in full at each snapshot.',
    },
    zh: { title: '表的复制标识设置不当', meaning: '有主键却未使用，因此每次快照都要完整读取该表。' },
    run: [],
  },
  'table-coarse': {
    severity: 'notice',
    en: {
      title: 'A table is known at snapshots only',
      meaning: 'Its changes cannot be told exactly. It is read in full each time.',
    },
    zh: { title: '有表只能按快照恢复', meaning: '其变更无法准确跟踪，每次快照完整读取。' },
    run: ['chartkeep status'],
  },
  'table-untracked': {
    severity: 'notice',
    en: {
      title: 'A backup cannot ask which rows of a table changed',
      meaning: 'Nothing is captured, and net changes are not tracked: every backup reads these tables in full.',
    },
    zh: {
      title: '备份无法得知表中哪些行有变化',
      meaning: '既未捕获变更，也未跟踪净变化：每次备份都要完整读取这些表。',
    },
    run: ['chartkeep setup-sql > setup.sql', 'chartkeep backup'],
  },
  'slot-missing': {
    severity: 'error',
    en: {
      title: 'The replication slot of the change log is gone',
      meaning: 'It was dropped, or the database was made anew. Capture begins another log, and a gap is declared.',
    },
    zh: { title: '变更日志对应的复制槽已不存在', meaning: '槽被删除或数据库被重建。捕获会另起一份日志，并声明缺口。' },
    run: ['chartkeep capture', 'chartkeep backup'],
  },
  'slot-lost': {
    severity: 'error',
    en: {
      title: 'The server has given up the slot',
      meaning: 'Capture stood still for longer than the server keeps its log. A gap is declared when it runs again.',
    },
    zh: { title: '服务器已放弃复制槽', meaning: '捕获停顿时间超过服务器保留的日志。重新运行后会声明缺口。' },
    run: ['chartkeep capture', 'chartkeep backup'],
  },
  'slot-idle': {
    severity: 'error',
    en: {
      title: 'Nobody follows the slot',
      meaning: 'No change is kept now, and the server keeps its log for us meanwhile.',
    },
    zh: { title: '没有进程在读取复制槽', meaning: '当前没有任何变更被保存，服务器同时在为我们堆积日志。' },
    run: ['chartkeep capture'],
  },
  'slot-retention': {
    severity: above('slotShare', 'warning', { times: 1.6, severity: 'error' }),
    en: {
      title: 'The slot comes near the limit of what the server keeps',
      meaning: 'At the limit the server gives it up, and there is a gap.',
    },
    zh: { title: '复制槽保留的日志接近上限', meaning: '达到上限后服务器会放弃该槽，出现缺口。' },
    run: ['chartkeep status', 'chartkeep capture'],
  },
  'slot-catalog-xmin': {
    severity: above('catalogXminAge', 'warning'),
    en: {
      title: 'The slot holds back the cleaning of the catalogs',
      meaning: 'They grow, and every statement of the application becomes slower.',
    },
    zh: { title: '复制槽阻碍系统表清理', meaning: '系统表膨胀，应用程序的每条语句都会变慢。' },
    run: ['chartkeep capture'],
  },
  'capture-job-still': {
    severity: above('captureJobSeconds', 'error'),
    en: {
      title: "The database's own capture job stands still",
      meaning:
        'No change is kept, and the transaction log grows until the job has gone through it. Nothing is lost yet.',
    },
    zh: {
      title: '数据库的捕获作业已停止',
      meaning: '当前没有变更被保存；作业读取之前事务日志会不断增长。目前尚无数据丢失。',
    },
    run: ['chartkeep capture'],
  },
  'changes-kept-short': {
    severity: (keptSeconds, { changesKeptSeconds }) => (keptSeconds < changesKeptSeconds ? 'warning' : null),
    en: {
      title: "The database's clean-up leaves changes for a short time only",
      meaning: 'A capture that stands still over a weekend is overtaken: there is a gap, and everything is read anew.',
    },
    zh: { title: '数据库清理变更过早', meaning: '捕获停顿一个周末就会被清理超过：出现缺口，并需重新完整读取。' },
    run: ['chartkeep status'],
  },
  'slot-foreign': {
    severity: 'warning',
    en: {
      title: 'Another slot holds back the log, and nobody follows it',
      meaning: "It is not ours, and we never drop it. It counts against the same disk as the ward's data.",
    },
    zh: {
      title: '另有无人读取的复制槽占用日志',
      meaning: '它不是我们的，我们不会删除；它占用的是临床数据所在的磁盘。',
    },
    run: [],
  },
} as const satisfies Partial<Record<Topic, Check>>
