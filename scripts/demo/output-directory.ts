/**
 * The directory that the demo leaves behind. A run replaces what an earlier run left, and nothing else: a directory
 * without our mark in it is somebody's own.
 */
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '../../src/errors.ts'

const MARK = '.chartkeep-demo'

/** Empty and marked on return. @throws bad-usage, local-disk-full */
export async function prepareOutputDirectory(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return []
    throw new Failure('bad-usage', `cannot write into ${directory} (${error.code})`, {
      hints: ['Give a directory of your own with --out.'],
    })
  })
  if (names.length > 0 && !names.includes(MARK)) {
    throw new Failure('bad-usage', `${directory} holds something that no demo made`, {
      hints: ['Move it away, or give another directory with --out.'],
    })
  }
  try {
    await rm(directory, { recursive: true, force: true })
    await mkdir(join(directory, 'results'), { recursive: true, mode: 0o700 })
    await writeFile(join(directory, MARK), 'Made by `npm run demo`, which replaces this directory each time.\n')
  } catch (error) {
    throw unwritable(directory, error)
  }
}

/** Bytes of all files below it. */
export async function directoryBytes(directory: string): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(file.parentPath, file.name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

function unwritable(directory: string, error: unknown): Failure {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  if (code === 'ENOSPC') {
    return new Failure('local-disk-full', `no space left for ${directory}`, {
      hints: ['The demo needs about 500 MB, most of it for its database in the temporary directory.'],
    })
  }
  return new Failure('bad-usage', `cannot write into ${directory} (${code})`, {
    hints: ['Give a directory of your own with --out.'],
  })
}
