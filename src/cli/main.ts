/**
 * The command line: the entry point that names the real world (clock, environment, terminal, signals) and hands it to
 * the commands.
 */
import { setTimeout } from 'node:timers/promises'
import { CommanderError } from 'commander'
import { Failure, failures } from '../errors.ts'
import { processWorld } from '../world.ts'
import type { Cli } from './command.ts'
import { giveWay } from './give-way.ts'
import { commandLine } from './program.ts'
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
  giveWay,
}

try {
  const program = await commandLine(cli, process.argv.slice(2))
  await program.parseAsync(process.argv)
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? 0 : failures['bad-usage'].exit
}
