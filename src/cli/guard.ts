import { randomBytes } from 'node:crypto'
import { Command, Option } from 'commander'
import { placeHold, readHolds, releaseHolds } from '../backup/retention/hold.ts'
import { takeSnapshot } from '../backup/snapshot.ts'
import { failures } from '../errors.ts'
import { BuildPool } from '../intake/build-pool.ts'
import { NO_RULES } from '../verify/certificate/rules.ts'
import { layoutWithout } from '../verify/guard/gone-tables.ts'
import type { GuardBegin, GuardEnd } from '../verify/guard/guard-report.ts'
import { beginGuard, endGuard, type GuardWorld } from '../verify/guard/hold-guard.ts'
import type { SignedReport } from '../verify/report/signed-report.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, openConfiguredSource, readConfiguration } from './open.ts'
import { writeReportFiles } from './report-files.ts'
import { formatCount } from './terminal.ts'

interface GuardOptions extends CommonOptions {
  readonly organisation?: string
  readonly compare: boolean
}

interface BeginOptions extends GuardOptions {
  readonly reason: string
}

interface EndOptions extends GuardOptions {
  readonly lang: 'zh' | 'en' | 'both'
  readonly out?: string
}

const FAILURES = ['missing-secret', 'wrong-key', 'source-unreachable', 'missing-rights', 'lease-held'] as const

export function register(program: Command, cli: Cli): void {
  const group = new Command('guard')
    .summary('before and after a change of the clinical system: what it changed')
    .description('Before and after a change of the clinical system: what it changed, and that history did not.')
    .exitOverride()
  group.addCommand(beginCommand(cli))
  group.addCommand(endCommand(cli))
  program.addCommand(group)
}

function beginCommand(cli: Cli): Command {
  const command = describe({
    name: 'begin',
    summary: 'take and prove the state before the change',
    description:
      'Takes a snapshot, reads the whole database beside it, and keeps a signed report of both. One guard of a source is\n' +
      'open at a time. Run it when the application stands still, or what the wards write meanwhile counts as well.',
    examples: ['chartkeep guard begin --reason "upgrade to 5.2, change 2026-031"'],
    failures: FAILURES,
  })
  return withGuard(command)
    .requiredOption('--reason <text>', 'what is going to be changed, and under which number')
    .action(action(cli, begin))
}

function endCommand(cli: Cli): Command {
  const command = describe({
    name: 'end',
    summary: 'take and prove the state behind the change, and compare both',
    description:
      'Takes a snapshot, reads the whole database beside it, and compares it with the one that `guard begin` took, tree\n' +
      'against tree: rows inserted, updated and deleted by table, the schema, and whether a row of a closed record is\n' +
      'another now. `explain:` in chartkeep.yaml says when records are closed, and what may change at any time.',
    examples: ['chartkeep guard end --lang both --out report'],
    failures: [...FAILURES, 'findings-failed', 'findings-inconclusive'],
  })
  return withGuard(command)
    .addOption(new Option('--lang <language>', 'of the PDF').choices(['zh', 'en', 'both']).default('zh'))
    .option('--out <dir>', 'where JSON and PDF go')
    .action(action(cli, end))
}

function withGuard(command: Command): Command {
  return withConfiguration(command)
    .option('--organisation <text>', "the hospital, as it is to be printed, instead of the configuration's")
    .option('--no-compare', 'do not read the database beside the snapshot: the report says so, and proves less')
}

async function begin(cli: Cli, options: BeginOptions): Promise<void> {
  const signed = await withGuardWorld(cli, options, 'guard.begin', (world) => beginHeld(world, options.reason))
  const { report, sha256 } = signed
  if (options.json) {
    cli.terminal.out(JSON.stringify({ type: 'guard-begin', sha256, ...report }))
    return
  }
  cli.terminal.out(`guard     ${report.id} begun: ${report.reason}`)
  cli.terminal.out(
    `snapshot  ${report.before.snapshot}, ${formatCount(report.before.rows)} rows, ${report.before.proved}`,
  )
  cli.terminal.out(`report    sha256 ${sha256}`)
}

