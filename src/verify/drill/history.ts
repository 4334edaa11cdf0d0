/** The drills that were held, and whether the last one that counts is too long ago (F29: an absence is a finding). */
import type { Failure } from '../../errors.ts'
import { isDamage } from '../../repository/damage.ts'
import type { Repository } from '../../repository/repository.ts'
import { type Finding, finding } from '../finding.ts'
import { readReport, reportIds, type SignedReport } from '../report/signed-report.ts'
import { DRILLS, type DrillReport } from './drill-report.ts'

export interface DrillHistory {
  /** Oldest first. */
  readonly drills: readonly SignedReport<DrillReport>[]
  /** Reports that cannot be relied on. */
  readonly damaged: readonly { readonly id: string; readonly failure: Failure }[]
}

const DAY_MS = 24 * 60 * 60 * 1000

/** Of one source. @throws store-… */
export async function drillHistory(repository: Repository, sourceName: string): Promise<DrillHistory> {
  const drills: SignedReport<DrillReport>[] = []
  const damaged: { id: string; failure: Failure }[] = []
  for (const id of await reportIds(repository, DRILLS)) {
    try {
      const read = await readReport(repository, DRILLS, id)
      if (read.report.sourceName === sourceName) drills.push(read)
    } catch (error) {
      if (!isDamage(error)) throw error
      damaged.push({ id, failure: error })
    }
  }
  return { drills, damaged }
}

export interface DrillDuty {
  readonly sourceName: string
  /** The configuration asks for one this often. */
  readonly everyDays: number
  readonly nowMs: number
}

/** A drill that failed, or could not tell, is none. A report dated ahead of the clock counts as held now. */
export async function drillFindings(repository: Repository, duty: DrillDuty): Promise<Finding[]> {
  const { drills, damaged } = await drillHistory(repository, duty.sourceName)
  const findings = damaged.map(({ id, failure }) =>
    finding({
      kind: 'drill-failed',
      message: `the report of a drill cannot be relied on: ${failure.message}`,
      object: DRILLS.prefix + id,
    }),
  )
  const last = drills.findLast(({ report }) => report.status === 'passed')?.report
  const ageMs = last ? duty.nowMs - Date.parse(last.createdAt) : Number.POSITIVE_INFINITY
  if (ageMs <= duty.everyDays * DAY_MS) return findings
  const since = last
    ? `the last drill that passed was held ${Math.floor(ageMs / DAY_MS)} days ago`
    : 'no drill has ever passed'
  const message = `${since}; source ${duty.sourceName} is to be drilled every ${duty.everyDays} days`
  return [...findings, finding({ kind: 'drill-late', message, hint: 'Run `chartkeep drill`.' })]
}

export interface DrillTrend {
  /** Of drills of the scenario that passed. */
  readonly drills: number
  readonly rtoMs: { readonly last: number; readonly median: number; readonly most: number } | null
  readonly rpoMs: { readonly last: number; readonly median: number; readonly most: number } | null
}

export function drillTrend(reports: readonly DrillReport[]): DrillTrend {
  const passed = reports.filter(({ status }) => status === 'passed')
  const figures = (values: readonly (number | null)[]) => {
    const known = values.filter((value) => value !== null)
    if (known.length === 0) return null
    const sorted = known.toSorted((a, b) => a - b)
    return { last: known.at(-1)!, median: sorted[Math.floor((sorted.length - 1) / 2)]!, most: sorted.at(-1)! }
  }
  return {
    drills: passed.length,
    rtoMs: figures(passed.map(({ rto }) => rto.fromFault.ms)),
    rpoMs: figures(passed.map(({ rpo }) => rpo.measured.ms)),
  }
}
