import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { chooseSource } from '../config.ts'
import { Failure } from '../errors.ts'
import { BuildPool } from '../intake/build-pool.ts'
import { stateAt } from '../repository/state/state.ts'
import { resolveTarget } from '../repository/state/target.ts'
import { argumentConnection } from '../secrets.ts'
import { openSource } from '../source/open.ts'
import { compareDatabase } from '../verify/compare.ts'
import { COMPARE_DEED } from '../verify/doctor/look-records.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, announce, openConfiguredRepository, openConfiguredSource, readConfiguration } from './open.ts'
import { formatBytes } from './terminal.ts'
import { showVerification } from './verification-output.ts'

interface CompareOptions extends CommonOptions {
  readonly snapshot?: string
  readonly against?: string
  readonly at?: string
}

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'compare',
    summary: 'compare the live database with a snapshot, row by row',
    description:
      'Reads every table at one position and proves it equal to the snapshot, advanced by the captured changes to that\n' +
      'very position, or counts the rows that are missing, extra or changed, with the patients concerned (by pseudonym).\n' +
      'A difference was made past capture, and is a failure; on a restored database, too. Where changes are not captured,\n' +
      'of a table or of all, and the wards write, a difference may be theirs: it is then inconclusive, and the reason said.',
    examples: [
      'chartkeep compare',
      'chartkeep compare --snapshot 20260301T060000Z-1f2e3d4c --against postgres://drill-1/icu_restore',
      'chartkeep compare --at 2026-03-01T10:15:00+08:00 --against postgres://drill-1/icu_restore',
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
    .option('--at <target>', 'with --against: the moment to which it was restored, as `restore database` takes it')
    .action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: CompareOptions): Promise<void> {
  assertOptions(options)
  const configuration = await readConfiguration(cli, options)
  await using repository = await openConfiguredRepository(cli, configuration)
  await using _reading = await announce(cli, repository, 'a compare')
  await using source =
    options.against === undefined
      ? (await openConfiguredSource(cli, configuration, options)).source
      : await openSource(await argumentConnection(options.against, cli.world))
  const sourceName = options.source ?? chooseSource(configuration).name
  const target = await resolveTarget({ repository, sourceName, at: options.at ?? options.snapshot ?? 'latest' })
  const world = { temporaryDirectory: tmpdir(), random: randomBytes, signal: cli.signal }
  await using state = await stateAt(repository, target, world)
  await using pool = new BuildPool()
  const result = await compareDatabase({
    repository,
    source,
    state,
    expectSameHistory: options.against === undefined,
    pool,
    signal: cli.signal,
    nowMs: cli.nowMs,
    onProgress: (bytesRead) => cli.terminal.status(`${formatBytes(bytesRead)} read`),
  })
  if (options.against === undefined) {
    // So that `doctor` can say when the backup was last held against the database.
    const outcome = result.status === 'passed' ? 'done' : 'failed'
    const time = new Date(cli.nowMs()).toISOString()
    const deed = { actor: actorOf(cli), action: COMPARE_DEED, subject: sourceName, detail: result.status }
    await repository.audit.append({ ...deed, time, outcome })
  }
  showVerification(cli, 'compare', result, options.json)
}

/** The source is compared at the position at which it is read, and at no other. */
function assertOptions({ at, against, snapshot }: CompareOptions): void {
  if (at === undefined) return
  if (against === undefined) {
    throw new Failure('bad-usage', '--at says to which moment a database was restored, and no --against names one', {
      hints: ['Add --against URL; without it, the source is compared as it is now.'],
    })
  }
  if (snapshot !== undefined) {
    throw new Failure('bad-usage', 'both --at and --snapshot say what the database was restored to', {
      hints: ['Leave one of them out: --at takes a snapshot, too.'],
    })
  }
}
