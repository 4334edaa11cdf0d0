/**
 * Runs a program to its end, perhaps under another account. Trees of files are copied by the system's own `cp` too:
 * the thousand small files of a data directory take `fs.cp` two seconds, and `cp` a fifth of one.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { Failure } from '../../../errors.ts'

/** The account that runs a server. */
export interface ServerAccount {
  readonly uid: number
  readonly gid: number
}

/** @throws source-failed, with what the program said, when it does not end with status 0 */
export async function runTool(
  program: string,
  options: readonly string[],
  account: ServerAccount | null = null,
  input = '',
): Promise<void> {
  const child = spawn(program, options, { ...account, cwd: '/', stdio: ['pipe', 'ignore', 'pipe'] })
  // A program that ended without reading says why by its status.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const ended = once(child, 'exit').catch((error: Error) => {
    throw new Failure('source-failed', `${program} cannot be run: ${error.message}`, {
      hints: ['The account that runs servers must be able to reach it: set TMPDIR to a directory open to all.'],
      cause: error,
    })
  })
  const [errors, [status, signal]] = await Promise.all([text(child.stderr), ended])
  if (status !== 0) {
    throw new Failure('source-failed', `${program} ended with ${signal ?? `status ${status}`}: ${errors.trim()}`)
  }
}
