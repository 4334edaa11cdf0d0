/** A report of a drill that passed, with `parts` in place of its own. */
import type { DrillReport } from '../../../src/verify/drill/drill-report.ts'

export function drillReport(parts: Partial<DrillReport> = {}): DrillReport {
  const measured = { ms: 4000, targetMs: 60_000, met: true }
  return {
    format: 1,
    id: '20260523T000000Z-01',
    number: 'DR-1',
    repositoryId: 'r',
    sourceName: 'icu',
    organisation: 'Hospital',
    createdAt: '2026-05-23T00:00:00.000Z',
    actor: 'tester',
    scenario: 'database',
    table: null,
    patient: null,
    asked: 'now',
    authorisation: null,
    environment: { kind: 'embedded', server: 'PostgreSQL 18', tool: 'chartkeep', runtime: 'Node.js' },
    backup: null,
    timeline: [{ step: 'T0', at: '2026-05-23T00:00:00.000Z', by: 'program' }],
    rto: { fromFault: measured, fromAuthorisation: measured },
    rpo: { measured, recoveredUpTo: null, basis: null, lost: null, lostReadAt: null },
    tables: [{ table: 'public.a', category: 'c', rows: 1, expectedRoot: 'ab', foundRoot: 'ab', equal: true }],
    checks: [],
    findings: [],
    deviations: [],
    notRebuilt: [],
    cleanup: {
      kind: 'embedded',
      what: '18-x',
      asked: [{ question: 'data directory is gone', answer: true }],
      clean: true,
    },
    status: 'passed',
    ...parts,
  }
}
