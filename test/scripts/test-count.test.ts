import { describe, expect, it } from 'vitest'
import {
  add,
  closingLine,
  countTests,
  exitStatus,
  NOTHING,
  type VitestReport,
} from '../../scripts/support/test-count.ts'

const CLEAN: VitestReport = {
  success: true,
  numPassedTests: 3,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [{ status: 'passed', assertionResults: [{}, {}, {}] }],
}

describe('a run of tests', () => {
  it.each([
    ['is clean', CLEAN, 0, '3 passed, 0 failed', 0],
    ['skipped some', { ...CLEAN, numPendingTests: 1, numTodoTests: 1 }, 0, '3 passed, 0 failed, 2 skipped', 0],
    ['failed some', { ...CLEAN, success: false, numFailedTests: 2 }, 1, '3 passed, 2 failed', 1],
    [
      'could not load a file',
      { ...CLEAN, success: false, testResults: [...CLEAN.testResults, { status: 'failed', assertionResults: [] }] },
      1,
      '3 passed, 1 failed',
      1,
    ],
    ['had an error outside every test', CLEAN, 1, '3 passed, 1 failed', 1],
    ['says itself that it failed', { ...CLEAN, success: false }, 0, '3 passed, 1 failed', 1],
    ['left no report', null, 1, '0 passed, 1 failed', 1],
    ['tested nothing', { ...CLEAN, numPassedTests: 0, testResults: [] }, 0, '0 passed, 0 failed', 1],
  ])('that %s is counted so', (_, report, status, line, exit) => {
    const count = countTests(report, status)

    expect(closingLine(count)).toBe(line)
    expect(exitStatus(count)).toBe(exit)
  })

  it('adds up with the other steps', () => {
    const total = [countTests(CLEAN, 0), { ...NOTHING, failed: 1 }, { ...NOTHING, passed: 1 }].reduce(add, NOTHING)

    expect(closingLine(total)).toBe('4 passed, 1 failed')
  })
})
