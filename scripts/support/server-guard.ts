/**
 * Sees to it that no test server outlives the process that started it: a shell that waits for our end of a pipe to
 * close, however that comes about, then stops the server and removes its directory. What even the guard could not
 * remove, after a power cut, is removed by a later start.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { runtimeDirectory } from './postgres-binaries.ts'
import { isProcessRunning } from './process-tree.ts'

const LEFTOVER_AGE_MS = 24 * 60 * 60 * 1000

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

export function startGuard(home: string): ChildProcess {
  const guard = spawn('/bin/sh', ['-c', GUARD_SCRIPT, 'chartkeep-postgres-guard', home], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  guard.unref()
  // A pipe that nobody reads any more is no reason to fail: the guard is gone, so is its work.
  guard.stdin!.on('error', () => undefined)
  return guard
}

export async function removeServer(home: string, guard: ChildProcess): Promise<void> {
  await rm(home, { recursive: true, force: true, maxRetries: 3 })
  guard.stdin!.end('done\n')
}

/** Directories whose guard did not live to remove them. */
export async function removeLeftovers(): Promise<void> {
  const servers = join(runtimeDirectory(), 'servers')
  for (const name of await readdir(servers)) {
    const home = join(servers, name)
    const ageMs = await stat(home).then(
      (found) => Date.now() - found.mtimeMs,
      () => 0,
    )
    if (ageMs < LEFTOVER_AGE_MS || (await isRunning(join(home, 'data')))) continue
    await rm(home, { recursive: true, force: true })
  }
}

async function isRunning(dataDirectory: string): Promise<boolean> {
  try {
    const [pid] = (await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8')).split('\n')
    return isProcessRunning(Number(pid))
  } catch {
    return false
  }
}
