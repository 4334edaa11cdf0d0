/** Runs the second reader as an operator would: as a process of its own, with little memory. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'

const RESCUE = join(import.meta.dirname, '../../chartkeep-rescue.mjs')
/** Written to stderr at the end, in kilobytes. */
const SAY_MEMORY =
  'data:text/javascript,process.on("exit",()=>process.stderr.write("maxrss "+process.resourceUsage().maxRSS+"\\n"))'
const TIME_LIMIT_MS = 60_000

export interface RescueRun {
  /** Null when it was killed for taking too long. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
  readonly memoryKilobytesMax: number
}

export async function runRescue(...options: readonly string[]): Promise<RescueRun> {
  const child = spawn(process.execPath, ['--max-old-space-size=96', '--import', SAY_MEMORY, RESCUE, ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIME_LIMIT_MS,
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (part) => {
    stdout += part
  })
  child.stderr.on('data', (part) => {
    stderr += part
  })
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const memory = /maxrss (\d+)\n/.exec(stderr)
  return { status, stdout, stderr: stderr.replace(/maxrss \d+\n/, ''), memoryKilobytesMax: Number(memory?.[1] ?? 0) }
}
