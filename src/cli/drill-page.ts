/** A drill, and the drills that were held, in the terminal. */
import type { Repository } from '../repository/repository.ts'
import type { DrillReport, Measured } from '../verify/drill/drill-report.ts'
import { drillHistory, drillTrend } from '../verify/drill/history.ts'
import type { SignedReport } from '../verify/report/signed-report.ts'
import type { Cli } from './command.ts'
import { formatCount, formatSeconds, formatTable } from './terminal.ts'

export function drillLines({ report, sha256 }: SignedReport<DrillReport>): string[] {
  const { rto, rpo, tables, checks, cleanup, timeline } = report
  const equal = tables.filter((table) => table.equal).length
  const rows = tables.reduce((sum, table) => sum + table.rows, 0)
  const lines = [
    `drill     ${report.id}: ${report.scenario}, to ${report.asked}, on ${report.environment.server || 'no server'}`,
  ]
  for (const { step, at } of timeline) lines.push(`${step}        ${at}`)
  lines.push(
    `RTO       ${shown(rto.fromFault)} from the fault, ${shown(rto.fromAuthorisation)} from the authorisation`,
    `RPO       ${shown(rpo.measured)}${rpo.basis === null ? '' : ` by the ${rpo.basis}, ${rpo.recoveredUpTo}`}`,
    `roots     ${equal} of ${tables.length} tables equal, ${formatCount(rows)} rows`,
  )
  for (const { name, outcome } of checks) lines.push(`question  ${name}: ${outcome}`)
  for (const { table, notRecovered, changedSince, deletedSince } of rpo.lost ?? []) {
    if (notRecovered + changedSince + deletedSince === 0) continue
    lines.push(`lost      ${table}: ${notRecovered} new, ${changedSince} changed, ${deletedSince} deleted since`)
  }
  if (cleanup)
    lines.push(`erased    ${cleanup.clean ? 'and looked for: nothing is left' : `${cleanup.what}: NOT CLEARED`}`)
  for (const { severity, kind, message } of report.findings) lines.push(`${severity} ${kind}: ${message}`)
  for (const deviation of report.deviations) lines.push(`note      ${deviation}`)
  lines.push(`report    sha256 ${sha256}`, `drill     ${report.status}`)
  return lines
}

export async function showHistory(cli: Cli, repository: Repository, source: string, json: boolean): Promise<void> {
  const { drills, damaged } = await drillHistory(repository, source)
  const reports = drills.map(({ report }) => report)
  const trend = drillTrend(reports)
  if (json) {
    for (const { report, sha256 } of drills) cli.terminal.out(JSON.stringify({ type: 'drill', sha256, ...report }))
    for (const { id, failure } of damaged)
      cli.terminal.out(JSON.stringify({ type: 'damaged', id, message: failure.message }))
    cli.terminal.out(JSON.stringify({ type: 'trend', ...trend }))
    return
  }
  const rows = reports.map(({ id, scenario, status, rto, rpo, tables }) => {
    const count = formatCount(tables.reduce((sum, table) => sum + table.rows, 0))
    return [id, scenario, status, shown(rto.fromFault), shown(rpo.measured), count]
  })
  for (const line of formatTable(['drill', 'scenario', 'status', 'RTO', 'RPO', 'rows'], rows, [3, 4, 5]))
    cli.terminal.out(line)
  for (const { id, failure } of damaged) cli.terminal.out(`damaged   ${id}: ${failure.message}`)
  for (const [name, figures] of [
    ['RTO', trend.rtoMs],
    ['RPO', trend.rpoMs],
  ] as const) {
    if (!figures) continue
    const [last, median, most] = [figures.last, figures.median, figures.most].map((ms) => formatSeconds(ms / 1000))
    cli.terminal.out(`trend     ${name} of ${trend.drills} that passed: last ${last}, median ${median}, most ${most}`)
  }
}

function shown({ ms, met }: Pick<Measured, 'ms' | 'met'>): string {
  if (ms === null) return 'not measured'
  return `${formatSeconds(ms / 1000)}${met === false ? ' (target missed)' : ''}`
}
