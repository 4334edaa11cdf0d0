/**
 * What a drill leaves: one report of what was done, when, and what was found. Times are ISO 8601 in UTC, spans are
 * milliseconds, patients are pseudonyms, and answers to questions are counts and digests (I9).
 */
import { z } from 'zod'
import { DRILL_PREFIX } from '../../repository/layout.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'
import type { ReportKind } from '../report/signed-report.ts'

export const SCENARIOS = ['database', 'table', 'patient', 'random-moment'] as const
export type Scenario = (typeof SCENARIOS)[number]

export const STEPS = ['T0', 'T1', 'T2', 'T3', 'T4', 'T5', 'T6', 'T7', 'T8', 'T9'] as const
export type StepName = (typeof STEPS)[number]

const count = z.int().nonnegative()
const time = z.string()

const stepSchema = z.strictObject({
  step: z.enum(STEPS),
  at: time,
  /** Whether a person said when, or the drill's own clock did. */
  by: z.enum(['person', 'program']),
})

const measuredSchema = z.strictObject({
  ms: z.number().nullable(),
  targetMs: z.number().nullable(),
  /** Null where there is no target, or nothing was measured. */
  met: z.boolean().nullable(),
})

const tableSchema = z.strictObject({
  table: z.string(),
  category: z.string(),
  rows: count,
  expectedRoot: z.string(),
  /** Null when its rows could not be rebuilt, or read. */
  foundRoot: z.string().nullable(),
  equal: z.boolean(),
})

/** Of the source as it was read after the fault, against what was given back. */
const lostSchema = z.strictObject({
  table: z.string(),
  /** In the source and not in the copy: written behind the last change that was kept, or past capture. */
  notRecovered: count,
  changedSince: count,
  /** In the copy and not in the source any more. */
  deletedSince: count,
  comparable: z.boolean(),
})

const answerSchema = z.strictObject({
  rows: count,
  number: z.string().nullable(),
  digest: z.string(),
  ms: z.number(),
  failure: z.string().nullable(),
})

const checkSchema = z.strictObject({
  name: z.string(),
  copy: answerSchema.nullable(),
  /** Null when the source was not asked. */
  source: answerSchema.nullable(),
  /** What the configuration expects of the copy, as a number. */
  expected: z.string().nullable(),
  /** `moved-on`: they differ, and the source has rows that the copy cannot have. */
  outcome: z.enum(['same', 'differs', 'moved-on', 'answered', 'failed']),
})

const findingSchema = z.strictObject({
  severity: z.enum(['error', 'warning']),
  kind: z.string(),
  message: z.string(),
  object: z.string().nullable(),
  tables: z.array(z.string()),
  snapshots: z.array(z.string()),
  patients: z.array(z.string()),
  patientsComplete: z.boolean(),
  rows: count.nullable(),
  hint: z.string().nullable(),
})

/** A server of our own, a database made on a server for such things, a database that somebody gave. */
const placeKind = z.enum(['embedded', 'made', 'given'])

const cleanupSchema = z.strictObject({
  kind: placeKind,
  /** What was removed: a directory, a database, or the objects of one. */
  what: z.string(),
  asked: z.array(z.strictObject({ question: z.string(), answer: z.boolean() })),
  clean: z.boolean(),
})

export const drillSchema = z.strictObject({
  format: z.literal(1),
  id: z.string(),
  number: z.string(),
  repositoryId: z.string(),
  sourceName: z.string(),
  organisation: z.string(),
  createdAt: time,
  actor: z.string(),
  scenario: z.enum(SCENARIOS),
  /** The table that was lost; null in other scenarios. */
  table: z.string().nullable(),
  /** The patient who was lost, by pseudonym; null in other scenarios. */
  patient: z.string().nullable(),
  asked: z.string(),
  authorisation: z.strictObject({ by: z.string(), reference: z.string() }).nullable(),
  environment: z.strictObject({
    kind: placeKind,
    server: z.string(),
    tool: z.string(),
    runtime: z.string(),
  }),
  backup: z
    .strictObject({
      snapshot: z.string(),
      manifestSha256: z.string(),
      sourceVersion: z.string(),
      position: z.string(),
      /** Of the state: its last transaction, or the snapshot. */
      stateAt: time,
      segments: count,
      transactions: count,
      tablesAtSnapshotOnly: z.array(z.string()),
    })
    .nullable(),
  timeline: z.array(stepSchema),
  rto: z.strictObject({ fromFault: measuredSchema, fromAuthorisation: measuredSchema }),
  rpo: z.strictObject({
    measured: measuredSchema,
    /** Up to here everything that was committed is in the copy. */
    recoveredUpTo: time.nullable(),
    /** By the log's heartbeat, by the last transaction, or by the snapshot alone. */
    basis: z.enum(['heartbeat', 'transaction', 'snapshot']).nullable(),
    lost: z.array(lostSchema).nullable(),
    /** When the source was read for that. */
    lostReadAt: time.nullable(),
  }),
  tables: z.array(tableSchema),
  checks: z.array(checkSchema),
  findings: z.array(findingSchema),
  deviations: z.array(z.string()),
  notRebuilt: z.array(z.strictObject({ kind: z.string(), name: z.string(), reason: z.string() })),
  cleanup: cleanupSchema.nullable(),
  status: z.enum(['passed', 'failed', 'inconclusive']),
})

export type DrillReport = z.infer<typeof drillSchema>
export type DrillTable = z.infer<typeof tableSchema>
export type DrillCheck = z.infer<typeof checkSchema>
export type ReportedFinding = z.infer<typeof findingSchema>
export type LostRows = z.infer<typeof lostSchema>
export type Cleanup = z.infer<typeof cleanupSchema>
export type Measured = z.infer<typeof measuredSchema>

export const DRILLS: ReportKind<DrillReport> = {
  purpose: 'chartkeep drill v1',
  prefix: DRILL_PREFIX,
  type: OBJECT_TYPES.drill,
  schema: drillSchema,
}
