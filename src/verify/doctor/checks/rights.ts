/** What is said of the roles by which the database is read and written. */
import type { Check, Topic } from '../check.ts'
import { below } from './above.ts'

const SETUP = ['chartkeep setup-sql > setup.sql', 'psql -d DATABASE -f setup.sql']
const WRITER_SETUP = ['chartkeep setup-sql --writer > writer.sql', 'psql -d DATABASE -f writer.sql']

export const rightsChecks = {
  'role-rights': {
    severity: 'error',
    en: {
      title: 'The role that reads may not read every table',
      meaning: 'The next backup fails: a backup that leaves out tables in silence would be no backup.',
    },
    zh: { title: '读取角色缺少部分表的读取权限', meaning: '下一次备份会失败：悄悄漏掉表的备份不是备份。' },
    run: SETUP,
  },
  'role-rls': {
    severity: 'error',
    en: {
      title: 'Row-level security may hide rows from the role that reads',
      meaning: 'It has no BYPASSRLS. Backups of tables with policies fail, today or when a policy is added.',
    },
    zh: {
      title: '行级安全策略可能对读取角色隐藏数据',
      meaning: '该角色没有 BYPASSRLS；带策略的表现在或将来都会备份失败。',
    },
    run: SETUP,
  },
  'role-replication': {
    severity: 'error',
    en: {
      title: 'The role that reads may not follow changes',
      meaning: 'It has no REPLICATION: capture cannot begin.',
    },
    zh: { title: '读取角色无权跟踪变更', meaning: '该角色没有 REPLICATION 权限，无法捕获。' },
    run: SETUP,
  },
  'role-too-mighty': {
    severity: 'warning',
    en: {
      title: 'The role that reads may do more than read',
      meaning:
        'Whoever gets hold of its password could change patients. Our sessions are read-only, but a thief is not us.',
    },
    zh: { title: '读取角色权限过大', meaning: '密码泄露即可被用来改动患者数据。本软件的会话是只读的，窃取者的不是。' },
    run: SETUP,
  },
  'role-expires': {
    severity: below('passwordDays', 'warning'),
    en: { title: 'The password of the role that reads runs out', meaning: 'From then on there are no backups.' },
    zh: { title: '读取角色的密码即将过期', meaning: '过期后不再有备份。' },
    run: [],
  },
  'writer-unreachable': {
    severity: 'error',
    en: {
      title: 'The database cannot be reached as the role that writes',
      meaning: 'No patient can be put back. One learns that now, and not at three in the morning.',
    },
    zh: { title: '无法以写入角色连接数据库', meaning: '无法恢复患者数据。现在发现好过凌晨三点才发现。' },
    run: WRITER_SETUP,
  },
  'writer-rights': {
    severity: 'error',
    en: {
      title: 'The role that writes may not write every table',
      meaning: 'A restore of a patient with rows in one of them is refused as a whole.',
    },
    zh: { title: '写入角色缺少部分表的写入权限', meaning: '涉及这些表的患者恢复会被整体拒绝。' },
    run: WRITER_SETUP,
  },
  'writer-rls': {
    severity: 'error',
    en: {
      title: 'Row-level security may hide rows from the role that writes',
      meaning: 'Rows that it does not see cannot be compared with a plan: restores of such tables are refused.',
    },
    zh: { title: '行级安全策略可能对写入角色隐藏数据', meaning: '看不到的行无法与方案比对，相关恢复会被拒绝。' },
    run: WRITER_SETUP,
  },
  'writer-too-mighty': {
    severity: 'warning',
    en: {
      title: 'The role that writes may do more than that',
      meaning: 'It needs rows, and neither tables nor roles.',
    },
    zh: { title: '写入角色权限过大', meaning: '它只需要读写行，不需要管理表或角色。' },
    run: WRITER_SETUP,
  },
  'writer-expires': {
    severity: below('passwordDays', 'warning'),
    en: { title: 'The password of the role that writes runs out', meaning: 'From then on no patient can be put back.' },
    zh: { title: '写入角色的密码即将过期', meaning: '过期后无法恢复患者数据。' },
    run: [],
  },
} as const satisfies Partial<Record<Topic, Check>>
