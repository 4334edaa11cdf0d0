/**
 * Every object of a repository, damaged in every way: somebody says so, with a Failure or a finding, in bounded time.
 * Thousands more of these run under `npm run soak`.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import {
  complaint,
  loadLogPatterns,
  loadPatterns,
  MUTATION_KINDS,
  mutate,
  type Patterns,
} from '../support/mutations.ts'
import { seededRandom } from './tree/support.ts'

const SEED = Number(process.env.CHARTKEEP_SEED ?? Date.now() % 2 ** 31)
const TIME_LIMIT_MS = 20_000

let patterns: Patterns
beforeAll(async () => {
  patterns = await loadPatterns()
})

describe(`objects of a repository (CHARTKEEP_SEED=${SEED})`, () => {
  test('are not complained of as they are', async () => {
    expect(await complaint(patterns, patterns.golden)).toBeNull()
  })

  test.each(MUTATION_KINDS)('are complained of whichever of them is damaged: %s', async (kind) => {
    const random = seededRandom(SEED)
    const unnoticed: string[] = []
    let slowestMs = 0
    let tried = 0
    for (const name of patterns.golden.keys()) {
      const objects = mutate(patterns, name, kind, random)
      if (!objects) continue
      const startedMs = performance.now()
      if ((await complaint(patterns, objects)) === null) unnoticed.push(name)
      slowestMs = Math.max(slowestMs, performance.now() - startedMs)
      tried += 1
    }

    expect(unnoticed).toEqual([])
    expect(tried).toBeGreaterThan(patterns.golden.size / 3)
    expect(slowestMs).toBeLessThan(TIME_LIMIT_MS)
  })
})

describe(`change logs and leases (CHARTKEEP_SEED=${SEED})`, () => {
  const isTheirs = (name: string) => /^(logs|segments|leases)\//.test(name)
  const TRIES = 2
  let logs: Patterns
  beforeAll(async () => {
    logs = await loadLogPatterns()
  })

  test('are passed as they are', async () => {
    expect(await complaint(logs, logs.golden)).toBeNull()
    expect([...logs.golden.keys()].filter(isTheirs)).toHaveLength(8)
  })

  test.each(MUTATION_KINDS)('are complained of whichever object is damaged, this way: %s', async (kind) => {
    const random = seededRandom(SEED)
    const unnoticed: string[] = []
    let tried = 0
    for (const name of [...logs.golden.keys()].filter(isTheirs)) {
      for (let count = 0; count < TRIES; count += 1) {
        const objects = mutate(logs, name, kind, random)
        if (!objects) continue
        if ((await complaint(logs, objects)) === null) unnoticed.push(name)
        tried += 1
      }
    }
    expect(unnoticed).toEqual([])
    expect(tried).toBe(8 * TRIES)
  })

  test('are missed whichever of them is gone, but for claims and the newest segment, which nothing names', async () => {
    const missed: string[] = []
    const names = [...logs.golden.keys()].filter(isTheirs).sort()
    for (const name of names) {
      const objects = new Map(logs.golden)
      objects.delete(name)
      if ((await complaint(logs, objects)) !== null) missed.push(name)
    }
    const newest = names.findLast((name) => name.startsWith('segments/'))
    expect(missed).toEqual(names.filter((name) => !name.startsWith('leases/') && name !== newest))
  })
})
