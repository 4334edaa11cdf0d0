/**
 * The command line: the entry point that names the real world (clock, environment, terminal, signals) and hands it to
 * the commands.
 */
import { setTimeout } from 'node:timers/promises'
import { Command, CommanderError } from 'commander'
import { Failure, failures } from '../errors.ts'
import { tool } from '../tool.ts'
import { processWorld } from '../world.ts'
import type { Cli } from './command.ts'
import { registerCommands } from './commands.ts'
import { processTerminal } from './terminal.ts'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => stop.abort(new Failure('cancelled', `stopped by ${signal}`)))
}

const cli: Cli = {
  terminal: processTerminal(),
  world: processWorld(),
  nowMs: () => Date.now(),
  sleep: async (ms, signal) => {
    await setTimeout(ms, undefined, { signal })
  },
  signal: stop.signal,
  setExitStatus: (status) => {
    process.exitCode = status
  },
}

const program = new Command('chartkeep')
  .description(
    'Backup, recovery and integrity of an intensive-care database.\n重症临床信息系统数据库的备份、恢复与完整性核验。',
  )
  .version(tool.version)
  .showHelpAfterError('Run `chartkeep --help` for the commands, `chartkeep COMMAND --help` for one of them.')
  .exitOverride()

try {
  await registerCommands(program, cli, process.argv.slice(2))
  await program.parseAsync(process.argv)
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? 0 : failures['bad-usage'].exit
}
