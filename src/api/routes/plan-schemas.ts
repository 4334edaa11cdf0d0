/** Plans, their rows, and what came of them, as the API shows them. */
import { z } from '@hono/zod-openapi'

const text = z.string()
const count = z.int()

const standing = z.object({
  state: z.enum(['open', 'approved', 'applied', 'expired']),
  approvals: z.array(z.object({ signerId: text, approvedAt: text })).readonly(),
  changeset: text.nullable(),
})

const tableCounts = z.object({
  name: text,
  category: text,
  columnsLost: z.array(text),
  columnsNew: z.array(text),
  /** Why its rows of then are the snapshot's, which is older than the moment. */
  olderBecause: text.optional(),
  same: count,
  missing: count,
  changed: count,
  /** Hangs on the other patient of a merge that is taken back. */
  moved: count,
  newer: count,
  conflicting: count,
  insert: count,
  update: count,
  delete: count,
  /** Rows that change hands, by the pseudonym of whose they will be. */
  goesTo: z.record(text, count).readonly().optional(),
})

export const planSchema = z
  .object({
    planId: text,
    sha256: text,
    sourceName: text,
    target: z.object({ engine: text, systemId: text, databaseOid: text, databaseName: text }),
    patient: text.openapi({ description: 'pseudonym' }),
    otherPatient: text.optional().openapi({ description: 'of a merge that is taken back: pseudonym of the other one' }),
    moment: z.object({ asked: text, snapshotId: text, lsn: text, sourceTime: text }),
    lookedAt: z.object({ lsn: text, visible: text, sourceTime: text }),
    kind: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('restore'), policy: text }),
      z.object({ kind: z.literal('unmerge'), policy: text }),
      z.object({ kind: z.literal('undo'), changesetId: text }),
    ]),
    requester: text,
    createdAt: text,
    expiresAt: text,
    tables: z.array(tableCounts),
    needed: z.array(z.object({ table: text, rows: count, gone: count })),
    leftOut: z.array(z.object({ table: text, reason: text })),
    standing,
  })
  .openapi('Plan')

export const rowSchema = z
  .object({
    table: text,
    status: text,
    action: text,
    cause: text.nullable(),
    goesTo: text.optional().openapi({ description: 'pseudonym of whose it will be, where that is another than now' }),
    columns: z.array(z.object({ name: text, past: text.nullable(), present: text.nullable() })).readonly(),
  })
  .openapi('PlanRow')

export const appliedSchema = z
  .object({
    changesetId: text,
    planId: text,
    patient: text,
    otherPatient: text.optional(),
    authorisation: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('approved'), by: text }),
      z.object({ kind: z.literal('emergency'), reason: text }),
      z.object({ kind: z.literal('one-person') }),
    ]),
    inserted: count,
    updated: count,
    deleted: count,
    triggered: z.record(text, count).readonly(),
    sideEffects: z
      .record(text, z.object({ inserted: z.int(), updated: z.int(), deleted: z.int() }))
      .readonly()
      .nullable(),
    seconds: z.number(),
  })
  .openapi('AppliedPlan')
