/** chartkeep's own command line in a folder with a key, for a SQL Server: what it printed is kept, to be searched. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type Ended, lastObject, runCommand } from '../../cli/cli-support.ts'
import { password } from './server.ts'

export class CommandLine {
  readonly folder: string
  readonly printed: string[] = []
  readonly #timeoutMs: number

  private constructor(folder: string, timeoutMs: number) {
    this.folder = folder
    this.#timeoutMs = timeoutMs
  }

  static async make(timeoutMs: number): Promise<CommandLine> {
    const folder = await mkdtemp(join(tmpdir(), 'chartkeep-sqlserver-'))
    await writeFile(join(folder, 'repository.key'), randomBytes(32), { mode: 0o600 })
    return new CommandLine(folder, timeoutMs)
  }

  get repositoryUrl(): string {
    return `file://${join(this.folder, 'repository')}`
  }

  async run(...args: readonly string[]): Promise<Ended> {
    const environment = { SQLCMDPASSWORD: password, CHARTKEEP_KEY_FILE: join(this.folder, 'repository.key') }
    const ended = await runCommand(args, this.folder, environment, this.#timeoutMs)
    this.printed.push(ended.stdout, ended.stderr)
    return ended
  }

  /** @returns what it said last */
  async succeeded(...args: readonly string[]): Promise<Record<string, unknown>> {
    const { status, stdout, stderr } = await this.run(...args, '--json')
    expect([args[0], status, stderr]).toEqual([args[0], 0, ''])
    return lastObject(stdout)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}
