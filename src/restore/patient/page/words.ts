/** What the page of a plan says, in the languages of those who read it. */
import type { Policy, RowAction, UNMERGE_POLICIES } from '../plan.ts'
import type { PlanDocument } from '../plan-document.ts'
import type { RowStatus } from '../row-status.ts'

export const LANGUAGES = ['zh', 'en'] as const
export type Language = (typeof LANGUAGES)[number]

export interface Words {
  readonly titles: Readonly<Record<PlanDocument['kind']['kind'], string>>
  readonly nothingYet: string
  readonly patient: string
  readonly asOf: string
  readonly lookedAt: string
  readonly into: string
  readonly policy: string
  readonly policies: Readonly<Record<Policy, string>>
  readonly unmergePolicies: Readonly<Record<(typeof UNMERGE_POLICIES)[number], string>>
  readonly requester: string
  readonly expires: string
  readonly plan: string
  readonly digest: string
  readonly overview: string
  readonly category: string
  readonly table: string
  readonly same: string
  readonly statuses: Readonly<Record<RowStatus, string>>
  readonly actions: Readonly<Record<RowAction, string>>
  readonly total: string
  /** Tables in which nothing differs. */
  readonly rest: (tables: string) => string
  readonly rows: string
  readonly column: string
  readonly now: string
  readonly afterwards: string
  readonly none: string
  readonly masked: string
  readonly shown: string
  readonly older: string
  readonly lost: string
  readonly fresh: string
  readonly gone: string
  readonly leftOut: string
  readonly attention: string
  readonly conflict: string
  /** Before the pseudonym of whose a row will be. */
  readonly goesTo: string
  readonly more: (rows: string) => string
  readonly approval: string
  readonly approver: string
  readonly date: string
  readonly signatureNote: string
}

const zh: Words = {
  titles: { restore: '患者数据恢复方案', unmerge: '患者误合并的拆分方案', undo: '撤销恢复的方案' },
  nothingYet: '以下内容尚未写入数据库。经他人批准后方可执行；执行前会逐行核对，任何一行有变动即停止。',
  patient: '患者代号',
  asOf: '恢复到',
  lookedAt: '比对时间',
  into: '写入数据库',
  policy: '恢复方式',
  policies: {
    missing: '只补回缺失的行',
    changed: '补回缺失的行，并改回被修改的行',
    exact: '完全恢复：补回、改回，并移除新增的行',
  },
  unmergePolicies: {
    missing: '误移到另一患者名下的行全部归还原患者，并补回缺失的行；其余内容不动',
    changed: '误移到另一患者名下的行全部归还原患者并恢复原内容，补回缺失的行，改回被修改的行',
  },
  requester: '申请人',
  expires: '有效期至',
  plan: '方案编号',
  digest: '方案摘要 (SHA-256)',
  overview: '概览',
  category: '类别',
  table: '数据表',
  same: '一致',
  statuses: { missing: '缺失', changed: '被修改', moved: '归属已变', same: '一致', newer: '新增', conflicting: '冲突' },
  actions: { insert: '补回', update: '改回', delete: '移除', none: '不动' },
  total: '合计',
  rest: (tables) => `其余 ${tables} 个数据表，全部一致`,
  rows: '逐行内容',
  column: '字段',
  now: '现在',
  afterwards: '执行后',
  none: '无',
  masked: '字段值已遮盖。',
  shown: '本页含患者数据，请按病历保管。',
  older: '该数据表的变更未被跟踪，只能恢复到此前最近一次快照',
  lost: '以下字段已不存在，无法补回',
  fresh: '以下字段为后来新增，取默认值',
  gone: '所引用的记录已不存在',
  leftOut: '未包括',
  attention: '请注意',
  conflict: '冲突，保持不动',
  goesTo: '归还给',
  more: (rows) => `另有 ${rows} 行未在此页列出；方案文件中包含全部行。`,
  approval: '批准',
  approver: '批准人',
  date: '日期',
  signatureNote: '签字前请核对方案摘要与批准命令显示的一致。批准以电子签名为准，纸面签字仅供存档。',
}

const en: Words = {
  titles: {
    restore: 'Plan to restore a patient’s records',
    unmerge: 'Plan to take a wrong merge of two patients apart',
    undo: 'Plan to take a restore back',
  },
  nothingYet:
    'None of this has been written. Another person has to approve it; before it is carried out every row is compared again, and one that has moved stops it.',
  patient: 'Patient',
  asOf: 'As of',
  lookedAt: 'Compared at',
  into: 'Into database',
  policy: 'What is done',
  policies: {
    missing: 'rows that are missing are put back, nothing else',
    changed: 'missing rows are put back, changed rows are set back',
    exact: 'missing rows are put back, changed ones set back, new ones taken out',
  },
  unmergePolicies: {
    missing: 'rows that went to the other patient go back, missing rows are put back, nothing else',
    changed:
      'rows that went to the other patient go back as they were, missing rows are put back, changed rows set back',
  },
  requester: 'Asked for by',
  expires: 'Good until',
  plan: 'Plan',
  digest: 'Digest (SHA-256)',
  overview: 'Overview',
  category: 'Category',
  table: 'Table',
  same: 'same',
  statuses: {
    missing: 'missing',
    changed: 'changed',
    moved: 'moved',
    same: 'same',
    newer: 'new',
    conflicting: 'conflict',
  },
  actions: { insert: 'put back', update: 'set back', delete: 'take out', none: 'left' },
  total: 'Total',
  rest: (tables) => `${tables} other tables, in which nothing differs`,
  rows: 'Row by row',
  column: 'Column',
  now: 'Now',
  afterwards: 'Afterwards',
  none: 'none',
  masked: 'Values are masked.',
  shown: 'This page holds patient data: keep it as a record.',
  older: 'Changes of the table are not captured: as of the last snapshot before the moment',
  lost: 'Columns that are gone and cannot be put back',
  fresh: 'Columns that came since and take their defaults',
  gone: 'Rows that the patient’s refer to, and that are gone',
  leftOut: 'Left out',
  attention: 'Please note',
  conflict: 'conflicts, left alone',
  goesTo: 'goes to',
  more: (rows) => `${rows} more rows are not on this page; the plan’s file has all of them.`,
  approval: 'Approval',
  approver: 'Approver',
  date: 'Date',
  signatureNote:
    'Before signing, see that the digest is the one that the approval command shows. What counts is the electronic signature; this one is for the file.',
}

export const words: Readonly<Record<Language, Words>> = { zh, en }
