/** What is said of the configuration: which tables mean what, who may write, how many have to say yes. */
import type { Check, Topic } from '../check.ts'

const DRAFT = ['chartkeep discover URL > draft.yaml']

export const layoutChecks = {
  'layout-tables': {
    severity: 'error',
    en: {
      title: 'The configuration names a table that the database does not have',
      meaning: 'The next backup is refused. The table was renamed or dropped, or is misspelt.',
    },
    zh: { title: '配置引用了不存在的表', meaning: '下一次备份会被拒绝。表可能已改名、删除或拼写有误。' },
    run: DRAFT,
  },
  'layout-columns': {
    severity: 'error',
    en: {
      title: 'The configuration names a column that its table does not have',
      meaning: 'Rows would not be found for their patient.',
    },
    zh: { title: '配置引用了不存在的列', meaning: '这些行将无法归到患者名下。' },
    run: DRAFT,
  },
  'exclude-unknown': {
    severity: 'warning',
    en: {
      title: '`exclude` names a table that is not there',
      meaning: 'What was meant is backed up all the same, or was renamed.',
    },
    zh: { title: 'exclude 中的表不存在', meaning: '原本想排除的表可能仍在备份，或已改名。' },
    run: DRAFT,
  },
  'tables-excluded': {
    severity: 'notice',
    en: {
      title: 'Tables are left out on purpose',
      meaning: 'Their rows are lost with the database. Somebody should know why.',
    },
    zh: { title: '有表被有意排除', meaning: '其数据会随数据库丢失，应有人清楚原因。' },
    run: ['chartkeep show'],
  },
  'tables-without-anchor': {
    severity: 'warning',
    en: {
      title: "A table refers to patients' rows and has no anchor",
      meaning:
        'It is backed up, and is not part of its patients: restores of a patient look through it only where it is small.',
    },
    zh: {
      title: '有表引用患者数据却没有锚点（anchor）',
      meaning: '该表已备份，但不属于任何患者：恢复患者时只在表很小的情况下查找。',
    },
    run: DRAFT,
  },
  'tables-without-category': {
    severity: 'notice',
    en: { title: 'A table has no category', meaning: 'It is counted under 其他.' },
    zh: { title: '有表没有归类', meaning: '统计时计入“其他”。' },
    run: DRAFT,
  },
  'anchor-leads-nowhere': {
    severity: 'error',
    en: {
      title: "A table's anchor does not lead to the patient",
      meaning: 'No chain of links goes from it to the key of the patient table: its rows are found for nobody.',
    },
    zh: { title: '锚点无法追溯到患者', meaning: '没有从该锚点到患者主键的关联链：其数据归不到任何患者。' },
    run: DRAFT,
  },
  'patient-unset': {
    severity: 'warning',
    en: {
      title: 'The configuration knows no patients',
      meaning: 'Databases can be restored, and no single patient.',
    },
    zh: { title: '配置中没有患者表', meaning: '只能恢复整个数据库，无法恢复单个患者。' },
    run: DRAFT,
  },
  'writer-unset': {
    severity: 'notice',
    en: {
      title: 'No role is configured that may write',
      meaning: 'A patient can be looked at and exported, and not be put back.',
    },
    zh: { title: '未配置写入角色', meaning: '可以查看和导出患者数据，但不能恢复到数据库。' },
    run: ['chartkeep setup-sql --writer > writer.sql', 'psql -d DATABASE -f writer.sql'],
  },
  'writer-shared': {
    severity: 'error',
    en: {
      title: 'One role reads and writes',
      meaning: 'The password that lies on the backup machine could change patients.',
    },
    zh: { title: '读取与写入使用同一角色', meaning: '备份机上的密码就能改动患者数据。' },
    run: ['chartkeep setup-sql --writer > writer.sql', 'psql -d DATABASE -f writer.sql'],
  },
  'trigger-columns': {
    severity: 'warning',
    en: {
      title: '`triggerColumns` names a column that is not there',
      meaning: 'A restore would hold a difference that a trigger makes for an error, and roll back.',
    },
    zh: { title: 'triggerColumns 引用了不存在的列', meaning: '恢复时会把触发器造成的差异当作错误而回滚。' },
    run: DRAFT,
  },
  'slot-unlimited-by-choice': {
    severity: 'warning',
    en: {
      title: 'Somebody allowed a slot without a limit',
      meaning: '`allowUnlimitedSlot` is set: the disk of the server is guarded by `slotBytesMax` alone, or by nothing.',
    },
    zh: {
      title: '配置允许无上限的复制槽',
      meaning: '已设置 allowUnlimitedSlot：服务器磁盘只靠 slotBytesMax 保护，或完全没有保护。',
    },
    run: ['chartkeep status'],
  },
  'one-person-approval': {
    severity: 'warning',
    en: {
      title: 'One person alone may change patients',
      meaning: '`approval: one-person` is set. Every record of a restore says so.',
    },
    zh: { title: '单人即可批准恢复', meaning: '已设置 approval: one-person，每份恢复记录都会注明。' },
    run: ['chartkeep key create --role approver --name NAME --out FILE'],
  },
} as const satisfies Partial<Record<Topic, Check>>
