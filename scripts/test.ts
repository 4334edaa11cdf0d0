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
import {
  add,
  type Count,
  closingLine,
  countTests,
  exitStatus,
  NOTHING,
  type VitestReport,
} from './support/test-count.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))

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
process.stdout.write(`\n${closingLine(total)}\n`)
process.exitCode = exitStatus(total)

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

async function runNode(program: string, options: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, program), ...options], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [status] = await once(child, 'exit')
  return typeof status === 'number' ? status : 1
}
