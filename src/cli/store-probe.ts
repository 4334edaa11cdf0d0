import { Command } from 'commander'
import { probeStore, renderProbe } from '../repository/store/probe.ts'
import { storeSettings } from '../secrets.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { readConfiguration } from './open.ts'

export function register(program: Command, cli: Cli): void {
  const store = new Command('store').summary("what the repository's store can do").exitOverride()
  store.description('A directory, or a bucket of an S3 store.')
  const command = describe({
    name: 'probe',
    summary: 'find out by trying',
    description:
      'Writes, reads, lists and deletes a few small objects of its own, and says what this store really does: conditional\n' +
      "put, versions, object lock, listing, ranges, checksums. Nothing is judged by a vendor's name.",
    examples: [
      'chartkeep store probe',
      'chartkeep store probe --repo "s3://icu/backup?endpoint=https://store.hospital:9000"',
    ],
    failures: ['missing-secret', 'store-unreachable', 'store-refused', 'store-unsuitable'],
  })
  withConfiguration(command).action(action(cli, run))
  program.addCommand(store.addCommand(command))
}

async function run(cli: Cli, options: CommonOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  const probe = await probeStore(await storeSettings(configuration.repository, cli.world))
  cli.terminal.out(options.json ? JSON.stringify({ type: 'store-probe', ...probe }) : renderProbe(probe).trimEnd())
}
