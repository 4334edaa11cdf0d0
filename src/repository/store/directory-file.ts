/**
 * Files and folders that are on the disk when a call returns, and ranges that are whole: what `directory.ts` stands on.
 */
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemCode } from './directory-failure.ts'
import { objectTooShort } from './store-failure.ts'

const DIRECTORY_MODE = 0o700
const FILE_MODE = 0o600

export async function writeDurableFile(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * Makes `path` with its parents, and each entry durable in the directory above. `known` spares a handle from doing so
 * twice; a directory that somebody else has just made is synced as well, because his sync may be still to come.
 */
export async function makeDurableDirectories(path: string, known: Set<string> | null): Promise<void> {
  if (known?.has(path)) return
  const parent = dirname(path)
  try {
    await mkdir(path, { mode: DIRECTORY_MODE })
  } catch (error) {
    if (systemCode(error) === 'ENOENT' && parent !== path) {
      await makeDurableDirectories(parent, known)
      return await makeDurableDirectories(path, known)
    }
    if (systemCode(error) !== 'EEXIST') throw error
  }
  await syncDirectory(parent)
  known?.add(path)
}

/** Windows has no fsync of a directory; there the file system orders its own journal. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const directory = await open(path, constants.O_RDONLY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Into memory of its own: never a view of the pool that Buffer shares (F41). */
export async function readExactly(
  file: FileHandle,
  key: string,
  range: { start: number; end: number },
): Promise<Uint8Array> {
  const bytes = new Uint8Array(range.end - range.start)
  let done = 0
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, range.start + done)
    if (bytesRead === 0) throw objectTooShort(key, { end: range.end, bytes: range.start + done })
    done += bytesRead
  }
  return bytes
}

/** A path through a file is no path: `a/b` is not there when `a` is an object. */
export function isNotThere(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EISDIR'].includes(systemCode(error))
}
