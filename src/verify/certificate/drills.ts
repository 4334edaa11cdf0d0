/** What the repository's drills found, as far as a certificate says it. A report that cannot be read counts for nothing. */
import { Failure } from '../../errors.ts'
import type { Repository } from '../../repository/repository.ts'
import { DRILLS } from '../drill/drill-report.ts'
import { damageOf } from '../finding.ts'
import { readReport, reportIds } from '../report/signed-report.ts'
import type { DrillFacts } from './document.ts'

/** Of this source, oldest first. @throws store-… */
export async function drillsOf(repository: Repository, sourceName: string): Promise<DrillFacts[]> {
  const drills: DrillFacts[] = []
  for (const id of await reportIds(repository, DRILLS)) {
    const read = await readReport(repository, DRILLS, id).catch(damageOf)
    if (read instanceof Failure || read.report.sourceName !== sourceName) continue
    const { scenario, status, createdAt, rto, rpo } = read.report
    const seconds = (ms: number | null) => (ms === null ? null : ms / 1000)
    drills.push({
      id,
      endedAt: createdAt,
      scenario,
      passed: status === 'passed',
      rtoSeconds: seconds(rto.fromFault.ms),
      rpoSeconds: seconds(rpo.measured.ms),
    })
  }
  return drills
}
