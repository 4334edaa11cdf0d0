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
} as const satisfies Record<string, Phrase>

/** `fill('第 {page} 页', { page: 3 })`. */
export function fill(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}
