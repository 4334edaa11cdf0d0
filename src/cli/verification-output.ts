/** How check, scrub and compare say what they found, and with which exit status. */
import { failures } from '../errors.ts'
import type { Finding, Verification } from '../verify/finding.ts'
import type { Cli } from './command.ts'
import { formatCount, formatSeconds } from './terminal.ts'

const PATIENTS_SHOWN = 10

/** `passed` alone is exit status 0. */
export function showVerification(cli: Cli, type: string, result: Verification, json: boolean): void {
  if (result.status === 'failed') cli.setExitStatus(failures['findings-failed'].exit)
  if (result.status === 'inconclusive') cli.setExitStatus(failures['findings-inconclusive'].exit)
  if (json) {
    cli.terminal.out(JSON.stringify({ type, ...result }))
    return
  }
  for (const finding of result.findings) showFinding(cli, finding)
  const looked = Object.entries(result.looked).map(([what, count]) => `${formatCount(count)} ${inWords(what)}`)
  cli.terminal.out(`looked at  ${looked.join(', ')}, in ${formatSeconds(result.seconds)}`)
  cli.terminal.out(`${type}  ${result.status}`)
}

function showFinding(cli: Cli, finding: Finding): void {
  const { out } = cli.terminal
  out(`${finding.severity} ${finding.kind}: ${finding.message}`)
  if (finding.tables.length > 0) out(`  tables     ${finding.tables.join(', ')}`)
  if (finding.snapshots.length > 0) out(`  snapshots  ${finding.snapshots.join(', ')}`)
  if (finding.patients.length > 0 || !finding.patientsComplete) {
    const shown = finding.patients.slice(0, PATIENTS_SHOWN).join(', ')
    const more = finding.patients.length > PATIENTS_SHOWN ? ` and ${finding.patients.length - PATIENTS_SHOWN} more` : ''
    const others = finding.patientsComplete ? '' : `${shown === '' ? '' : '; '}there may be others`
    out(`  patients   ${shown}${more}${others}`)
  }
  if (finding.rows !== undefined) out(`  rows       ${formatCount(finding.rows)}`)
  if (finding.hint !== undefined) out(`  hint       ${finding.hint}`)
}

/** `leavesProved` as `leaves proved`. */
function inWords(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}
