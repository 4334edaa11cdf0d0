/** The same damage, read by the second reader: it says so, or gives what it gives of the whole; it never crashes. */
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '../../test/repository/tree/support.ts'
import { copyGolden, GOLDEN } from '../../test/support/golden.ts'
import { loadPatterns, MUTATION_KINDS, mutate, type Objects } from '../../test/support/mutations.ts'
import { type RescueRun, runRescue } from '../../test/support/run-rescue.ts'
import type { SoakPart, SoakRun, SoakTally } from './part.ts'

const MEMORY_KILOBYTES_MAX = 250 * 1024

export const rescue: SoakPart = { name: 'rescue', run }

async function run({ seed, isOver }: SoakRun): Promise<SoakTally> {
  const patterns = await loadPatterns()
  const names = [...patterns.golden.keys()]
  const random = seededRandom(seed)
  const whole = await rescued(patterns.golden)
  const failures: string[] = []
  let tried = 0
  let silent = 0
  while (!isOver()) {
    const name = names[Math.floor(random() * names.length)]!
    const kind = MUTATION_KINDS[Math.floor(random() * MUTATION_KINDS.length)]!
    const objects = mutate(patterns, name, kind, random)
    if (!objects) continue
    const { ran, digest } = await rescued(objects)
    const isClean = [0, 1, 3].includes(ran.status ?? -1) && !ran.stderr.includes('unexpected')
    const isBounded = ran.memoryKilobytesMax < MEMORY_KILOBYTES_MAX
    if (!isClean || !isBounded) failures.push(`${kind} of ${name} (try ${tried}): status ${ran.status}`)
    // Nothing was said: then nothing may be missing.
    if (ran.status === 0 && digest !== whole.digest) failures.push(`${kind} of ${name} (try ${tried}) was not noticed`)
    if (ran.status === 0) silent += 1
    tried += 1
  }
  return { tried, failures, figures: { 'without a word, and whole': silent } }
}

async function rescued(objects: Objects): Promise<{ ran: RescueRun; digest: string }> {
  await using copy = await copyGolden()
  const out = await mkdtemp(join(tmpdir(), 'chartkeep-soak-'))
  try {
    for (const [name, bytes] of objects) await writeFile(join(copy.directory, name), bytes)
    const target = join(out, 'tables')
    const ran = await runRescue('--repo', copy.directory, '--key-file', join(GOLDEN, 'key-file'), '--out', target)
    const files = ran.status === 3 ? [] : (await readdir(target).catch(() => [])).sort()
    const hash = createHash('sha256')
    for (const file of files.filter((name) => name.endsWith('.copy'))) hash.update(await readFile(join(target, file)))
    return { ran, digest: hash.digest('hex') }
  } finally {
    await rm(out, { recursive: true, force: true })
  }
}
