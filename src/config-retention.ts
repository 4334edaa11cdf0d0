/** `retention` of a source in `chartkeep.yaml`: which snapshots stay, how long every moment does, how long prune waits. */
import { z } from 'zod'
import type { KeepRules } from './backup/retention/keep-rules.ts'

const HOUR_MS = 3_600_000
const UNITS = { h: HOUR_MS, d: 24 * HOUR_MS, w: 7 * 24 * HOUR_MS } as const
const WINDOW = /^(\d{1,4})([hdw])$/

const count = z.int().min(0).max(100_000).default(0)

export const retentionShape = z.strictObject({
  last: count,
  hourly: count,
  daily: count,
  weekly: count,
  monthly: count,
  yearly: count,
  window: z.string().regex(WINDOW, 'a window is written 36h, 14d or 4w').optional(),
  timeZone: z.string().min(1).default('Asia/Shanghai'),
  graceHours: z
    .number()
    .min(1)
    .max(24 * 366)
    .default(24),
})

export interface RetentionConfiguration {
  readonly rules: KeepRules
  /** From when nothing is found to need an object to when it is deleted, at the least. */
  readonly graceMs: number
}

export function toRetention(parsed: z.output<typeof retentionShape> | undefined): RetentionConfiguration | null {
  if (!parsed) return null
  const { last, window, timeZone, graceHours, ...calendar } = parsed
  const [, length = '0', unit = 'h'] = WINDOW.exec(window ?? '') ?? []
  const windowMs = Number(length) * UNITS[unit as keyof typeof UNITS]
  return { rules: { last, calendar, windowMs, timeZone }, graceMs: Math.round(graceHours * HOUR_MS) }
}
