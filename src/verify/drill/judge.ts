/** What of a drill is a finding, and what the findings make of it. */
import type { Failure, FailureCode } from '../../errors.ts'
import { isDamage } from '../../repository/damage.ts'
import { type Finding, finding, warning } from '../finding.ts'
import { fill } from '../report/words.ts'
import type { DrillReport, Measured, ReportedFinding } from './drill-report.ts'
import { DRILL_SENTENCES } from './sentences.ts'

/** Failures that say that what is kept, or what was rebuilt, is not what it should be. */
const UNFIT: ReadonlySet<FailureCode> = new Set<FailureCode>([
  'restore-unproved',
  'change-log-gap',
  'snapshot-not-found',
  'target-failed',
  'target-not-empty',
])

/** Of what ended the recovery: damage fails the drill; a store or server that did not answer leaves it undecided. */
export function failureFinding(error: Failure): Finding {
  const tables = typeof error.context.table === 'string' ? [error.context.table] : []
  const object = typeof error.context.object === 'string' ? { object: error.context.object } : {}
  const parts = {
    message: fill(DRILL_SENTENCES.ended.en, { why: error.message }),
    tables,
    patientsComplete: false,
    ...object,
  }
  if (UNFIT.has(error.code) || isDamage(error)) return finding({ kind: 'drill-failed', ...parts })
  return warning({ kind: 'not-looked', ...parts })
}

/** What follows from the figures. */
export function findingsOf(report: DrillReport): Finding[] {
  return [
    ...report.checks.flatMap(({ name, outcome }) => {
      if (outcome !== 'differs' && outcome !== 'failed') return []
      const { answersOtherwise, gaveNoAnswer } = DRILL_SENTENCES
      const { en } = outcome === 'differs' ? answersOtherwise : gaveNoAnswer
      return [finding({ kind: 'drill-answer-differs', message: fill(en, { question: name }) })]
    }),
    ...missed('RTO', report.rto.fromFault),
    ...missed('RPO', report.rpo.measured),
    ...leftBehind(report),
  ]
}

/** @returns `inconclusive` is never to be counted as passed */
export function judge(findings: readonly ReportedFinding[]): DrillReport['status'] {
  if (findings.some(({ severity }) => severity === 'error')) return 'failed'
  return findings.some(({ kind }) => kind === 'not-looked' || kind === 'moved-on') ? 'inconclusive' : 'passed'
}

function missed(name: string, { ms, targetMs, met }: Measured): Finding[] {
  if (met !== false) return []
  const [measured, allowed] = [ms!, targetMs!].map((each) => (each / 1000).toFixed(1))
  const facts = { figure: name, measured: measured!, allowed: allowed! }
  return [finding({ kind: 'drill-target-missed', message: fill(DRILL_SENTENCES.missed.en, facts) })]
}

function leftBehind({ cleanup, backup }: DrillReport): Finding[] {
  if (cleanup?.clean === true || (cleanup === null && backup === null)) return []
  const { nobodyKnows, notCleared } = DRILL_SENTENCES
  const message = cleanup === null ? nobodyKnows.en : fill(notCleared.en, { what: cleanup.what })
  return [finding({ kind: 'drill-left-behind', message, hint: 'Remove it by hand: it holds patients.' })]
}

/** As it stands in a report: every member there, so that a reader need not guess. */
export function reported(found: Finding): ReportedFinding {
  const { severity, kind, message, object = null, tables, snapshots, patients, patientsComplete } = found
  const { rows = null, hint = null } = found
  const lists = { tables: [...tables], snapshots: [...snapshots], patients: [...patients] }
  return { severity, kind, message, object, ...lists, patientsComplete, rows, hint }
}
