/** Of every source of which the configuration asks for drills: is one overdue? Its absence is the finding (F29). */
import type { Configuration } from '../config.ts'
import { Failure } from '../errors.ts'
import type { Repository } from '../repository/repository.ts'
import { drillFindings } from '../verify/drill/history.ts'
import { type Finding, notLooked } from '../verify/finding.ts'

export async function lateDrills(
  repository: Repository,
  { sources }: Pick<Configuration, 'sources'>,
  nowMs: number,
): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { name, drill } of sources) {
    if (drill.everyDays === null) continue
    try {
      findings.push(...(await drillFindings(repository, { sourceName: name, everyDays: drill.everyDays, nowMs })))
    } catch (error) {
      if (!(error instanceof Failure) || error.code === 'defect') throw error
      findings.push(notLooked(`the drills of ${name}`, error))
    }
  }
  return findings
}
