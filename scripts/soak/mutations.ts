/** Objects of the golden repository, and of change logs, damaged at random: check, scrub or the keys must say so, in bounded time and memory. */
import { seededRandom } from '../../test/repository/tree/support.ts'
import { complaint, loadLogPatterns, loadPatterns, MUTATION_KINDS, mutate } from '../../test/support/mutations.ts'
import type { SoakPart, SoakRun, SoakTally } from './part.ts'

const SLOWEST_MS = 20_000
const MEMORY_BYTES_MAX = 1024 * 1024 * 1024

export const mutations: SoakPart = { name: 'mutations', run }

async function run({ seed, isOver }: SoakRun): Promise<SoakTally> {
  const both = [await loadPatterns(), await loadLogPatterns()] as const
  const random = seededRandom(seed)
  const failures: string[] = []
  let tried = 0
  let slowestMs = 0
  let memoryBytes = 0
  while (!isOver()) {
    const patterns = both[tried % 2]!
    const names = [...patterns.golden.keys()]
    const name = names[Math.floor(random() * names.length)]!
    const kind = MUTATION_KINDS[Math.floor(random() * MUTATION_KINDS.length)]!
    const objects = mutate(patterns, name, kind, random)
    if (!objects) continue
    const startedMs = performance.now()
    const said = await complaint(patterns, objects).catch((error) => {
      failures.push(`${kind} of ${name} (try ${tried}) threw ${error?.name}`)
      return ''
    })
    if (said === null) failures.push(`${kind} of ${name} (try ${tried}) was not noticed`)
    slowestMs = Math.max(slowestMs, performance.now() - startedMs)
    memoryBytes = Math.max(memoryBytes, process.memoryUsage().rss)
    tried += 1
  }
  if (slowestMs > SLOWEST_MS) failures.push(`one took ${slowestMs} ms`)
  if (memoryBytes > MEMORY_BYTES_MAX) failures.push(`memory reached ${memoryBytes} bytes`)
  return { tried, failures, figures: { 'slowest ms': Math.round(slowestMs), 'memory MiB': memoryBytes >> 20 } }
}
