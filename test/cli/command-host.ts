/**
 * Runs commands one after another in one process, as `main.ts` runs one: where many of them only prepare or look, what a
 * process loads takes longer than what it does. How a process itself begins and ends is shown by those test files that
 * start one for each command.
 *
 * Started by `hosted` (cli-support.ts); each message is a HostedCommand, each answer an Ended.
 */
import { setTimeout } from 'node:timers/promises'
import { type Command, CommanderError, type OutputConfiguration } from 'commander'
import type { Cli } from '../../src/cli/command.ts'
import { commandLine } from '../../src/cli/program.ts'
import { failures } from '../../src/errors.ts'
import { processWorld } from '../../src/world.ts'
import type { Ended, Environment } from './cli-support.ts'

export interface HostedCommand {
  readonly args: readonly string[]
  readonly environment: Environment
}

process.on('message', (command: HostedCommand) => {
  void runCommand(command).then((ended) => process.send!(ended))
})

async function runCommand({ args, environment }: HostedCommand): Promise<Ended> {
  let [status, stdout, stderr] = [0, '', '']
  const writeOut = (text: string) => {
    stdout += text
  }
  const writeErr = (text: string) => {
    stderr += text
  }
  const cli: Cli = {
    terminal: { out: (line) => writeOut(`${line}\n`), err: (line) => writeErr(`${line}\n`), status: () => {} },
    world: { ...processWorld(), variables: { ...process.env, ...environment } },
    nowMs: () => Date.now(),
    sleep: async (ms, signal) => {
      await setTimeout(ms, undefined, { signal })
    },
    signal: new AbortController().signal,
    setExitStatus: (given) => {
      status = given
    },
    // The host serves other commands, too.
    giveWay: () => {},
  }
  try {
    const program = await commandLine(cli, args)
    configureOutput(program, { writeOut, writeErr })
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    status = error.exitCode === 0 ? 0 : failures['bad-usage'].exit
  }
  return { status, stdout, stderr }
}

function configureOutput(command: Command, output: OutputConfiguration): void {
  command.configureOutput(output)
  for (const each of command.commands) configureOutput(each, output)
}
