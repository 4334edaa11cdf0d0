/**
 * Which process of which machine holds a lease, so that the next one on the same machine need not wait for a process
 * that is dead. Known on Linux only: a boot and a namespace of process numbers make the machine, a number and the time
 * of its start the process. proc(5).
 */
import { readFileSync, readlinkSync } from 'node:fs'
import { sha256 } from './crypto/provider.ts'

export interface ProcessMark {
  /** Says nothing of the machine but that it is the same one, booted once, in one namespace of processes. */
  readonly machine: string
  readonly pid: number
  /** Clock ticks from boot to its start, as text. */
  readonly start: string
}

export interface Processes {
  /** Null where it cannot be known. */
  readonly own: ProcessMark | null
  /** It certainly runs no longer; false where that cannot be known. */
  readonly isGone: (mark: ProcessMark) => boolean
}

export function machineProcesses(): Processes {
  const machine = thisMachine()
  const start = startOf(process.pid)
  if (machine === null || start === 'absent' || start === 'unknown') return { own: null, isGone: () => false }
  return {
    own: { machine, pid: process.pid, start },
    isGone: (mark) => {
      if (mark.machine !== machine) return false
      const found = startOf(mark.pid)
      return found === 'absent' || (found !== 'unknown' && found !== mark.start)
    },
  }
}

function thisMachine(): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const namespace = readlinkSync('/proc/self/ns/pid')
    return Buffer.from(sha256(Buffer.from(`${boot}\0${namespace}`)))
      .toString('hex')
      .slice(0, 32)
  } catch {
    return null
  }
}

/** The 22nd field; the second is a name in brackets, which may hold blanks and brackets itself. A zombie is gone. */
function startOf(pid: number): string | 'absent' | 'unknown' {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' ? 'absent' : (fields[18] ?? 'unknown')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'absent' : 'unknown'
  }
}
