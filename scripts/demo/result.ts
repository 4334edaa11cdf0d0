/**
 * What the demo measured: everything that its page shows, and that `results/demo.json` holds. Shapes of what the
 * commands print are checked where they are read, so that the page never shows what nobody said.
 */
import { z } from 'zod'
import type { WardReport } from '../reference/ward.ts'

const snapshotShape = z.looseObject({
  type: z.literal('snapshot'),
  snapshot: z.string(),
  mode: z.string(),
  modeReason: z.string(),
  rows: z.int(),
  tables: z.int(),
  bytesRead: z.int(),
  bytesStored: z.int(),
  leavesStored: z.int(),
  leavesReused: z.int(),
  seconds: z.number(),
})

const restoreShape = z.looseObject({
  type: z.literal('restore'),
  snapshot: z.string(),
  rows: z.int(),
  tables: z.int(),
  secondsUsable: z.number(),
  secondsProof: z.number(),
  seconds: z.number(),
  verified: z.literal(true),
  skipped: z.array(z.unknown()),
  plan: z
    .looseObject({
      snapshot: z.string(),
      log: z.looseObject({ segments: z.int(), storedBytes: z.int() }).nullable(),
      transaction: z.looseObject({ xid: z.int(), time: z.string() }).nullable(),
      tablesAsOfSnapshot: z.array(z.looseObject({ table: z.string() })),
    })
    .optional(),
})

const connectedShape = z.looseObject({ kind: z.literal('connected'), tables: z.int() })

const sealedShape = z.looseObject({
  kind: z.literal('sealed'),
  transactions: z.int(),
  changes: z.int(),
  textBytes: z.int(),
  lagMs: z.number().nullable(),
})

const verificationShape = z.looseObject({
  status: z.enum(['passed', 'failed', 'inconclusive']),
  findings: z.array(z.unknown()),
  looked: z.record(z.string(), z.number()).default({}),
})

const certificateShape = z.looseObject({
  type: z.literal('certificate'),
  number: z.string(),
  opinion: z.looseObject({ verdict: z.string(), because: z.array(z.string()) }),
  exceptions: z.int(),
})

const planShape = z.looseObject({
  type: z.literal('plan'),
  planId: z.string(),
  tables: z.array(z.looseObject({ name: z.string(), insert: z.int(), update: z.int(), delete: z.int() })),
})

const approvalShape = z.looseObject({ type: z.literal('approval'), signerId: z.string() })

const appliedShape = z.looseObject({
  type: z.literal('applied'),
  changesetId: z.string(),
  inserted: z.int(),
  updated: z.int(),
  deleted: z.int(),
  seconds: z.number(),
})

/** Of lines of `--json`. */
export const shapes = {
  snapshot: snapshotShape,
  restore: restoreShape,
  verification: verificationShape,
  connected: connectedShape,
  sealed: sealedShape,
  certificate: certificateShape,
  plan: planShape,
  approval: approvalShape,
  applied: appliedShape,
}

export type SnapshotResult = z.output<typeof snapshotShape>
export type RestoreResult = z.output<typeof restoreShape>
export type PlanResult = z.output<typeof planShape>
export type AppliedResult = z.output<typeof appliedShape>
export type VerificationResult = z.output<typeof verificationShape>

/** One thing that was done, with its place on the time line. */
export interface Step {
  readonly name: StepName
  /** As typed; null for what is not a command of ours. */
  readonly command: string | null
  /** What it printed, as far as somebody may want to read it. */
  readonly output: string
  readonly startSeconds: number
  readonly seconds: number
}

