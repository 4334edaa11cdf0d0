/**
 * What a verification says. Damage is a finding, not an exception; an exception means that there was no look at all.
 *
 *     passed        everything was looked at, and nothing is wrong (warnings may stand beside it)
 *     failed        something is wrong, whatever else could not be looked at
 *     inconclusive  nothing wrong was seen, but something could not be looked at: never to be counted as passed
 *
 * Findings name objects, tables and snapshots; patients by pseudonym only (I9).
 */
import type { Failure } from '../errors.ts'
import { isDamage } from '../repository/damage.ts'

export type FindingKind =
  | 'manifest-missing'
  | 'manifest-damaged'
  | 'manifest-changed'
  | 'index-missing'
  | 'index-damaged'
  | 'index-without-manifest'
  | 'snapshot-vanished'
  | 'pack-missing'
  | 'pack-size'
  | 'pack-unlisted'
  | 'pack-damaged'
  | 'chunk-damaged'
  | 'node-damaged'
  | 'tree-shape'
  | 'leaf-place'
  | 'leaf-rows'
  | 'locator-disagrees'
  | 'config-damaged'
  | 'wrapper-missing'
  | 'wrapper-damaged'
  | 'data-key-missing'
  | 'data-key-damaged'
  | 'proof-damaged'
  | 'signer-damaged'
  | 'ledger-damaged'
  | 'ledger-object-missing'
  | 'not-in-ledger'
  | 'audit-damaged'
  | 'changeset-damaged'
  | 'changeset-missing'
  | 'changeset-open'
  | 'signer-revoked'
  | 'retention-damaged'
  | 'log-missing'
  | 'log-damaged'
  | 'segment-missing'
  | 'segment-damaged'
  | 'segment-out-of-chain'
  | 'log-broken'
  | 'lease-damaged'
  | 'garbage'
  | 'unknown-object'
  | 'not-looked'
  | 'moved-on'
  | 'table-missing'
  | 'table-added'
  | 'columns-differ'
  | 'rows-differ'
  | 'drill-failed'
  | 'drill-answer-differs'
  | 'drill-target-missed'
  | 'drill-late'
  | 'drill-left-behind'
  | 'certificate-opinion'
  | 'earlier-snapshots-damaged'
  | 'changes-left-out'

export interface Finding {
  readonly severity: 'error' | 'warning'
  /** Stable: scripts may look for it. */
  readonly kind: FindingKind
  readonly message: string
  /** The object's name in the store. */
  readonly object?: string
  /** Sorted. */
  readonly tables: readonly string[]
  /** Sorted. */
  readonly snapshots: readonly string[]
  /** Pseudonyms, sorted. */
  readonly patients: readonly string[]
  /** Whether `patients` are all that may be affected. */
  readonly patientsComplete: boolean
  /** Rows that are lost or differ, where that is known. */
  readonly rows?: number
  readonly hint?: string
}

export type VerificationStatus = 'passed' | 'failed' | 'inconclusive'

/** What was looked at, in numbers: "nothing found" says little without it. */
export type Looked = Readonly<Record<string, number>>

export interface Verification {
  readonly status: VerificationStatus
  readonly findings: readonly Finding[]
  readonly looked: Looked
  readonly seconds: number
}

type FindingParts = Pick<Finding, 'kind' | 'message'> & Partial<Finding>

/** An error that affects nobody unless the parts say so. */
export function finding(parts: FindingParts): Finding {
  return { severity: 'error', tables: [], snapshots: [], patients: [], patientsComplete: true, ...parts }
}

export function warning(parts: FindingParts): Finding {
  return finding({ ...parts, severity: 'warning' })
}

/** The look itself failed, and what is there is not known. */
export function notLooked(what: string, error: Failure): Finding {
  return warning({
    kind: 'not-looked',
    message: `could not look at ${what}: ${error.message}`,
    patientsComplete: false,
    hint: error.hints[0] ?? 'Run the command again when the store answers: nothing is known of what was not looked at.',
  })
}

export function statusOf(findings: readonly Finding[]): VerificationStatus {
  if (findings.some((found) => found.severity === 'error')) return 'failed'
  return findings.some(({ kind }) => kind === 'not-looked' || kind === 'moved-on') ? 'inconclusive' : 'passed'
}

export function verification(findings: readonly Finding[], looked: Looked, seconds: number): Verification {
  return { status: statusOf(findings), findings, looked, seconds }
}

/**
 * The failure, when it says that what is stored is not what was stored. Anything else (an unreachable store, a missing
 * right) says nothing of that, and is thrown on.
 */
export function damageOf(error: unknown): Failure {
  if (isDamage(error)) return error
  throw error
}
