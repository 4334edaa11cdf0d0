/**
 * Sees to it that no scratch server outlives the process that started it: a shell that waits for our end of a pipe to
 * close, however that comes about, then stops the server and removes its directory. What even the guard could not
 * remove, after a power cut, is removed by a later start.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runtimeDirectory } from './binaries.ts'
import { isProcessRunning, killTree } from './process-tree.ts'

/** Of a directory that does not say who keeps it. */
const LEFTOVER_AGE_MS = 24 * 60 * 60 * 1000
/** Process ids of whoever started the server, and of its guard. */
const KEEPERS_FILE = 'keepers'

/** Stops the server and removes its directory ($1) when standard input ends without the word `done`. */
const GUARD_SCRIPT = `
read -r word
[ "$word" = done ] && exit 0
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -d /proc/self ] && [ "$(readlink "/proc/$pid/cwd")" != "$1/data" ]; then pid=; fi
if [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null; then
  tries=0
  while [ -e "$1/data/postmaster.pid" ] && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -KILL "$pid" 2>/dev/null
fi
rm -rf "$1"
`

export async function startGuard(home: string): Promise<ChildProcess> {
  const guard = spawn('/bin/sh', ['-c', GUARD_SCRIPT, 'chartkeep-postgres-guard', home], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  guard.unref()
  // A pipe that nobody reads any more is no reason to fail: the guard is gone, so is its work.
  guard.stdin!.on('error', () => undefined)
  await writeFile(join(home, KEEPERS_FILE), `${process.pid} ${guard.pid ?? 0}\n`)
  return guard
}

export async function removeServer(home: string, guard: ChildProcess): Promise<void> {
  await rm(home, { recursive: true, force: true, maxRetries: 3 })
  guard.stdin!.end('done\n')
}

/** Directories whose guard did not live to remove them, with what may still run in them. */
export async function removeLeftovers(nowMs: number): Promise<void> {
  const servers = join(runtimeDirectory(), 'servers')
  for (const name of await readdir(servers)) {
    const home = join(servers, name)
    if (await isAbandoned(home)) await endServer(home)
    else if (!(await isOld(home, nowMs)) || (await postmasterOf(home)) !== null) continue
    await rm(home, { recursive: true, force: true })
  }
}

/** Both the process that started it and its guard are gone. Not known of a directory in the making: its file comes before the line. */
async function isAbandoned(home: string): Promise<boolean> {
  const keepers = /^(\d+) (\d+)\n$/.exec(await readFile(join(home, KEEPERS_FILE), 'utf8').catch(() => ''))
  return keepers !== null && !keepers.slice(1).map(Number).some(isProcessRunning)
}

async function isOld(home: string, nowMs: number): Promise<boolean> {
  const made = await stat(home).catch(() => null)
  return made !== null && nowMs - made.mtimeMs >= LEFTOVER_AGE_MS
}

async function endServer(home: string): Promise<void> {
  const postmaster = await postmasterOf(home)
  // Another start may have come first.
  if (postmaster !== null) await killTree(postmaster).catch(() => undefined)
}

/** Null when none runs; the number may long be that of another process, which then does not work in there. */
async function postmasterOf(home: string): Promise<number | null> {
  const data = join(home, 'data')
  const file = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number.parseInt(file, 10)
  if (Number.isNaN(pid) || !isProcessRunning(pid)) return null
  const directory = await readlink(`/proc/${pid}/cwd`).catch(() => null)
  return directory === null || directory === data ? pid : null
}
