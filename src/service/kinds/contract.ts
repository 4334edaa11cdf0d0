/** How a kind of work is plugged into the service: one small file each, which calls what does the work and sums it up. */
import type { Repository } from '../../repository/repository.ts'
import type { JobEvent, JobResult } from '../contract.ts'

export interface KindRequest {
  readonly repository: Repository
  /** Null for work on the repository as a whole. */
  readonly source: string | null
  readonly signal: AbortSignal
  /** The lease of the task is still ours. Ask before anything is written that somebody else might write too. */
  readonly assertHeld: () => void
  readonly onEvent: (event: KindEvent) => void
}

/** A job's event without its time. */
export type KindEvent =
  | Omit<Extract<JobEvent, { type: 'progress' }>, 'at'>
  | Omit<Extract<JobEvent, { type: 'note' }>, 'at'>

export interface Kind {
  /** As the audit names it. */
  readonly deed: string
  readonly perSource: boolean
  readonly readsSource: boolean
  readonly lane: 'backup' | 'verify'
  /** @throws what the work throws; the signal's reason */
  readonly run: (request: KindRequest) => Promise<JobResult>
}

const FINDINGS_KEPT = 200

export const NOTHING_FOUND = { findings: [], findingCount: 0, remarks: [] } as const

/** Of a verification, with the findings that are kept in the record. */
export function verdictOf(verification: {
  readonly status: 'passed' | 'failed' | 'inconclusive'
  readonly findings: JobResult['findings']
  readonly looked: Readonly<Record<string, number>>
  readonly seconds: number
}): JobResult {
  const { status, findings, looked, seconds } = verification
  const ordered = findings.toSorted((a, b) => Number(b.severity === 'error') - Number(a.severity === 'error'))
  return {
    verdict: status,
    made: null,
    figures: { ...looked, seconds },
    findings: ordered.slice(0, FINDINGS_KEPT),
    findingCount: findings.length,
    remarks: [],
  }
}