export type StepName =
  | 'server'
  | 'database'
  | 'role'
  | 'discover'
  | 'init'
  | 'capture'
  | 'base'
  | 'checkpoint'
  | 'ward'
  | 'moment'
  | 'ward-on'
  | 'second'
  | 'status'
  | 'stop'
  | 'snapshots'
  | 'check'
  | 'scrub'
  | 'compare'
  | 'restore'
  | 'prove'
  | 'restore-moment'
  | 'prove-moment'
  | 'explain'
  | 'certificate'
  | 'certificate-verify'
  | 'writer'
  | 'approver'
  | 'accident'
  | 'timeline'
  | 'patient-plan'
  | 'patient-approve'
  | 'patient-apply'
  | 'patient-prove'
  | 'patient-undo'
  | 'undo-approve'
  | 'undo-apply'
  | 'again-plan'
  | 'again-approve'
  | 'again-apply'
  | 'ledger'
  | 'show'

/** A time in which the ward program worked. */
export interface Shift {
  readonly startSeconds: number
  readonly endSeconds: number
  readonly report: WardReport
}

export interface TableResult {
  readonly name: string
  readonly category: string
  readonly rowsBase: number
  readonly rowsSecond: number
  /** Its root in the second snapshot differs from the base's. */
  readonly changed: boolean
  /** Counted by PostgreSQL in the database that was backed up, and in the rebuilt one. */
  readonly rowsSource: number
  readonly rowsRebuilt: number
  /** Hex. */
  readonly rootSnapshot: string
  /** Computed anew from the rows of the rebuilt database. */
  readonly rootRebuilt: string | null
  /** The locator's root too, where the table has one. */
  readonly locatorEqual: boolean
  /** MD5 over all rows in order, computed by PostgreSQL in each database; chartkeep has no part in it. */
  readonly md5Source: string
  readonly md5Rebuilt: string
}

/** What was kept of changes, from the start of capture to its end. */
export interface CaptureResult {
  readonly tables: number
  readonly segments: number
  readonly transactions: number
  readonly changes: number
  readonly textBytes: number
  /** From a commit to its being in the repository, the longest. Null when nothing was committed. */
  readonly lagSecondsMax: number | null
}

/** A moment between the snapshots, and the database as it was rebuilt for it. */
export interface MomentResult {
  /** ISO 8601 with microseconds, UTC. */
  readonly at: string
  readonly restore: RestoreResult
  readonly tables: readonly MomentTable[]
}

export interface MomentTable {
  readonly table: string
  /** Counted by PostgreSQL in the database that was backed up, at that moment. */
  readonly rows: number
  /** As `TableResult.md5Source`; of that moment. */
  readonly md5Then: string
  readonly md5Rebuilt: string
  /** Its changes cannot be captured, so that it stands as the snapshot before the moment has it. */
  readonly isAsOfSnapshot: boolean
}

/** One patient, put back after an accident. */
export interface PatientResult {
  readonly inserted: number
  readonly updated: number
  /** Of the transaction, and what was kept before and behind it. */
  readonly seconds: number
}

export interface NotHeld {
  readonly kind: string
  readonly name: string
  readonly reason: string
}

export interface DemoResult {
  readonly startedAt: string
  readonly seconds: number
  readonly machine: { readonly cores: number; readonly processor: string; readonly system: string }
  readonly versions: { readonly chartkeep: string; readonly node: string; readonly postgres: string }
  readonly seed: number
  readonly databaseBytes: number
  readonly repositoryBytes: number
  readonly steps: readonly Step[]
  /** While the base was taken, before the chosen moment, and behind it. */
  readonly shifts: { readonly base: Shift; readonly before: Shift; readonly behind: Shift }
  readonly capture: CaptureResult
  readonly base: SnapshotResult
  readonly second: SnapshotResult
  readonly check: VerificationResult
  readonly scrub: VerificationResult
  readonly compare: VerificationResult
  readonly restore: RestoreResult
  readonly moment: MomentResult
  readonly patient: PatientResult
  readonly tables: readonly TableResult[]
  readonly notHeld: readonly NotHeld[]
  /** The signed head that was taken out after the base. */
  readonly checkpoint: string
  readonly ledgerVerdict: string
}
