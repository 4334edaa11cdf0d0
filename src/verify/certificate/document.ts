/** What a certificate says, as data: `certificate.json`, canonical. Shapes of docs/FORMAT.md, "Certificate". */
import type { ExceptionClass } from './balance.ts'
import type { Reason } from './explain.ts'
import type { KeyHoles, SeriesMonth } from './series.ts'

const VERDICTS = ['unqualified', 'qualified', 'adverse', 'disclaimer'] as const
export type Verdict = (typeof VERDICTS)[number]

/** Rules by which the verdict is found (`opinion.ts`); verify.mjs has them too. */
const OPINION_RULES = [
  'balance-open',
  'not-comparable',
  'not-demonstrated',
  'demonstration-failed',
  'unexplained-share',
  'unexplained',
  'structure-lost',
  'snapshot-missing',
  'no-drill',
] as const
export type OpinionRule = (typeof OPINION_RULES)[number]

export const STATEMENTS = ['look-up', 'retrieve', 'count', 'export'] as const
export type Statement = (typeof STATEMENTS)[number]

export interface RootFacts {
  readonly digest: string
  readonly level: number
  readonly rows: number
}

export interface TableFacts {
  readonly name: string
  /** The partitioned table whose part it is, or its own name: by this the balance counts. */
  readonly countedAs: string
  readonly category: string
  /** The clinical time column, or null. */
  readonly clock: string | null
  readonly baseline: RootFacts | null
  readonly end: RootFacts | null
  readonly isComparable: boolean
  /** Whether every change stands in the change log with its transaction. */
  readonly isTold: boolean
  readonly columnsGone: readonly string[]
  readonly columnsNew: readonly string[]
}

export interface BalanceLine {
  readonly category: string
  readonly table: string
  readonly month: string
  readonly baseline: number
  readonly inserted: number
  readonly updated: number
  readonly updatedUnexplained: number
  readonly deleted: number
  readonly deletedUnexplained: number
  readonly movedIn: number
  readonly movedOut: number
  readonly now: number
  readonly afterClosing: number
  readonly afterClosingUnexplained: number
}

export interface ReasonCount {
  readonly table: string
  readonly reason: Reason
  readonly changes: number
}

export type CertificateExceptionClass =
  | ExceptionClass
  | 'table-gone'
  | 'column-gone'
  | 'not-comparable'
  | 'snapshot-missing'
  | 'key-holes'
  | 'series-lost'
  | 'series-suspect'
  | 'demonstration-failed'
  | 'no-drill'
  | 'copies'

export interface CertificateException {
  /** `E-001`. */
  readonly id: string
  readonly class: CertificateExceptionClass
  readonly category: string | null
  readonly table: string | null
  readonly month: string | null
  /** Rows, intervals, snapshots: what the class counts. */
  readonly count: number
  /** Pseudonyms, sorted. */
  readonly patients: readonly string[]
  readonly patientsComplete: boolean
  /** Names of columns, snapshots: never a value. */
  readonly detail: string
}

export interface Demonstration {
  readonly statement: Statement
  /** Whether it was done at all. */
  readonly isDone: boolean
  /** Name of the draw, or null where everything was looked at. */
  readonly draw: string | null
  readonly population: number
  readonly sample: number
  readonly failures: number
  /** Of all, with a confidence of 0.95. */
  readonly upperBound: number
  readonly seconds: number
  /** Tables looked at. */
  readonly tables: readonly string[]
}

export interface EndFacts {
  readonly snapshotId: string
  /** By the source's clock. */
  readonly takenAt: string
  readonly manifestSha256: string
  readonly ledgerIndex: number
  readonly rows: number
}

export interface SignerFacts {
  readonly signerId: string
  readonly name: string
  /** Base64 of 32 bytes. */
  readonly publicKey: string
}

export interface Certificate {
  readonly format: 1
  readonly kind: 'chartkeep certificate'
  readonly number: string
  readonly issuedAt: string
  readonly organisation: string
  readonly system: string
  readonly subject: {
    readonly sourceName: string
    readonly engine: string
    readonly systemId: string
    readonly databaseName: string
    readonly serverVersion: string
    readonly encoding: string
    readonly repositoryId: string
  }
  readonly baseline: EndFacts
  readonly end: EndFacts
  readonly period: {
    readonly snapshots: number
    readonly toldSteps: number
    readonly transactions: number
    readonly missing: readonly string[]
  }
  readonly ledger: {
    readonly origin: string
    readonly verifierKey: string
    readonly size: number
    /** Base64, as in the checkpoint. */
    readonly root: string
  }
  readonly signers: readonly SignerFacts[]
  /** RFC 6962 root over the canonical JSON of each of `tables`, hex. */
  readonly tablesRoot: string
  readonly tables: readonly TableFacts[]
  readonly notCaptured: readonly { readonly kind: string; readonly name: string; readonly reason: string }[]
  readonly balance: readonly BalanceLine[]
  readonly reasons: readonly ReasonCount[]
  readonly keyHoles: readonly KeyHoles[]
  readonly series: readonly SeriesMonth[]
  readonly restores: readonly { readonly id: string; readonly kind: string; readonly authorisation: string }[]
  readonly sampleSeed: string
  readonly demonstrations: readonly Demonstration[]
  readonly restoredCopy: {
    readonly rows: number
    readonly tables: number
    readonly seconds: number
    readonly server: string
  } | null
  readonly copies: {
    readonly packs: number
    readonly bytes: number
    readonly neverProved: number
    readonly oldestProof: string | null
    readonly wrappers: number
  }
  readonly drills: readonly DrillFacts[]
  readonly exceptions: readonly CertificateException[]
  readonly opinion: { readonly verdict: Verdict; readonly because: readonly OpinionRule[] }
  /** What the configuration says about changes, as it stood. */
  readonly rules: CertificateRules
  readonly tool: { readonly name: string; readonly version: string; readonly node: string }
}

export interface DrillFacts {
  readonly id: string
  readonly endedAt: string
  readonly scenario: string
  readonly passed: boolean
  readonly rtoSeconds: number | null
  readonly rpoSeconds: number | null
}

export interface CertificateRules {
  readonly utcOffsetMinutes: number
  readonly audit: {
    readonly table: string
    readonly toleranceSeconds: number
    readonly actions: readonly string[]
  } | null
  readonly closed: readonly { readonly table: string; readonly column: string; readonly graceHours: number }[]
  readonly mayChange: readonly string[]
  readonly untilClosed: readonly string[]
}
