/**
 * What every command shares: its options, its help, and how it ends. A command is a file that exports `register`; it
 * asks and shows, and decides nothing.
 */
import { Command } from 'commander'
import { Failure, type FailureCode, failures, fromFailureRecord, toFailureRecord } from '../errors.ts'
import type { World } from '../world.ts'
import { printFailure, type Terminal } from './terminal.ts'

/** The world of a command. */
export interface Cli {
  readonly terminal: Terminal
  readonly world: World
  readonly nowMs: () => number
  /** Cut short, by an error, when the signal fires. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
  /** Fires at Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal
  setExitStatus(status: number): void
  /** From now on whoever else wants the processor has it first. */
  giveWay(): void
}

export interface CommonOptions {
  readonly config: string
  readonly repo?: string
  readonly source?: string
  readonly json: boolean
}

export interface CommandText {
  readonly name: string
  readonly summary: string
  /** What it does, what it needs, what it leaves. */
  readonly description: string
  readonly examples: readonly string[]
  /** Failures that are typical of this command; the general ones are added. */
  readonly failures: readonly FailureCode[]
}

const GENERAL_FAILURES: readonly FailureCode[] = ['bad-usage', 'bad-configuration', 'cancelled']

export function describe(text: CommandText): Command {
  const command = new Command(text.name).summary(text.summary).description(text.description).exitOverride()
  command.addHelpText('after', () => {
    const codes = [...new Set([...GENERAL_FAILURES, ...text.failures])].sort(
      (a, b) => failures[a].exit - failures[b].exit,
    )
    const lines = [
      '',
      'Examples:',
      ...text.examples.map((example) => `  $ ${example}`),
      '',
      'Exit status:',
      '   0  done',
    ]
    for (const code of codes) lines.push(`  ${String(failures[code].exit).padStart(2)}  ${code}`)
    lines.push('  docs/errors.md says what each means and what to do.')
    return lines.join('\n')
  })
  return command
}

export function withConfiguration(command: Command): Command {
  return command
    .option('--config <file>', 'configuration', 'chartkeep.yaml')
    .option('--repo <url>', "the repository's address, instead of the configuration's")
    .option('--source <name>', 'which source, when the configuration has several')
    .option('--json', 'for programs: one JSON object a line', false)
}

/** Runs a command to its end, with its arguments and options: failures become one message, hints and an exit status. */
export function action<Arguments extends readonly unknown[]>(
  cli: Cli,
  work: (cli: Cli, ...args: Arguments) => Promise<void>,
): (...args: Arguments) => Promise<void> {
  return async (...args) => {
    try {
      await work(cli, ...args)
    } catch (error) {
      const failure = error instanceof Failure ? error : fromFailureRecord(toFailureRecord(error))
      printFailure(cli.terminal, failure, args.some(asksForJson))
      cli.setExitStatus(failure.exitStatus)
    }
  }
}

/** Of what commander hands over only the options have it: the arguments are texts, and behind them stands the command. */
function asksForJson(given: unknown): boolean {
  return typeof given === 'object' && given !== null && 'json' in given && given.json === true
}
