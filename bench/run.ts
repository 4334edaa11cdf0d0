/**
 * How fast, how small, how much memory: asked of chartkeep and of the tools that this machine has, on the same data, in
 * one run. Absolute times are the machine's; what counts are the ratios within a run.
 *
 *     npm run bench                                 size S (8 M rows), every question
 *     npm run bench -- --rows 1000000 --only base   a smaller database, one question
 *
 * Prints Markdown, as bench/RESULTS.md holds it.
 */
import { execFileSync } from 'node:child_process'
import { cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { capture } from './capture.ts'
import { day } from './day.ts'
import { patient } from './patient.ts'
import { base, fullRead, type Question, restore, scrub } from './questions.ts'
import { type Finding, isInstalled, makeStage, ROOT } from './stage.ts'

const questions: Readonly<Record<string, Question>> = {
  base,
  'full-read': fullRead,
  restore,
  scrub,
  capture,
  patient,
  day,
}
const MIB = 1024 * 1024

const missing = ['psql', 'pg_dump', 'pg_restore', 'restic', 'pgbackrest', 'pgbench'].filter(
  (tool) => !isInstalled(tool),
)
const { values } = parseArgs({
  options: { size: { type: 'string' }, rows: { type: 'string' }, only: { type: 'string' } },
})
const rows = values.rows === undefined ? undefined : Number(values.rows)
const size = rows === undefined ? (['XS', 'S', 'M'] as const).find((each) => each === (values.size ?? 'S')) : undefined
const only = values.only?.split(',') ?? Object.keys(questions)

await using stage = await makeStage({ size, rows, say })
const findings: Finding[] = []
for (const [name, ask] of Object.entries(questions)) {
  // What is not asked for is still done where a later question stands on it.
  if (!only.includes(name) && name !== 'base') continue
  say(name)
  findings.push(...(await ask(stage)))
  for (const finding of findings.filter(({ question }) => question === name)) say(resultLine(finding, findings))
}
process.stdout.write(report(findings))

function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}

function report(findings: readonly Finding[]): string {
  const head = [
    `machine   ${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, ${Math.round(totalmem() / MIB / 1024)} GiB`,
    `commit    ${commit()}`,
    `data      reference database, ${stage.rows} rows in ${stage.tables.length} tables, PostgreSQL ${stage.server.version} on this machine`,
    `command   npm run bench -- ${process.argv.slice(2).join(' ')}`,
    `tools     ${missing.length === 0 ? 'all' : `not on this machine, so not compared with: ${missing.join(', ')}`}`,
  ]
  const lines = findings.map((finding) => resultLine(finding, findings))
  return [
    ...head.map((line) => `    ${line}`),
    '',
    '| question | what | seconds | to the first line | processor s | server s | peak MiB | bytes left | load |',
    '|---|---|---:|---:|---:|---:|---:|---:|---:|',
    ...lines,
    '',
  ].join('\n')
}

/** Ratios are to the first line of the same question. */
function resultLine(finding: Finding, findings: readonly Finding[]): string {
  const { measured } = finding
  const first = findings.find(({ question }) => question === finding.question)
  const ratio = first ? measured.seconds / first.measured.seconds : 1
  const cells = [
    finding.question,
    finding.what,
    measured.seconds.toFixed(1),
    ratio.toFixed(2),
    measured.cpuSeconds?.toFixed(1) ?? '',
    measured.serverCpuSeconds?.toFixed(1) ?? '',
    measured.peakMiB?.toFixed(0) ?? '',
    finding.bytes === null ? '' : `${(finding.bytes / MIB).toFixed(1)} MiB`,
    measured.load.toFixed(1),
  ]
  return `| ${cells.join(' | ')} |`
}

function commit(): string {
  return execFileSync('git', ['describe', '--always', '--dirty'], { cwd: ROOT }).toString().trim()
}
