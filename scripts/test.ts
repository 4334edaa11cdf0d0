/**
 * Everything that must hold before a change is done: types, lint and format, tests.
 *
 *     npm test                         all of it
 *     npm test -- test/repository      only the tests whose path contains this
 *
 * All steps run even when one fails. The last line is for machines: `N passed, N failed`, with `, N skipped` when there
 * were any. A step counts as one, and so does a test file that cannot be loaded. Exits with 0 only when something
 * passed and nothing failed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Count {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** What we read of vitest's JSON report. */
interface VitestReport {
  readonly success: boolean
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[]
}

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const NOTHING: Count = { passed: 0, failed: 0, skipped: 0 }

const filters = process.argv.slice(2)
const counts: Count[] = []
if (filters.length === 0) {
  counts.push(await runStep('types', 'node_modules/typescript/bin/tsc', []))
  counts.push(
    await runStep('lint and format', 'node_modules/@biomejs/biome/bin/biome', ['check', '--error-on-warnings']),
  )
}
counts.push(await runTests(filters))
const total = counts.reduce(add, NOTHING)
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : ''
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed${skipped}\n`)
process.exitCode = total.passed > 0 && total.failed === 0 ? 0 : 1

async function runStep(name: string, program: string, options: readonly string[]): Promise<Count> {
  process.stdout.write(`${name} …\n`)
  const status = await runNode(program, options)
  if (status !== 0) process.stdout.write(`${name}: failed with status ${status}\n`)
  return status === 0 ? { ...NOTHING, passed: 1 } : { ...NOTHING, failed: 1 }
}

async function runTests(paths: readonly string[]): Promise<Count> {
  const scratch = await mkdtemp(join(tmpdir(), 'chartkeep-test-'))
  try {
    const reportFile = join(scratch, 'report.json')
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`]
    const status = await runNode('node_modules/vitest/vitest.mjs', ['run', ...reporters, ...paths])
    return countTests(await readReport(reportFile), status)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** Null when vitest ended before it could write one. */
async function readReport(path: string): Promise<VitestReport | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch {
    return null
  }
}

function countTests(report: VitestReport | null, status: number): Count {
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

async function runNode(program: string, options: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, program), ...options], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [status] = await once(child, 'exit')
  return typeof status === 'number' ? status : 1
}

function add(left: Count, right: Count): Count {
  return {
    passed: left.passed + right.passed,
    failed: left.failed + right.failed,
    skipped: left.skipped + right.skipped,
  }
}
