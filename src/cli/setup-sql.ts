import type { Command } from 'commander'
import { chooseSource } from '../config.ts'
import { setupSql } from '../source/open.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { readConfiguration } from './open.ts'

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'setup-sql',
    summary: "print what the database's administrator has to run once",
    description:
      'Prints the statements that make the role chartkeep reads with, each with its reason in English and Chinese.\n' +
      'Nothing is installed in the database but this role. No password stands in them: it is set by \\password.',
    examples: ['chartkeep setup-sql > setup.sql', 'psql -h db.hospital -U postgres -d icu -f setup.sql'],
    failures: [],
  })
  withConfiguration(command).action(
    action(
      cli,
      (options: CommonOptions) => options.json,
      (options) => run(cli, options),
    ),
  )
  program.addCommand(command)
}

async function run(cli: Cli, options: CommonOptions): Promise<void> {
  const source = chooseSource(await readConfiguration(cli, options), options.source)
  const sql = setupSql(source.url)
  cli.terminal.out(options.json ? JSON.stringify({ type: 'setup-sql', sql }) : sql.trimEnd())
}
