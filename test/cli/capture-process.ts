import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { MAIN, type Site } from './cli-support.ts'

/** `capture` of a site as a process of its own, connected. */
export class CaptureProcess implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(site: Site): Promise<CaptureProcess> {
    const env = { ...process.env, ...site.environment }
    const args = ['--disable-warning=ExperimentalWarning', MAIN, 'capture', '--json']
    const child = spawn(process.execPath, args, { cwd: site.folder, env })
    const connected = new Promise<void>((resolve) => {
      child.stdout.on('data', (bytes: Buffer) => String(bytes).includes('"connected"') && resolve())
    })
    const ended = once(child, 'exit').then(() => Promise.reject(new Error('capture ended')))
    ended.catch(() => {})
    await Promise.race([connected, ended])
    return new CaptureProcess(child)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    this.#child.kill('SIGTERM')
    await once(this.#child, 'exit')
  }
}
