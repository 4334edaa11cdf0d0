/**
 * What configuration and secrets are read from, as an argument: entry points pass the process's own, tests one of
 * theirs.
 */
import { readFile, stat } from 'node:fs/promises'
import { homedir, userInfo } from 'node:os'
import { Failure } from './errors.ts'

export interface World {
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly homeDirectory: string
  readonly userName: string
  /** Null when there is no such file. @throws bad-configuration when it is there and cannot be read */
  readTextFile(path: string): Promise<string | null>
  /** The permission bits, for example 0o600; null where the system has none. */
  fileMode(path: string): Promise<number | null>
}

/** The process's own environment and files. For entry points. */
export function processWorld(): World {
  return {
    variables: process.env,
    homeDirectory: homedir(),
    userName: userInfo().username,
    readTextFile: readTextFileIfThere,
    fileMode: async (path) => (process.platform === 'win32' ? null : (await stat(path)).mode & 0o777),
  }
}

async function readTextFileIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    if (code === 'ENOENT') return null
    throw new Failure('bad-configuration', `cannot read ${path}: ${code}`, { cause: error })
  }
}
