/** What every report says, whatever it is about. A report's own words lie beside it. */
import type { Phrase } from './language.ts'

export const WORDS = {
  page: { zh: '第 {page} 页 · 共 {pages} 页', en: 'Page {page} of {pages}' },
  documentNumber: { zh: '编号', en: 'No.' },
  jsonDigest: { zh: '数据文件 SHA-256', en: 'SHA-256 of the data file' },
  name: { zh: '姓名', en: 'Name' },
  signature: { zh: '签字', en: 'Signature' },
  date: { zh: '日期', en: 'Date' },
  seal: { zh: '（盖章）', en: '(seal)' },
  passed: { zh: '通过', en: 'passed' },
  failed: { zh: '未通过', en: 'failed' },
  inconclusive: { zh: '无法判定', en: 'inconclusive' },
  none: { zh: '无', en: 'none' },
  notMeasured: { zh: '未测', en: 'not measured' },
  total: { zh: '合计', en: 'Total' },
  number: { zh: '报告编号', en: 'Report no.' },
  source: { zh: '数据源', en: 'Source' },
  actor: { zh: '执行人', en: 'Executed by' },
  table: { zh: '表', en: 'Table' },
  category: { zh: '类别', en: 'Category' },
  inserted: { zh: '新增', en: 'Inserted' },
  deleted: { zh: '删除', en: 'Deleted' },
  result: { zh: '结果', en: 'Result' },
  yes: { zh: '是', en: 'yes' },
  no: { zh: '否', en: 'no' },
  dataFile: { zh: '数据文件 SHA-256（可对照 JSON 验证）', en: 'SHA-256 of the data file (JSON)' },
  signedBy: { zh: '代理签名', en: 'Signed by agent' },
  information: { zh: '信息科负责人', en: 'Head of information technology' },
  department: { zh: '重症医学科负责人', en: 'Head of intensive care' },
} as const satisfies Record<string, Phrase>

/** `fill('第 {page} 页', { page: 3 })`. */
export function fill(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}
