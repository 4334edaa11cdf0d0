import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { type Command, Option } from 'commander'
import { chooseSource, type SourceConfiguration } from '../config.ts'
import { Failure, failures } from '../errors.ts'
import { BuildPool } from '../intake/build-pool.ts'
import type { Repository } from '../repository/repository.ts'
import { argumentConnection, scratchConnection, sourceConnection } from '../secrets.ts'
import { DRILLS, type DrillReport, SCENARIOS, type Scenario } from '../verify/drill/drill-report.ts'
import { runDrill } from '../verify/drill/run-drill.ts'
import { readReport, type SignedReport } from '../verify/report/signed-report.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { drillLines, showHistory } from './drill-page.ts'
import { timeMsOfText } from './drill-times.ts'
import { actorOf, announce, openConfiguredRepository, readConfiguration } from './open.ts'
import { writeReportFiles } from './report-files.ts'

export interface DrillOptions extends CommonOptions {
  readonly scenario: Scenario
  readonly at?: string
  readonly table?: string
  readonly patient?: string
  readonly into?: string
  readonly leaveSource: boolean
  readonly faultAt?: string
  readonly discoveredAt?: string
  readonly reportedAt?: string
  readonly authorisedAt?: string
  readonly authorisedBy?: string
  readonly authorisation?: string
  readonly organisation?: string
  readonly lang: 'zh' | 'en' | 'both'
  readonly out?: string
  readonly list: boolean
  readonly print?: string
}

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'drill',
    summary: 'hold a recovery on a copy, measure it, and report it',
    description:
      'Rebuilds what was lost into a scratch database, proves it root by root, asks copy and source the questions that\n' +
      'the configuration names, measures RTO and RPO, erases the copy and looks whether it is gone. The report is signed\n' +
      'and kept in the repository; --out writes it as JSON and PDF (灾难恢复演练报告). A drill that was killed leaves no\n' +
      'server running, and the next one removes what it left. The source is read only, and not at all with --leave-source.\n' +
      'Without --into a PostgreSQL server of its own is started, under the directory of TMPDIR; of a SQL Server source, a\n' +
      'database is made on the server that `scratch` of the configuration names, and dropped.',
    examples: [
      'chartkeep drill --out report',
      'chartkeep drill --scenario patient --authorised-by "Dr. Li" --authorisation 2026-117 --lang both --out report',
      'chartkeep drill --scenario table --table public.vital_sign --into postgres://drill-1/icu_drill',
      'chartkeep drill --list',
    ],
    failures: [
      'missing-secret',
      'wrong-key',
      'snapshot-not-found',
      'unsupported-server',
      'source-failed',
      'findings-failed',
      'findings-inconclusive',
    ],
  })
  withConfiguration(command)
    .addOption(new Option('--scenario <name>', 'what was lost').choices([...SCENARIOS]).default('database'))
    .option(
      '--at <target>',
      'to which moment, as `restore database` takes it; to the last change kept, or the newest snapshot, when not given',
    )
    .option('--table <name>', 'of --scenario table: which one; the largest when not given')
    .option('--patient <key>', 'of --scenario patient: whose rows; drawn when not given')
    .option('--into <url>', 'an empty database instead of one of its own')
    .option('--leave-source', 'do not read the source: no lost rows, no comparison of answers', false)
    .option('--fault-at <time>', 'when the fault happened, where people staged it')
    .option('--discovered-at <time>', 'when it was discovered')
    .option('--reported-at <time>', 'when it was reported')
    .option('--authorised-at <time>', 'when the recovery was authorised')
    .option('--authorised-by <name>', 'by whom')
    .option('--authorisation <number>', 'under which number')
    .option('--organisation <text>', "the hospital, as it is to be printed, instead of the configuration's")
    .addOption(new Option('--lang <language>', 'of the PDF').choices(['zh', 'en', 'both']).default('zh'))
    .option('--out <dir>', 'where JSON and PDF go')
    .option('--list', 'the drills that were held, and their trend', false)
    .option('--print <id>', 'write the files of a drill that was held before')
    .action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: DrillOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  const configured = chooseSource(configuration, options.source)
  await using repository = await openConfiguredRepository(cli, configuration)
  if (options.list) return await showHistory(cli, repository, configured.name, options.json)
  if (options.print !== undefined) {
    return await write(cli, options, await readReport(repository, DRILLS, options.print))
  }
  await using _reading = await announce(cli, repository, 'a drill')
  const deed = { actor: actorOf(cli), action: 'drill', subject: configured.name, detail: options.scenario }
  const work = () => hold(cli, options, configured, repository)
  const signed = await repository.audit.around(deed, cli.nowMs, work, ({ report }) => report.id)
  await show(cli, options, signed)
}

