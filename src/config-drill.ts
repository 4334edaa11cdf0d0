/**
 * `drill:` of a source: how often it is to be drilled, what has to be reached, and by which questions a ward would notice
 * that a copy is not the original.
 *
 *     drill:
 *       everyDays: 30
 *       organisation: 某某医院 重症医学科
 *       targets: { rtoSeconds: 3600, rpoSeconds: 60 }
 *       checks:
 *         - { name: 在科患者, sql: SELECT count(*) FROM public.icu_stay WHERE out_at IS NULL }
 *         - { name: 字典, sql: SELECT count(*) FROM public.drug, expected: 50 }
 *
 * Questions name tables with their schema, and are only read. Their answers leave the database as counts and digests.
 */
import { z } from 'zod'

const DAYS_MAX = 3660
const SECONDS_MAX = 60 * 86_400

const checkShape = z.strictObject({
  name: z.string().min(1).max(100),
  sql: z.string().min(1),
  expected: z.int().optional(),
})
const targetsShape = z.strictObject({
  rtoSeconds: z.number().positive().max(SECONDS_MAX).optional(),
  rpoSeconds: z.number().positive().max(SECONDS_MAX).optional(),
})
export const drillShape = z.strictObject({
  everyDays: z.number().positive().max(DAYS_MAX).optional(),
  organisation: z.string().min(1).max(100).optional(),
  targets: targetsShape.default({}),
  checks: z.array(checkShape).default([]),
})

export interface DrillConfiguration {
  /** Null: nobody asks for them, and their absence is no finding. */
  readonly everyDays: number | null
  /** As it is printed; null: the source's name is. */
  readonly organisation: string | null
  readonly targets: { readonly rtoMs: number | null; readonly rpoMs: number | null }
  readonly questions: readonly { readonly name: string; readonly sql: string; readonly expected: string | null }[]
}

export function toDrill(parsed: z.output<typeof drillShape> | undefined): DrillConfiguration {
  const { everyDays = null, organisation = null, targets = {}, checks = [] } = parsed ?? {}
  const ms = (seconds: number | undefined) => (seconds === undefined ? null : seconds * 1000)
  return {
    everyDays,
    organisation,
    targets: { rtoMs: ms(targets.rtoSeconds), rpoMs: ms(targets.rpoSeconds) },
    questions: checks.map(({ name, sql, expected }) => ({ name, sql, expected: expected?.toString() ?? null })),
  }
}
