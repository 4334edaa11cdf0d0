/** What several routes take and give. */
import { z } from '@hono/zod-openapi'

export const sourceParam = z.object({
  source: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$/),
})

/** Ids of ours: `20260301T060000Z-1f2e3d4c`. */
export const timedIdSchema = z.string().regex(/^\d{8}T\d{6}Z-[0-9a-f]{8}$/)

export const planParam = z.object({ plan: timedIdSchema })

/** Of a plan, and what was told apart behind it. */
export const changesetParam = z.object({
  changeset: z.string().regex(/^\d{8}T\d{6}Z-[0-9a-f]{8}\.[0-9a-f]{8}$/),
})

/** `latest`, `now`, a snapshot, a time with its offset, an LSN, or `before:` and a change. */
export const momentSchema = z.string().min(1).max(100).default('latest')

/** It stands in the audit beside who looked, and at whom. */
export const purposeSchema = z.string().min(3).max(500)

/** As the database writes the key. */
export const patientSchema = z.string().min(1).max(200)

export const limitQuery = (usual: number, most: number) => z.coerce.number().int().min(1).max(most).default(usual)

export const findingSchema = z
  .object({
    severity: z.enum(['error', 'warning']),
    kind: z.string(),
    message: z.string(),
    object: z.string().optional(),
    tables: z.array(z.string()).readonly(),
    snapshots: z.array(z.string()).readonly(),
    patients: z.array(z.string()).readonly(),
    patientsComplete: z.boolean(),
    rows: z.number().optional(),
    hint: z.string().optional(),
  })
  .openapi('Finding')

/** Names of those of a list that are there and cannot be relied on: one of them must not hide the others. */
export const damagedSchema = z.array(z.string())
