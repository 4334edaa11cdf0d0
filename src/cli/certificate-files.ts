/** The directory of a certificate: written once, read whole. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { Failure } from '../errors.ts'

/** Into a directory that is not there yet. @throws bad-usage */
export async function writePackage(out: string, files: ReadonlyMap<string, Uint8Array>): Promise<string> {
  const directory = resolve(out)
  await mkdir(directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    throw new Failure('bad-usage', `${directory} cannot be made (${error.code})`, {
      hints: ['Name a directory that is not there yet.'],
    })
  })
  for (const [name, bytes] of files) {
    await mkdir(dirname(join(directory, name)), { recursive: true, mode: 0o700 })
    await writeFile(join(directory, name), bytes, { flag: 'wx', mode: 0o600 })
  }
  return directory
}

/** By name within the directory. @throws bad-usage */
export async function readPackage(path: string): Promise<Map<string, Uint8Array>> {
  const directory = resolve(path)
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(
    (error: NodeJS.ErrnoException) => {
      throw new Failure('bad-usage', `cannot read the directory ${directory} (${error.code})`)
    },
  )
  const files = new Map<string, Uint8Array>()
  for (const entry of entries.filter((one) => one.isFile())) {
    const file = join(entry.parentPath, entry.name)
    files.set(relative(directory, file).split(sep).join('/'), await readFile(file))
  }
  return files
}

/** Files that are new, or not what they were. */
export async function updatePackage(path: string, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const before = await readPackage(path)
  for (const [name, bytes] of files) {
    const known = before.get(name)
    if (known && Buffer.compare(known, bytes) === 0) continue
    const file = join(resolve(path), name)
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeFile(file, bytes, { mode: 0o600 })
  }
}
