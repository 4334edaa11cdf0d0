/**
 * Ends a process and its children at once, as a power cut would. The parent is stopped first, so that it starts no
 * more children while they are listed; PostgreSQL's backends lead sessions of their own, so that no process group
 * names them all.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

interface ProcessState {
  readonly pid: number
  readonly parent: number
  /** One letter, as `ps` prints it: Z is a process that has ended and that nobody has asked about yet. */
  readonly state: string
}

const POLL_MS = 5

/** Only direct children: a postmaster's backends have none of their own. On return none of them runs any more. */
export async function killTree(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  const targets = [pid, ...childrenOf(pid)]
  for (const target of targets) {
    try {
      process.kill(target, 'SIGKILL')
    } catch {
      // It ended by itself in the meantime.
    }
  }
  while (targets.some(isProcessRunning)) await sleep(POLL_MS)
}

export function childrenOf(pid: number): number[] {
  return listProcesses()
    .filter(({ parent }) => parent === pid)
    .map((child) => child.pid)
}

export function isProcessRunning(pid: number): boolean {
  return listProcesses().some((found) => found.pid === pid && found.state !== 'Z')
}

function listProcesses(): ProcessState[] {
  return process.platform === 'linux' ? listFromProc() : listFromPs()
}

/** Debian's smallest images have no `ps`. */
function listFromProc(): ProcessState[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(readFromProc).filter((found) => found !== null)
}

/** State and parent follow the command, which stands in parentheses and may hold anything. */
function readFromProc(pid: string): ProcessState | null {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, parent] = status.slice(status.lastIndexOf(')') + 2).split(' ')
    return { pid: Number(pid), parent: Number(parent), state: state! }
  } catch {
    return null
  }
}

function listFromPs(): ProcessState[] {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,state='], { encoding: 'utf8' }).trim().split('\n')
  return rows.map((row) => {
    const [pid, parent, state] = row.trim().split(/\s+/)
    return { pid: Number(pid), parent: Number(parent), state: state!.slice(0, 1) }
  })
}
