/** The program and its commands, over any world. */
import { Command } from 'commander'
import { tool } from '../tool.ts'
import type { Cli } from './command.ts'
import { registerCommands } from './commands.ts'

/** With the command that `args` begin with, or all of them; ends by throwing commander's errors, never the process. */
export async function commandLine(cli: Cli, args: readonly string[]): Promise<Command> {
  const program = new Command('chartkeep')
    .description(
      'Backup, recovery and integrity of an intensive-care database.\n重症临床信息系统数据库的备份、恢复与完整性核验。',
    )
    .version(tool.version)
    .showHelpAfterError('Run `chartkeep --help` for the commands, `chartkeep COMMAND --help` for one of them.')
    .exitOverride()
  await registerCommands(program, cli, args)
  for (const command of program.commands) tellOfHelp(command, 'chartkeep')
  return program
}

/** A command within a group is asked for by both names. */
function tellOfHelp(command: Command, within: string): void {
  const words = `${within} ${command.name()}`
  command.showHelpAfterError(`Run \`${words} --help\` for its options and examples.`)
  for (const sub of command.commands) tellOfHelp(sub, words)
}