async function hold(
  cli: Cli,
  options: DrillOptions,
  configured: SourceConfiguration,
  repository: Repository,
): Promise<SignedReport<DrillReport>> {
  const { drill } = configured
  await using pool = new BuildPool()
  return await runDrill({
    repository,
    sourceName: configured.name,
    organisation: options.organisation ?? drill.organisation ?? configured.name,
    actor: actorOf(cli),
    scenario: options.scenario,
    at: options.at ?? null,
    table: options.table ?? null,
    patient: options.patient ?? null,
    authorisation: authorisationOf(options),
    said: saidTimes(options),
    targets: drill.targets,
    questions: drill.questions,
    sourceUrl: configured.url,
    scratch: await scratchConnection(configured, cli.world),
    into: options.into === undefined ? null : await argumentConnection(options.into, cli.world),
    source: options.leaveSource ? null : await sourceConnection(configured, cli.world),
    pool,
    temporaryDirectory: tmpdir(),
    random: randomBytes,
    signal: cli.signal,
    nowMs: cli.nowMs,
    onProgress: (what) => cli.terminal.status(what),
  })
}

function saidTimes(options: DrillOptions) {
  const { faultAt, discoveredAt, reportedAt, authorisedAt } = options
  return {
    ...(faultAt !== undefined && { T0: timeMsOfText(faultAt) }),
    ...(discoveredAt !== undefined && { T1: timeMsOfText(discoveredAt) }),
    ...(reportedAt !== undefined && { T2: timeMsOfText(reportedAt) }),
    ...(authorisedAt !== undefined && { T3: timeMsOfText(authorisedAt) }),
  }
}

function authorisationOf({ authorisedBy, authorisation }: DrillOptions): DrillReport['authorisation'] {
  if (authorisedBy === undefined && authorisation === undefined) return null
  if (authorisedBy !== undefined && authorisation !== undefined) return { by: authorisedBy, reference: authorisation }
  throw new Failure('bad-usage', 'an authorisation has a person and a number', {
    hints: ['Give --authorised-by and --authorisation together.'],
  })
}

async function show(cli: Cli, options: DrillOptions, signed: SignedReport<DrillReport>): Promise<void> {
  const { report, sha256 } = signed
  if (report.status === 'failed') cli.setExitStatus(failures['findings-failed'].exit)
  if (report.status === 'inconclusive') cli.setExitStatus(failures['findings-inconclusive'].exit)
  if (options.json) cli.terminal.out(JSON.stringify({ type: 'drill', sha256, ...report }))
  else for (const line of drillLines(signed)) cli.terminal.out(line)
  if (options.out !== undefined) await write(cli, options, signed)
}

async function write(cli: Cli, { out, lang, json }: DrillOptions, signed: SignedReport<DrillReport>): Promise<void> {
  const { drillPdf } = await import('../verify/drill/page.ts')
  const files = await writeReportFiles({ directory: out ?? '.', languages: lang, signed, pdf: drillPdf })
  if (!json) for (const file of files) cli.terminal.out(`written   ${file}`)
}
