/** What a guard finds, in both languages: the report keeps the English, paper says either. */
import type { Phrase } from '../report/language.ts'
import { PROVED_WORDS } from './words.ts'

export const GUARD_SENTENCES = {
  unlike: {
    zh: '快照 {snapshot} 与数据库不一致：{remark}',
    en: 'snapshot {snapshot} is not what the database held: {remark}',
  },
  unproved: {
    zh: '快照 {snapshot} 未经与数据库比对证明：{remark}',
    en: 'snapshot {snapshot} was not proved against the database: {remark}',
  },
  gone: { zh: '表 {table} 不复存在，原有 {rows} 行', en: 'table {table} of {rows} rows is gone' },
  notComparable: { zh: '表 {table} 无法比对：{reason}', en: 'table {table} could not be compared: {reason}' },
  columnsGone: {
    zh: '表 {table} 失去列 {columns}，涉及 {rows} 行',
    en: 'table {table} has lost {columns} of {rows} rows',
  },
  closedChanged: {
    zh: '表 {table}：已关闭记录中有 {rows} 行被修改',
    en: 'table {table}: {rows} rows of closed records were changed',
  },
  deleted: {
    zh: '表 {table}：{rows} 行被删除，其中 {closed} 行属于已关闭记录',
    en: 'table {table}: {rows} rows were deleted, {closed} of them of closed records',
  },
  unknown: {
    zh: '表 {table}：变更前已有的 {rows} 行被修改或删除，而配置未规定其记录何时关闭',
    en: 'table {table}: {rows} rows that were there before were changed or deleted, and nothing says when its records are closed',
  },
  otherKey: { zh: '主键已变', en: 'its primary key is another' },
  otherAnchor: { zh: '归属患者的列已变', en: 'the column that leads to the patient is another' },
} as const satisfies Record<string, Phrase>

/** Of the comparison of a snapshot with its database (`../compare.ts`): a guard quotes the first. */
const REMARKS: readonly Phrase[] = [
  {
    zh: '表 {table}：缺 {missing} 行，多 {extra} 行，{changed} 行不同',
    en: 'table {table}: {missing} rows missing, {extra} extra, {changed} changed',
  },
  { zh: '数据库中没有表 {table}（{rows} 行）', en: 'table {table} of {rows} rows is not in the database' },
  {
    zh: '表 {table} 的列与快照不同：{changes}',
    en: 'table {table} has other columns than in the snapshot: {changes}',
  },
  { zh: '表 {table} 在数据库中而不在快照中', en: 'table {table} is in the database, and not in the snapshot' },
  {
    zh: '变更日志无法说明快照 {snapshot} 之后 {tables} 的变化',
    en: 'the change log cannot tell what happened since snapshot {snapshot} to {tables}',
  },
  {
    zh: '快照 {snapshot} 之后数据库已前进（快照位于 {then}，现位于 {now}），差异可能出自应用（{reason}）',
    en: 'the database has gone on since snapshot {snapshot} (taken at {then}, now at {now}), and {reason}: the application may have made these differences',
  },
  { zh: '未能检查 {what}：{reason}', en: 'could not look at {what}: {reason}' },
]

export const ALL_GUARD_SENTENCES: readonly Phrase[] = [
  ...Object.values(GUARD_SENTENCES),
  ...REMARKS,
  ...Object.values(PROVED_WORDS),
]
