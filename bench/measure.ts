/**
 * Runs a command and says what it took: time on the wall, processor time and peak memory of its whole process tree, and
 * the processor time that the database server spent meanwhile. Memory and processor time come from /proc, looked at
 * every SAMPLE_MS; elsewhere than on Linux they are not there.
 */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { performance } from 'node:perf_hooks'

export interface Measured {
  readonly seconds: number
  /** User and system. Null where there is no /proc. */
  readonly cpuSeconds: number | null
  readonly serverCpuSeconds: number | null
  /** Of all processes together, at the moment when it was most. */
  readonly peakMiB: number | null
  /** Processes that wanted to run, ours among them, over the last minute of it: says whether the machine was ours alone. */
  readonly load: number
  readonly stdout: string
}

export interface MeasureOptions {
  /** Postmaster of the server under load. */
  readonly serverPid: number
  readonly env?: Readonly<Record<string, string>>
  readonly keepOutput?: boolean
}

const SAMPLE_MS = 40
/** Linux counts in hundredths on every machine that we know. */
const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096
const MIB = 1024 * 1024

/** `sh -c command`. @throws when it ends with another status than 0 */
export async function measure(command: string, options: MeasureOptions): Promise<Measured> {
  const serverBefore = treeUsage(options.serverPid)
  const startedMs = performance.now()
  const child = spawn('sh', ['-c', command], {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', options.keepOutput ? 'pipe' : 'ignore', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (bytes: Buffer) => {
    stdout += bytes.toString()
  })
  child.stderr?.on('data', (bytes: Buffer) => {
    stderr = (stderr + bytes.toString()).slice(-4000)
  })
  const seen = new Map<number, number>()
  let peakBytes = 0
  const timer = setInterval(() => {
    const usage = child.pid === undefined ? null : treeUsage(child.pid)
    for (const [pid, seconds] of usage?.cpuSeconds ?? []) seen.set(pid, seconds)
    peakBytes = Math.max(peakBytes, usage?.rssBytes ?? 0)
  }, SAMPLE_MS)
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve))
  const seconds = (performance.now() - startedMs) / 1000
  clearInterval(timer)
  if (status !== 0) throw new Error(`status ${status} of: ${command}\n${stderr}`)

  const serverAfter = treeUsage(options.serverPid)
  return {
    seconds,
    cpuSeconds: seen.size > 0 ? sum(seen.values()) : null,
    serverCpuSeconds: serverBefore && serverAfter ? serverAfter.withEnded - serverBefore.withEnded : null,
    peakMiB: peakBytes > 0 ? peakBytes / MIB : null,
    load: loadavg()[0] ?? 0,
    stdout,
  }
}

interface TreeUsage {
  readonly rssBytes: number
  /** Of each process that runs. */
  readonly cpuSeconds: ReadonlyMap<number, number>
  /** Those that have ended, and that the root has heard of, included. */
  readonly withEnded: number
}

interface ProcessUsage {
  readonly pid: number
  readonly parent: number
  readonly cpuSeconds: number
  readonly endedCpuSeconds: number
  readonly rssBytes: number
}

function treeUsage(root: number): TreeUsage | null {
  if (process.platform !== 'linux') return null
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .map(processUsage)
  const known = all.filter((found) => found !== null)
  const tree = new Set([root])
  for (let before = 0; before !== tree.size; ) {
    before = tree.size
    for (const found of known) if (tree.has(found.parent)) tree.add(found.pid)
  }
  const members = known.filter((found) => tree.has(found.pid))
  return {
    rssBytes: sum(members.map((member) => member.rssBytes)),
    cpuSeconds: new Map(members.map((member) => [member.pid, member.cpuSeconds])),
    withEnded: sum(members.map((member) => member.cpuSeconds + member.endedCpuSeconds)),
  }
}

/** Fields as proc(5) numbers them, counted from the one behind the command's closing parenthesis. */
function processUsage(pid: number): ProcessUsage | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number)
    const [utime, stime, cutime, cstime] = fields.slice(11, 15) as [number, number, number, number]
    return {
      pid,
      parent: fields[1]!,
      cpuSeconds: (utime + stime) / TICKS_PER_SECOND,
      endedCpuSeconds: (cutime + cstime) / TICKS_PER_SECOND,
      rssBytes: fields[21]! * PAGE_BYTES,
    }
  } catch {
    return null
  }
}

function sum(numbers: Iterable<number>): number {
  let total = 0
  for (const number of numbers) total += number
  return total
}
