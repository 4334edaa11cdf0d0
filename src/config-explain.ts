/**
 * `explain:` of a source: what accounts for a change of a record, for the certificate.
 *
 *     explain:
 *       utcOffset: "+08:00"
 *       times: { public.vital_sign: recorded_at }
 *       audit:
 *         table: audit.audit_log
 *         object: object_table
 *         action: action
 *         actions: { 修改: [update], 删除: [delete], 签名: [update] }
 *         time: logged_at
 *         scope: stay_id
 *         toleranceSeconds: 0
 *         covers: { public.clinical_document: [public.document_signature] }
 *       closed:
 *         - { table: public.icu_stay, key: stay_id, column: out_at, graceHours: 24 }
 *         - { table: public.clinical_document, key: document_id, column: status, equals: 已归档 }
 *       mayChange: [字典]
 *       untilClosed: [医嘱]
 *       series:
 *         - table: public.vital_sign
 *           time: recorded_at
 *           intervalMinutes: 60
 *           stays: { table: public.icu_stay, key: stay_id, start: in_at, end: out_at }
 */
import { z } from 'zod'
import type { ExplainRules } from './verify/certificate/rules.ts'

const text = z.string().min(1)
const HOURS_MAX = 24 * 366

const auditShape = z.strictObject({
  table: text,
  object: text,
  action: text,
  actions: z.record(text, z.array(z.enum(['update', 'delete']))),
  time: text,
  key: text.optional(),
  scope: text.optional(),
  toleranceSeconds: z.number().min(0).max(86_400).default(0),
  covers: z.record(text, z.array(text)).default({}),
})
const closedShape = z.strictObject({
  table: text,
  key: text,
  column: text,
  equals: text.optional(),
  graceHours: z.number().min(0).max(HOURS_MAX).default(0),
})
const staysShape = z.strictObject({ table: text, key: text, start: text, end: text })
const seriesShape = z.strictObject({
  table: text,
  time: text,
  intervalMinutes: z
    .number()
    .positive()
    .max(HOURS_MAX * 60),
  stays: staysShape,
})

export const explainShape = z.strictObject({
  utcOffset: z
    .string()
    .regex(/^[+-]\d\d:[0-5]\d$/, 'an offset is written +08:00')
    .default('+00:00'),
  times: z.record(text, text).default({}),
  audit: auditShape.optional(),
  closed: z.array(closedShape).default([]),
  mayChange: z.array(text).default([]),
  untilClosed: z.array(text).default([]),
  series: z.array(seriesShape).default([]),
})

/** Which keys `explain` may have at this place, for the hint at a misspelt one; a number in the path is a place in a list. */
export function knownExplainKeys(path: readonly PropertyKey[]): readonly string[] {
  const [first, , third] = path
  if (first === undefined) return Object.keys(explainShape.shape)
  if (first === 'audit') return path.length === 1 ? Object.keys(auditShape.shape) : []
  if (first === 'closed') return Object.keys(closedShape.shape)
  return third === 'stays' ? Object.keys(staysShape.shape) : Object.keys(seriesShape.shape)
}

/** Null where the configuration says nothing about changes. */
export function toExplainRules(parsed: z.output<typeof explainShape> | undefined): ExplainRules | null {
  if (!parsed) return null
  const { utcOffset, times, audit, closed, mayChange, untilClosed, series } = parsed
  const [hours, minutes] = utcOffset.slice(1).split(':').map(Number)
  return {
    utcOffsetMinutes: (utcOffset.startsWith('-') ? -1 : 1) * (60 * hours! + minutes!),
    times: new Map(Object.entries(times)),
    audit: audit
      ? {
          ...audit,
          actions: new Map(Object.entries(audit.actions)),
          key: audit.key ?? null,
          scope: audit.scope ?? null,
          covers: new Map(Object.entries(audit.covers)),
        }
      : null,
    closed: closed.map((rule) => ({ ...rule, equals: rule.equals ?? null })),
    mayChange: new Set(mayChange),
    untilClosed: new Set(untilClosed),
    series,
  }
}
