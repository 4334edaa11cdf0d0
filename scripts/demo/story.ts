/**
 * Keeps the demo's story: what was done, when, by which command, and what it printed. A step that fails ends the story
 * and is named.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import type { z } from 'zod'
import { Failure, type FailureRecord, failures, toFailureRecord } from '../../src/errors.ts'
import { formatSeconds } from './format.ts'
import type { Step, StepName } from './result.ts'
import { RunningCommand, type Said } from './running-command.ts'
import { stepTitles } from './words.ts'

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url))
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** The command that failed, with the exit status it had: the demo ends with the same. */
export class StepFailed extends Error {
  readonly exitStatus: number
  readonly step: StepName
  constructor(step: StepName, exitStatus: number, said: string) {
    super(said)
    this.name = 'StepFailed'
    this.step = step
    this.exitStatus = exitStatus
  }
}

export interface CommandOptions {
  /** Shown after the command as a shell would have it: `> demo-output/chartkeep.yaml`. */
  readonly redirection?: string
}

export class Story {
  readonly steps: Step[] = []
  readonly #startedMs = performance.now()
  readonly #environment: Readonly<Record<string, string>>
  readonly print: (line: string) => void

  constructor(environment: Readonly<Record<string, string>>, print: (line: string) => void) {
    this.#environment = environment
    this.print = print
  }

  nowSeconds(): number {
    return (performance.now() - this.#startedMs) / 1000
  }

  /** Something that is not a command of chartkeep. `tell` says what came of it. */
  async does<T>(name: StepName, work: () => Promise<T>, tell: (result: T) => string): Promise<T> {
    this.#announce(name)
    const startSeconds = this.nowSeconds()
    const result = await work().catch((error: unknown) => {
      throw new StepFailed(name, exitStatusOf(error), describeFailure(toFailureRecord(error)))
    })
    this.#finish({ name, command: null, output: tell(result), startSeconds })
    return result
  }

  /** @returns all of stdout. The command is the real one, in a process of its own. */
  async types(name: StepName, args: readonly string[], options: CommandOptions = {}): Promise<string> {
    return (await this.#run(name, args, options, (stdout) => (options.redirection ? '' : stdout.trimEnd()))).stdout
  }

  /** With `--json`: the last line of stdout, which `tell` puts into words. */
  async asks<S extends z.ZodType>(
    name: StepName,
    args: readonly string[],
    shape: S,
    tell: (result: z.output<S>) => string,
  ): Promise<z.output<S>> {
    const read = (stdout: string) => shape.parse(lastObject(stdout))
    const { stdout } = await this.#run(name, [...args, '--json'], {}, (printed) => tell(read(printed)))
    return read(stdout)
  }

  /**
   * A command that goes on beside the next ones, with `--json`. The step is done when it has said `kind`.
   * To be stopped by the caller.
   */
  async starts(
    name: StepName,
    args: readonly string[],
    kind: string,
    tell: (said: Said) => string,
  ): Promise<RunningCommand> {
    const given = [...args, '--json']
    const command = `${commandLine(given)} &`
    this.#announce(name)
    this.print(`  $ ${command}`)
    const startSeconds = this.nowSeconds()
    const running = new RunningCommand(programOf(given), { cwd: CHECKOUT, env: this.#variables() })
    const said = await running.says(kind)
    if (said === null) {
      const { status, stderr } = await running.ended()
      throw new StepFailed(name, status, `${command}\n${stderr.trimEnd()}`)
    }
    this.#finish({ name, command, output: tell(said), startSeconds })
    return running
  }

  /** What must hold, or the demo has shown nothing. */
  expect(step: StepName, holds: boolean, otherwise: string): void {
    if (!holds) throw new StepFailed(step, 1, otherwise)
  }

  async #run(
    name: StepName,
    args: readonly string[],
    { redirection }: CommandOptions,
    tell: (stdout: string) => string,
  ): Promise<{ stdout: string }> {
    const command = [commandLine(args), ...(redirection ? [redirection] : [])].join(' ')
    this.#announce(name)
    this.print(`  $ ${command}`)
    const startSeconds = this.nowSeconds()
    const { status, stdout, stderr } = await runChartkeep(args, this.#variables())
    if (status !== 0) throw new StepFailed(name, status, `${command}\n${stderr.trimEnd() || stdout.trimEnd()}`)
    this.#finish({ name, command, output: tell(stdout), startSeconds })
    return { stdout }
  }

  #variables(): NodeJS.ProcessEnv {
    return { ...process.env, ...this.#environment }
  }

  #announce(name: StepName): void {
    this.print('')
    this.print(`${stepTitles[name].en}  ${stepTitles[name].zh}`)
  }

  #finish(step: Omit<Step, 'seconds'>): void {
    const seconds = this.nowSeconds() - step.startSeconds
    this.steps.push({ ...step, seconds })
    for (const line of step.output === '' ? [] : step.output.split('\n')) this.print(`  ${line}`)
    this.print(`  (${formatSeconds(seconds)})`)
  }
}

async function runChartkeep(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ status: number; stdout: string; stderr: string }> {
  const [program, ...given] = programOf(args)
  const child = spawn(program, given, { cwd: CHECKOUT, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { status: typeof status === 'number' ? status : 1, stdout, stderr: stripVTControlCharacters(stderr) }
}

export function lastObject(stdout: string): unknown {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
}

function programOf(args: readonly string[]): [program: string, ...args: string[]] {
  return [process.execPath, '--disable-warning=ExperimentalWarning', MAIN, ...args]
}

function commandLine(args: readonly string[]): string {
  return ['chartkeep', ...args.map(quote)].join(' ')
}

/** As a shell needs it. */
function quote(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`
}

function exitStatusOf(error: unknown): number {
  return error instanceof Failure ? error.exitStatus : failures.defect.exit
}

function describeFailure({ code, message, hints }: FailureRecord): string {
  return [`error ${code}: ${message}`, ...hints.map((hint) => `hint: ${hint}`)].join('\n')
}
