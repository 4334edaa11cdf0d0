import type { Command } from 'commander'
import { chooseSource, type SourceConfiguration } from '../config.ts'
import { argumentUrl } from '../database-url.ts'
import { setupSql } from '../source/open.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { readConfiguration } from './open.ts'

interface SetupOptions extends CommonOptions {
  readonly writer: boolean
}

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'setup-sql',
    summary: "print what the database's administrator has to run once",
    description:
      'Prints the statements that make the role chartkeep reads with, and the publication by which it follows changes,\n' +
      'each with its reason in English and Chinese. Nothing else is installed in the database. To be run again after\n' +
      'tables were added. No password stands in them: it is set by \\password.\n' +
      'The address says which role and which database; nothing is connected to, and no configuration is needed.',
    examples: [
      'chartkeep setup-sql postgres://chartkeep@db.hospital:5432/icu > setup.sql',
      'psql -h db.hospital -U postgres -d icu -f setup.sql',
    ],
    failures: [],
  })
  command.argument('[url]', "whose role and database are meant; the configuration's source when not given")
  withConfiguration(command)
    .option('--writer', 'for the role that puts patients back, instead of the one that reads', false)
    .action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, given: string | undefined, options: SetupOptions): Promise<void> {
  const { url, exclude } =
    given === undefined ? await chosenRole(cli, options) : { url: argumentUrl(given), exclude: [] }
  const sql = setupSql(url, { exclude: [...exclude], writer: options.writer })
  cli.terminal.out(options.json ? JSON.stringify({ type: 'setup-sql', sql }) : sql.trimEnd())
}

async function chosenRole(cli: Cli, options: SetupOptions): Promise<Pick<SourceConfiguration, 'url' | 'exclude'>> {
  const source = chooseSource(await readConfiguration(cli, options), options.source)
  return { url: (options.writer ? source.writer?.url : null) ?? source.url, exclude: source.exclude }
}
