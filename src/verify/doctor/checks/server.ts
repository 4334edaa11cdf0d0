/** What is said of the database server: its settings, its clock, its sequences. */
import type { Check, Topic } from '../check.ts'
import { above } from './above.ts'

export const serverChecks = {
  'source-unreachable': {
    severity: 'error',
    en: {
      title: 'The database cannot be reached as the role that reads',
      meaning: 'Nothing can be backed up. Everything that only the database knows was not looked at.',
    },
    zh: { title: '无法以读取角色连接数据库', meaning: '无法备份。凡需询问数据库的项目均未检查。' },
    run: ['chartkeep status'],
  },
  'clock-server': {
    severity: above('clockSkewSeconds', 'warning', { times: 30, severity: 'error' }),
    en: {
      title: "This machine's clock and the database's differ",
      meaning: 'Ages are wrong by as much, and a moment that somebody reads off a screen is another one than he means.',
    },
    zh: {
      title: '本机时钟与数据库服务器时钟不一致',
      meaning: '所有“距今多久”都相差这么多；按屏幕时间恢复会落在另一时刻。',
    },
    run: ['timedatectl status'],
  },
  'server-changes-logged': {
    severity: 'error',
    en: {
      title: 'The server does not log what capture reads',
      meaning: 'Changes cannot be followed: what happens between two snapshots is lost with the database.',
    },
    zh: { title: '服务器日志级别不足，无法跟踪变更', meaning: '两次快照之间的数据一旦数据库损坏即丢失。' },
    run: [],
  },
  'server-slot-limit': {
    severity: 'error',
    en: {
      title: 'The server sets replication slots no limit',
      meaning: 'When capture stops, the server keeps its log until its disk is full, and then the ward stands still.',
    },
    zh: { title: '服务器未限制复制槽保留的日志量', meaning: '捕获停止后日志会一直堆积，直到磁盘写满、临床系统停机。' },
    run: [],
  },
  'server-durable': {
    severity: 'error',
    en: {
      title: 'The server does not write durably',
      meaning: 'After a power cut the database may be damaged, and say nothing of it.',
    },
    zh: { title: '服务器未启用可靠写入', meaning: '断电后数据库可能损坏而无任何提示。' },
    run: [],
  },
  'server-synchronous-standby': {
    severity: 'error',
    en: {
      title: 'Commits may wait for chartkeep',
      meaning: 'synchronous_standby_names takes any session: every commit of the ward would wait for our network.',
    },
    zh: {
      title: '事务提交可能要等待 chartkeep',
      meaning: 'synchronous_standby_names 允许任意会话，临床系统的每次提交都会等待我们的网络。',
    },
    run: [],
  },
  'server-standby': {
    severity: 'error',
    en: {
      title: 'The source is a standby',
      meaning: 'Capture follows the primary. After a failover, point `url` at the server that took over.',
    },
    zh: { title: '源数据库是备库', meaning: '变更捕获须连接主库；发生切换后，请把 url 指向接管的服务器。' },
    run: ['chartkeep status'],
  },
  'server-encoding': {
    severity: 'notice',
    en: {
      title: 'The database has no encoding',
      meaning: 'Bytes are kept as they are; a rebuilt database must be SQL_ASCII as well.',
    },
    zh: { title: '数据库没有指定字符编码（SQL_ASCII）', meaning: '字节原样保存；重建的数据库也必须是 SQL_ASCII。' },
    run: [],
  },
  'server-slots-room': {
    severity: (left) => (left < 1 ? 'warning' : null),
    en: {
      title: 'All replication slots of the server are in use',
      meaning: 'After a failover or a lost slot, capture could not begin anew.',
    },
    zh: { title: '服务器的复制槽已用完', meaning: '主备切换或复制槽丢失后，捕获将无法重新开始。' },
    run: [],
  },
  'server-wraparound': {
    severity: above('frozenXidAge', 'error'),
    en: {
      title: 'The database comes near the end of its transaction numbers',
      meaning:
        'At the end the server refuses every write. VACUUM is held up by something: look at slots and old transactions.',
    },
    zh: { title: '数据库事务号即将耗尽', meaning: '耗尽后服务器拒绝一切写入。请检查复制槽和长事务为何阻碍 VACUUM。' },
    run: [],
  },
  'server-schema-tool': {
    severity: 'warning',
    en: {
      title: 'No pg_dump here that fits the server',
      meaning:
        'The schema is kept by our own statements: the usual kinds of objects; the manifest lists what is missing.',
    },
    zh: {
      title: '本机没有与服务器版本匹配的 pg_dump',
      meaning: '表结构只能用自带语句保存（常见对象），清单中会列出缺少的部分。',
    },
    run: ['chartkeep show'],
  },
  'server-old-transactions': {
    severity: above('openTransactionSeconds', 'warning'),
    en: {
      title: 'Transactions have been open for long',
      meaning: 'A new slot waits for them, and so does VACUUM; a forgotten PREPARE TRANSACTION never ends by itself.',
    },
    zh: { title: '存在长期未结束的事务', meaning: '新建复制槽与 VACUUM 都要等待；遗忘的两阶段事务不会自行结束。' },
    run: [],
  },
  'sequence-ending': {
    severity: above('sequenceShare', 'warning', { times: 1.2, severity: 'error' }),
    en: {
      title: 'A sequence comes near its end',
      meaning: "When it has no more numbers, the ward's inserts into its table fail.",
    },
    zh: { title: '序列即将用尽', meaning: '用尽后，临床系统向该表的插入全部失败。' },
    run: [],
  },
  'large-objects': {
    severity: 'warning',
    en: {
      title: 'There are large objects, which are not kept',
      meaning: 'Rows keep their numbers, and the contents behind them are lost with the database.',
    },
    zh: { title: '存在大对象（large object），其内容未备份', meaning: '行中只保留编号，内容会随数据库一起丢失。' },
    run: ['chartkeep show'],
  },
  'not-kept': {
    severity: 'warning',
    en: {
      title: 'Tables whose rows are not kept',
      meaning:
        'They belong to another database or to an extension. Whoever needs their rows has to keep them otherwise.',
    },
    zh: { title: '部分表的数据未备份', meaning: '它们属于外部数据库或扩展；如需保留，请另行备份。' },
    run: ['chartkeep show'],
  },
} as const satisfies Partial<Record<Topic, Check>>
