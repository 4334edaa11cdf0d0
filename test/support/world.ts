/** A world of variables and files that exists in memory only. */
import type { World } from '../../src/world.ts'

export interface FakeFile {
  readonly text: string
  /** 0o600 when not given. */
  readonly mode?: number
}

export function fakeWorld(parts: {
  readonly variables?: Readonly<Record<string, string>>
  readonly files?: Readonly<Record<string, FakeFile>>
}): World {
  const files = new Map(Object.entries(parts.files ?? {}))
  return {
    variables: parts.variables ?? {},
    homeDirectory: '/home/nurse',
    userName: 'nurse',
    readTextFile: async (path) => files.get(path)?.text ?? null,
    fileMode: async (path) => files.get(path)?.mode ?? 0o600,
  }
}
