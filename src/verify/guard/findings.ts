/** What of a change is more than a change may be. An error is history that was changed, a warning what nobody can tell. */
import type { Phrase } from '../report/language.ts'
import { fill } from '../report/words.ts'
import type { GuardEnd, GuardFinding, GuardSnapshot, GuardTable } from './guard-report.ts'
import { GUARD_SENTENCES } from './sentences.ts'
import { PROVED_WORDS } from './words.ts'

type Facts = Readonly<Record<string, string | number>>

/** Empty: nothing that was there before is another now, but where the rules allow it or the record is open. */
export function findingsOf(tables: readonly GuardTable[], ends: readonly GuardSnapshot[]): GuardFinding[] {
  const findings: GuardFinding[] = []
  const error = ({ en }: Phrase, facts: Facts) => findings.push({ severity: 'error', message: fill(en, facts) })
  const doubt = ({ en }: Phrase, facts: Facts) => findings.push({ severity: 'warning', message: fill(en, facts) })
  for (const { snapshot, proved, remark } of ends) {
    const facts = { snapshot, remark: remark ?? PROVED_WORDS[proved].en }
    if (proved === 'failed') error(GUARD_SENTENCES.unlike, facts)
    else if (proved !== 'passed') doubt(GUARD_SENTENCES.unproved, facts)
  }
  for (const { table, updated, deleted, columnsGone, rowsBefore, movedOut, rootAfter, notComparable } of tables) {
    // Of a part that is gone, and all of whose rows are in other parts, nothing is lost.
    if (rootAfter === null && rowsBefore > movedOut) error(GUARD_SENTENCES.gone, { table, rows: rowsBefore })
    if (notComparable !== null) doubt(GUARD_SENTENCES.notComparable, { table, reason: notComparable })
    if (columnsGone.length > 0 && rowsBefore > 0) {
      error(GUARD_SENTENCES.columnsGone, { table, columns: columnsGone.join(', '), rows: rowsBefore })
    }
    if (updated.closed > 0) error(GUARD_SENTENCES.closedChanged, { table, rows: updated.closed })
    if (deleted.closed + deleted.open > 0 && rootAfter !== null) {
      error(GUARD_SENTENCES.deleted, { table, rows: deleted.closed + deleted.open, closed: deleted.closed })
    }
    const unknown = updated.unknown + (rootAfter === null ? 0 : deleted.unknown)
    if (unknown > 0) doubt(GUARD_SENTENCES.unknown, { table, rows: unknown })
  }
  return findings
}

export function judge(findings: readonly GuardFinding[]): GuardEnd['history'] {
  if (findings.some(({ severity }) => severity === 'error')) return 'changed'
  return findings.length > 0 ? 'undecided' : 'unchanged'
}
