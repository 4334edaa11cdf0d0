/**
 * Ends a process and its children at once, as a power cut would. The parent is stopped first, so that it starts no
 * more children while they are listed; PostgreSQL's backends lead sessions of their own, so that no process group
 * names them all.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** Only direct children: a postmaster's backends have none of their own. */
export function killTree(pid: number): void {
  process.kill(pid, 'SIGSTOP')
  for (const target of [pid, ...childrenOf(pid)]) {
    try {
      process.kill(target, 'SIGKILL')
    } catch {
      // It ended by itself in the meantime.
    }
  }
}

export function childrenOf(pid: number): number[] {
  return process.platform === 'linux' ? childrenFromProc(pid) : childrenFromPs(pid)
}

function childrenFromProc(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentFromProc(name) === pid)
    .map(Number)
}

/** The parent is the second field after the command, which stands in parentheses and may hold anything. */
function parentFromProc(name: string): number | null {
  try {
    const status = readFileSync(`/proc/${name}/stat`, 'utf8')
    return Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return null
  }
}

function childrenFromPs(pid: number): number[] {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n')
  return rows
    .map((row) => row.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === pid)
    .map(([child]) => child!)
}
