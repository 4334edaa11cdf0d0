import { randomBytes } from 'node:crypto'
import { type Command, Option } from 'commander'
import { scrubRepository } from '../verify/scrub.ts'
import { ScrubPool } from '../verify/scrub-pool.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, announce, openConfiguredRepository, readConfiguration } from './open.ts'
import { formatBytes } from './terminal.ts'
import { showVerification } from './verification-output.ts'

interface ScrubOptions extends CommonOptions {
  readonly snapshot?: string[]
  readonly depth: 'bytes' | 'rows'
}

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'scrub',
    summary: 'read and prove every byte of the repository',
    description:
      'All that check does, then reads every pack from end to end, decrypts and decodes every chunk, and computes every\n' +
      'digest anew. With --depth bytes, that every byte is the one that was written, without decoding rows: many times\n' +
      'faster. What was proved, and when, is written into the repository.',
    examples: [
      'chartkeep scrub',
      'chartkeep scrub --depth bytes',
      'chartkeep scrub --snapshot 20260301T060000Z-1f2e3d4c --json',
    ],
    failures: ['missing-secret', 'wrong-key', 'store-unreachable', 'findings-failed', 'findings-inconclusive'],
  })
  withConfiguration(command)
    .option('--snapshot <id...>', 'only what these snapshots need; all when not given')
    .addOption(
      new Option('--depth <depth>', 'every byte as it was written, or the rows made of them, too')
        .choices(['bytes', 'rows'])
        .default('rows'),
    )
    .action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: ScrubOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  // First: its threads start while the passphrase is turned into a key.
  await using pool = new ScrubPool()
  await using repository = await openConfiguredRepository(cli, configuration)
  await using _reading = await announce(cli, repository, 'a scrub')
  const deed = { actor: actorOf(cli), action: 'repository.scrub', subject: repository.id, detail: '' }
  const scrub = () =>
    scrubRepository({
      repository,
      ...(options.snapshot && { snapshots: options.snapshot }),
      lanes: pool.threads,
      depth: options.depth,
      scrubPack: (...task) => pool.scrubPack(...task),
      random: randomBytes,
      signal: cli.signal,
      nowMs: cli.nowMs,
      onProgress: ({ packsDone, packs, bytesDone }) =>
        cli.terminal.status(`${packsDone}/${packs} packs, ${formatBytes(bytesDone)}`),
    })
  const result = await repository.audit.around(deed, cli.nowMs, scrub)
  showVerification(cli, 'scrub', result, options.json)
}
