/**
 * What a test run came to, in numbers. A run that ended oddly must not count as passed: no report, a file that could
 * not be loaded, and an error outside every test each count as a failure.
 */
export interface Count {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** What we read of vitest's JSON report. */
export interface VitestReport {
  readonly success: boolean
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[]
}

export const NOTHING: Count = { passed: 0, failed: 0, skipped: 0 }

/** `status` is what vitest ended with. */
export function countTests(report: VitestReport | null, status: number): Count {
  if (report === null) return { ...NOTHING, failed: 1 }
  const notLoaded = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0)
  const failed = report.numFailedTests + notLoaded.length
  return {
    passed: report.numPassedTests,
    // An error outside every test fails the run and no test.
    failed: failed === 0 && (status !== 0 || !report.success) ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}

export function add(left: Count, right: Count): Count {
  return {
    passed: left.passed + right.passed,
    failed: left.failed + right.failed,
    skipped: left.skipped + right.skipped,
  }
}

export function closingLine({ passed, failed, skipped }: Count): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/** Nothing passed is not a success. */
export function exitStatus({ passed, failed }: Count): 0 | 1 {
  return passed > 0 && failed === 0 ? 0 : 1
}
