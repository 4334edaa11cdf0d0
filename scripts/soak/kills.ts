/**
 * Kill -9 of backups and restores, and connections cut at random bytes, to the database and to S3: the tests of
 * test/sim again and again, each round with a seed of its own.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { seededRandom } from '../../test/repository/tree/support.ts'
import type { SoakPart, SoakRun, SoakTally } from './part.ts'

export const kills: SoakPart = { name: 'kills', run }

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const tests = ['test/sim/kill.test.ts', 'test/sim/connection-faults.test.ts', 'test/sim/broken-network.test.ts']

async function run({ seed, isOver }: SoakRun): Promise<SoakTally> {
  const random = seededRandom(seed)
  const failures: string[] = []
  let tried = 0
  while (!isOver() && failures.length === 0) {
    const round = String(Math.floor(random() * 2 ** 31))
    const seeds = { KILL_SEED: round, CONNECTION_SEED: round, NETWORK_SEED: round, KILLS: '6', FAULTS: '20' }
    tried += 1
    const end = await runTests(seeds)
    if (end.status !== 0) failures.push(`round ${round}: ${end.output.slice(-2000)}`)
  }
  return { tried, failures, figures: {} }
}

async function runTests(variables: Record<string, string>): Promise<{ status: number | null; output: string }> {
  const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...tests], {
    cwd: ROOT,
    env: { ...process.env, ...variables },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const exited = once(child, 'exit')
  const output = await text(child.stdout)
  const [status] = (await exited) as [number | null]
  return { status, output }
}
