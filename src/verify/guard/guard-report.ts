/**
 * Around a change of the clinical system (an upgrade, a migration, a script): what stood before it, and what it left. The
 * first report says which snapshot is the state before, the second what the two snapshots differ in.
 */
import { z } from 'zod'
import { GUARD_PREFIX } from '../../repository/layout.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'
import type { ReportKind } from '../report/signed-report.ts'

const count = z.int().nonnegative()

const snapshotSchema = z.strictObject({
  snapshot: z.string(),
  manifestSha256: z.string(),
  position: z.string(),
  takenAt: z.string(),
  mode: z.string(),
  tables: count,
  rows: count,
  serverVersion: z.string(),
  /** Whether every row of the database was read and compared with the snapshot behind it. */
  proved: z.enum(['passed', 'failed', 'inconclusive', 'not-compared']),
  remark: z.string().nullable(),
})

const guardBeginSchema = z.strictObject({
  format: z.literal(1),
  id: z.string(),
  number: z.string(),
  repositoryId: z.string(),
  sourceName: z.string(),
  organisation: z.string(),
  createdAt: z.string(),
  actor: z.string(),
  reason: z.string(),
  before: snapshotSchema,
})

const tableSchema = z.strictObject({
  table: z.string(),
  category: z.string(),
  rowsBefore: count,
  rowsAfter: count,
  inserted: count,
  /** Of rows that were there before the change, by what the configuration says of their table and record. */
  updated: z.strictObject({ allowed: count, open: count, closed: count, unknown: count }),
  deleted: z.strictObject({ allowed: count, open: count, closed: count, unknown: count }),
  /** From and to other parts of a partitioned table; those with another partition key now count as updated, too. */
  movedIn: count.default(0),
  movedOut: count.default(0),
  rootBefore: z.string().nullable(),
  rootAfter: z.string().nullable(),
  /** Null when rows of before and after can be told apart; else why not. */
  notComparable: z.string().nullable(),
  columnsGone: z.array(z.string()),
  columnsNew: z.array(z.string()),
  /** `name: before → after`. */
  columnsChanged: z.array(z.string()),
})

const schemaSchema = z.strictObject({
  added: z.array(z.string()),
  removed: z.array(z.string()),
  changed: z.array(z.string()),
})

const findingSchema = z.strictObject({ severity: z.enum(['error', 'warning']), message: z.string() })

const guardEndSchema = z.strictObject({
  ...guardBeginSchema.shape,
  /** SHA-256 of the first report's canonical JSON. */
  beginSha256: z.string(),
  endedAt: z.string(),
  after: snapshotSchema,
  tables: z.array(tableSchema),
  schema: schemaSchema,
  findings: z.array(findingSchema),
  /** `unchanged`: no row that was there before is another now, but where the configuration allows it, or its record is open. */
  history: z.enum(['unchanged', 'changed', 'undecided']),
})

export type GuardBegin = z.infer<typeof guardBeginSchema>
export type GuardEnd = z.infer<typeof guardEndSchema>
export type GuardTable = z.infer<typeof tableSchema>
export type GuardSnapshot = z.infer<typeof snapshotSchema>
export type GuardFinding = z.infer<typeof findingSchema>
export type RowCounts = GuardTable['updated']

export const GUARD_BEGINS: ReportKind<GuardBegin> = {
  purpose: 'chartkeep guard begin v1',
  prefix: `${GUARD_PREFIX}begin/`,
  type: OBJECT_TYPES.guardBegin,
  schema: guardBeginSchema,
}

/** Under the id of its beginning: a guard ends once. */
export const GUARD_ENDS: ReportKind<GuardEnd> = {
  purpose: 'chartkeep guard end v1',
  prefix: `${GUARD_PREFIX}end/`,
  type: OBJECT_TYPES.guardEnd,
  schema: guardEndSchema,
}
