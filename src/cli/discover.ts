import type { Command } from 'commander'
import { argumentConnection } from '../secrets.ts'
import { discover, renderDraft } from '../source/discover.ts'
import { openSource } from '../source/open.ts'
import { action, type Cli, describe } from './command.ts'

interface DiscoverCommandOptions {
  readonly repo?: string
}

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'discover',
    summary: 'draft the configuration of a database',
    description:
      "Looks at a database and prints a configuration that works as it is: which table is the patients', which column\n" +
      'of every table leads to the patient, what each table counts as, and links that the database does not declare.\n' +
      'Every guess stands beside its reason. It only reads, and prints no value of any row. Review the draft: a wrong\n' +
      'anchor makes patients harder to find, it loses nothing.',
    examples: ['chartkeep discover postgres://chartkeep@db.hospital:5432/icu > chartkeep.yaml'],
    failures: ['source-unreachable', 'source-login-refused', 'source-not-found', 'missing-rights', 'rows-hidden'],
  })
  command
    .argument('<url>', 'postgres://user@host:port/database; the password from PGPASSWORD or a pgpass file')
    .option('--repo <url>', "the repository's address to put into the draft")
    .action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, url: string, options: DiscoverCommandOptions): Promise<void> {
  const connection = await argumentConnection(url, cli.world)
  await using source = await openSource(connection)
  const draft = await discover(source, { url: connection.url })
  const rendered = renderDraft(draft, options.repo === undefined ? {} : { repositoryUrl: options.repo })
  cli.terminal.out(rendered.trimEnd())
}
