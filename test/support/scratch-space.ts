/**
 * Where tests keep their files: in memory, where the machine has enough of it. A server's data directory is a thousand
 * files, and a run makes and removes hundreds of them; a file system on a disk may spend a third of the whole run's
 * processor time on that alone (ext4 without a journal looks at every inode that was freed of late before it gives one out).
 *
 * Whoever sets TMPDIR has chosen, and is left alone. Programs and templates of servers stay in the usual place, as links.
 */
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, realpath, rm, statfs, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { runtimeDirectory } from '../../src/source/postgres/scratch-server/binaries.ts'
import { isProcessRunning } from '../../src/source/postgres/scratch-server/process-tree.ts'

const SHARED_MEMORY = '/dev/shm'
const TMPFS_MAGIC = 0x01021994
/** Two tests at once with the largest databases there are, three times over. */
const BYTES_FREE_MIN = 6 * 1024 ** 3
const NAME = /^chartkeep-test-(\d+)-/

/** Vitest calls it before the tests, and what it returns after them (vitest.config.ts). */
export default async function setup(): Promise<() => Promise<void>> {
  if (process.env.TMPDIR || !(await hasRoomInMemory())) return async () => {}
  await removeLeftovers()
  const directory = await mkdtemp(join(await realpath(SHARED_MEMORY), `chartkeep-test-${process.pid}-`))
  const remove = () => rm(directory, { recursive: true, force: true, maxRetries: 5 })
  if (!(await runsPrograms(directory))) {
    await remove()
    return async () => {}
  }
  // Servers run under an account of their own.
  await chmod(directory, 0o755)
  await linkServers(directory)
  process.env.TMPDIR = directory
  return async () => {
    delete process.env.TMPDIR
    await remove()
  }
}

async function hasRoomInMemory(): Promise<boolean> {
  const found = await statfs(SHARED_MEMORY).catch(() => null)
  if (found === null || found.type !== TMPFS_MAGIC) return false
  return Math.min(found.bavail * found.bsize, process.availableMemory()) >= BYTES_FREE_MIN
}

/** Of runs that were killed. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(SHARED_MEMORY)) {
    const pid = Number(NAME.exec(name)?.[1] ?? process.pid)
    if (isProcessRunning(pid)) continue
    // Another user's stays.
    await rm(join(SHARED_MEMORY, name), { recursive: true, force: true }).catch(() => undefined)
  }
}

/** Containers mount it so that nothing there is run; some tests write programs. */
async function runsPrograms(directory: string): Promise<boolean> {
  const program = join(directory, 'probe')
  await writeFile(program, '#!/bin/sh\nexit 0\n', { mode: 0o700 })
  const runs = await promisify(execFile)(program).then(
    () => true,
    () => false,
  )
  await rm(program)
  return runs
}

async function linkServers(directory: string): Promise<void> {
  const usual = runtimeDirectory()
  const here = join(directory, `chartkeep-postgres-${process.getuid?.() ?? 0}`)
  await mkdir(here, { mode: 0o755 })
  for (const part of ['binaries', 'templates']) await symlink(join(usual, part), join(here, part))
}
