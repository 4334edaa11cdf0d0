import type { Command } from 'commander'
import { chooseSource } from '../config.ts'
import { BuildPool } from '../intake/build-pool.ts'
import { resolveTarget } from '../repository/state/target.ts'
import { argumentConnection } from '../secrets.ts'
import { openSource } from '../source/open.ts'
import { compareDatabase } from '../verify/compare.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { openConfiguredRepository, openConfiguredSource, readConfiguration } from './open.ts'
import { formatBytes } from './terminal.ts'
import { showVerification } from './verification-output.ts'

interface CompareOptions extends CommonOptions {
  readonly snapshot?: string
  readonly against?: string
}

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'compare',
    summary: 'compare the live database with a snapshot, row by row',
    description:
      'Reads every table at one position and proves it equal to the snapshot, or counts the rows that are missing, extra\n' +
      'or changed, with the patients concerned (by pseudonym). While the wards write, a difference may be theirs: it is\n' +
      'then inconclusive. On a database that nobody wrote to since the snapshot, and on a restored one, it is a failure.',
    examples: [
      'chartkeep compare',
      'chartkeep compare --snapshot 20260301T060000Z-1f2e3d4c --against postgres://drill-1/icu_restore',
    ],
    failures: [
      'missing-secret',
      'wrong-key',
      'source-unreachable',
      'missing-rights',
      'findings-failed',
      'findings-inconclusive',
    ],
  })
  withConfiguration(command)
    .option('--snapshot <id>', 'which one; the newest of the source when not given')
    .option('--against <url>', 'a restored database instead of the source')
    .action(
      action(
        cli,
        (options: CompareOptions) => options.json,
        (options) => run(cli, options),
      ),
    )
  program.addCommand(command)
}

async function run(cli: Cli, options: CompareOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  await using repository = await openConfiguredRepository(cli, configuration)
  await using source =
    options.against === undefined
      ? (await openConfiguredSource(cli, configuration, options)).source
      : await openSource(await argumentConnection(options.against, cli.world))
  const sourceName = options.source ?? chooseSource(configuration).name
  const { base } = await resolveTarget({ repository, sourceName, at: options.snapshot ?? 'latest' })
  await using pool = new BuildPool()
  const result = await compareDatabase({
    repository,
    source,
    snapshotId: base.snapshotId,
    expectSameHistory: options.against === undefined,
    pool,
    signal: cli.signal,
    nowMs: cli.nowMs,
    onProgress: (bytesRead) => cli.terminal.status(`${formatBytes(bytesRead)} read`),
  })
  showVerification(cli, 'compare', result, options.json)
}
