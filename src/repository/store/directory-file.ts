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

/** Makes a directory with those above it that are not there yet, each durable in the one above. */
export async function makeDurableRoot(path: string): Promise<void> {
  const parent = dirname(path)
  try {
    await makeDurableDirectory(path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' || parent === path) throw error
    await makeDurableRoot(parent)
    await makeDurableDirectory(path)
  }
}

/**
 * Makes `path` and what is between it and `root`. A directory that is there already is synced as well: whoever has just
 * made it may not have done so yet. `known` spares a handle from doing that twice.
 */
export async function makeDurableDirectories(path: string, { root, known }: { root: string; known: Set<string> }) {
  if (path === root || known.has(path)) return
  await makeDurableDirectories(dirname(path), { root, known })
  await makeDurableDirectory(path)
  known.add(path)
}

async function makeDurableDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: DIRECTORY_MODE })
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
  await syncDirectory(dirname(path))
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
