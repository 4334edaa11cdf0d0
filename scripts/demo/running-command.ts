/** A command of chartkeep that goes on beside others until it is stopped, as a service would. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { stripVTControlCharacters } from 'node:util'

/** One line of `--json`. */
export type Said = Readonly<Record<string, unknown>>

export interface Ended {
  readonly status: number
  readonly stderr: string
}

export class RunningCommand implements AsyncDisposable {
  /** Everything it said so far. */
  readonly said: Said[] = []
  readonly #child: ChildProcess
  readonly #stderr: Promise<string>
  readonly #ended: Promise<Ended>
  #onLine: () => void = () => {}

  constructor(program: readonly string[], options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv }) {
    this.#child = spawn(program[0]!, program.slice(1), { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#stderr = text(this.#child.stderr!)
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.said.push(JSON.parse(line))
      this.#onLine()
    })
    this.#ended = this.#end()
  }

  /** Until it has said something of this kind. @returns null when it ended before */
  async says(kind: string): Promise<Said | null> {
    return await this.saysThat((line) => line.kind === kind)
  }

  /** The same, of a line that fits. */
  async saysThat(fits: (line: Said) => boolean): Promise<Said | null> {
    const found = () => this.said.find(fits)
    const heard = new Promise<void>((resolve) => {
      this.#onLine = () => {
        if (found()) resolve()
      }
      this.#onLine()
    })
    await Promise.race([heard, this.#ended])
    return found() ?? null
  }

  /** Lets it end well. */
  async stop(): Promise<Ended> {
    this.#child.kill('SIGTERM')
    return await this.#ended
  }

  /** At once, and without a chance to do anything. */
  async kill(): Promise<Ended> {
    this.#child.kill('SIGKILL')
    return await this.#ended
  }

  /** Also when nobody stopped it. */
  async ended(): Promise<Ended> {
    return await this.#ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #end(): Promise<Ended> {
    const [status] = await once(this.#child, 'close')
    return { status: typeof status === 'number' ? status : 1, stderr: stripVTControlCharacters(await this.#stderr) }
  }
}
