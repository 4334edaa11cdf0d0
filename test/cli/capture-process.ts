import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { MAIN, type Site } from './cli-support.ts'

const PATIENCE_MS = 60_000

/** `capture` of a site as a process of its own, connected; stopped at the latest when it is disposed of. */
export class CaptureProcess implements AsyncDisposable {
  readonly events: Record<string, unknown>[] = []
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown[]>
  #stderr = ''

  private constructor(site: Site) {
    const env = { ...process.env, ...site.environment }
    const args = ['--disable-warning=ExperimentalWarning', MAIN, 'capture', '--json']
    this.#child = spawn(process.execPath, args, { cwd: site.folder, env })
    this.#exited = once(this.#child, 'exit')
    let rest = ''
    this.#child.stdout!.on('data', (bytes: Buffer) => {
      const lines = (rest + bytes.toString()).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.events.push(JSON.parse(line))
    })
    this.#child.stderr!.on('data', (bytes: Buffer) => {
      this.#stderr += bytes.toString()
    })
  }

  static async start(site: Site): Promise<CaptureProcess> {
    const started = new CaptureProcess(site)
    await started.#saw('connected')
    return started
  }

  get pid(): number {
    return this.#child.pid!
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal)
    const [status] = await this.#exited
    return status as number | null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.end('SIGTERM')
  }

  async #saw(kind: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    while (!this.events.some((event) => event.kind === kind)) {
      if (performance.now() > deadline || this.#child.exitCode !== null) {
        throw new Error(`no ${kind}: ${this.#stderr} ${JSON.stringify(this.events)}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