async function end(cli: Cli, options: EndOptions): Promise<void> {
  const signed = await withGuardWorld(cli, options, 'guard.end', endAndRelease)
  const { report, sha256 } = signed
  if (report.history === 'changed') cli.setExitStatus(failures['findings-failed'].exit)
  if (report.history === 'undecided') cli.setExitStatus(failures['findings-inconclusive'].exit)
  if (options.json) cli.terminal.out(JSON.stringify({ type: 'guard-end', sha256, ...report }))
  else for (const line of linesOf(signed)) cli.terminal.out(line)
  if (options.out === undefined) return
  const { guardPdf } = await import('../verify/guard/page.ts')
  const files = await writeReportFiles({ directory: options.out, languages: options.lang, signed, pdf: guardPdf })
  if (!options.json) for (const file of files) cli.terminal.out(`written   ${file}`)
}

/** Without its first snapshot a guard could never be ended: no rule may forget that one meanwhile. */
async function beginHeld(world: GuardWorld, reason: string): Promise<SignedReport<GuardBegin>> {
  const signed = await beginGuard(world, reason)
  const { id, before } = signed.report
  await placeHold(world, { snapshotId: before.snapshot, reason: holdReason(id), until: null })
  return signed
}

async function endAndRelease(world: GuardWorld): Promise<SignedReport<GuardEnd>> {
  const signed = await endGuard(world)
  const holds = await readHolds(world.repository, await world.repository.audit.read())
  for (const { holdId, reason } of holds) {
    if (reason === holdReason(signed.report.id)) await releaseHolds(world, holdId, 'the guard was ended')
  }
  return signed
}

function holdReason(guardId: string): string {
  return `guard ${guardId} stands on it`
}

function linesOf({ report, sha256 }: SignedReport<GuardEnd>): string[] {
  const sum = (counts: GuardEnd['tables'][number]['updated']) => Object.values(counts).reduce((a, b) => a + b, 0)
  const lines = [`guard     ${report.id}: ${report.reason}`]
  for (const { table, rootBefore, rootAfter, inserted, updated, deleted, movedIn, movedOut } of report.tables) {
    if (rootBefore === rootAfter) continue
    const closed = updated.closed + deleted.closed
    lines.push(
      `changed   ${table}: ${formatCount(inserted)} inserted, ${formatCount(sum(updated))} updated, ` +
        `${formatCount(sum(deleted))} deleted${closed > 0 ? `; ${formatCount(closed)} of closed records` : ''}`,
    )
    if (movedIn + movedOut > 0) {
      lines.push(`moved     ${table}: ${formatCount(movedIn)} from other parts, ${formatCount(movedOut)} to others`)
    }
  }
  for (const [name, objects] of Object.entries(report.schema)) {
    for (const object of objects) lines.push(`schema    ${name}: ${object}`)
  }
  for (const { severity, message } of report.findings) lines.push(`${severity}   ${message}`)
  lines.push(`report    sha256 ${sha256}`, `history   ${report.history}`)
  return lines
}

async function withGuardWorld<Report extends GuardBegin | GuardEnd>(
  cli: Cli,
  options: GuardOptions,
  deedName: string,
  work: (world: GuardWorld) => Promise<SignedReport<Report>>,
): Promise<SignedReport<Report>> {
  const configuration = await readConfiguration(cli, options)
  await using repository = await openConfiguredRepository(cli, configuration)
  const { configured, source } = await openConfiguredSource(cli, configuration, options)
  await using _source = source
  await using pool = new BuildPool()
  const common = { repository, sourceName: configured.name, source, pool, signal: cli.signal, nowMs: cli.nowMs }
  const deed = { actor: actorOf(cli), action: deedName, subject: configured.name, detail: '' }
  const snapshotOf = (gone: ReadonlySet<string>) =>
    takeSnapshot({
      ...common,
      layout: layoutWithout(configured, gone),
      sleep: cli.sleep,
      holder: actorOf(cli),
      onProgress: () => cli.terminal.status('snapshot'),
    })
  const world: GuardWorld = {
    ...common,
    takeSnapshot: async (gone) => (await snapshotOf(gone)).snapshot,
    isCompared: options.compare,
    rules: configured.explain ?? NO_RULES,
    organisation: options.organisation ?? configured.drill.organisation ?? configured.name,
    actor: actorOf(cli),
    random: randomBytes,
    onProgress: (what) => cli.terminal.status(what),
  }
  return await repository.audit.around(
    deed,
    cli.nowMs,
    () => work(world),
    ({ report }) => report.id,
  )
}
