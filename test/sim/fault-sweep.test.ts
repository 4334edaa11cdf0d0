/** Every call of a backup to its store fails in every way that a store can (test/support/fault-sweep.ts says how). */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { TEMPORARY } from '../../src/repository/store/directory.ts'
import { createStore } from '../../src/repository/store/open.ts'
import { casesForEveryDay, prepareSweep, runCase, type Sweep, transientCases } from '../support/fault-sweep.ts'
import type { Outcome, StoreFault } from '../support/faulty-store.ts'

const SWEEP_TIMEOUT_MS = 400_000

let sweep: Sweep

beforeAll(async () => {
  sweep = await prepareSweep({ vitals: 300 })
})

/** @returns what each case ended with, by outcome of the store; a claim that does not hold names its fault */
async function runAll(on: Sweep, faults: readonly StoreFault[]): Promise<Map<Outcome, Set<string>>> {
  const ends = new Map<Outcome, Set<string>>()
  for (const fault of faults) {
    const { method, key } = on.calls[fault.call - 1]!
    const end = await runCase(on, fault).catch((error) => {
      throw new Error(`${fault.outcome}${fault.onward ? ' from' : ' at'} call ${fault.call}, ${method} ${key}`, {
        cause: error,
      })
    })
    ends.set(fault.outcome, (ends.get(fault.outcome) ?? new Set()).add(end.code))
  }
  return ends
}

describe('a backup over a store of which any one call, or every one from there on, fails', () => {
  test(
    'harms no snapshot, whatever the outcome, and the next run heals',
    async () => {
      const ends = await runAll(sweep, casesForEveryDay(sweep.calls))

      expect([...ends.get('lost')!].sort()).toEqual(['store-unreachable'])
      expect([...ends.get('full')!]).toEqual(['store-full'])
      expect([...ends.get('vanishes')!].sort()).toEqual(['store-lied', 'whole'])
      // Of an old tree that reads wrongly nothing is shared; the rows are stored again.
      expect([...ends.get('wrong-range')!]).toEqual(['whole'])
      // Of the manifests: it does not show the newest. Of packs, it only costs that they are stored again.
      expect([...ends.get('partial-listing')!]).toContain('store-lied')
    },
    SWEEP_TIMEOUT_MS,
  )

  test(
    'comes to its end in spite of any one transient failure, because it is tried again',
    async () => {
      const retried = { ...sweep, options: { ...sweep.options, retried: true } }
      const ends = await runAll(retried, transientCases(sweep.calls))

      expect([...ends.values()].map((codes) => [...codes])).toEqual([['whole'], ['whole']])
    },
    SWEEP_TIMEOUT_MS,
  )

  test(
    'keeps a directory as whole: full, gone or unacknowledged at any of its writes',
    async () => {
      const puts = sweep.calls.flatMap(({ method }, index) => (method === 'put' ? [index + 1] : []))
      const outcomes = ['full', 'lost', 'applied'] as const
      const faults = puts.map((call, index) => ({ call, outcome: outcomes[index % 3]!, onward: index % 2 === 0 }))
      const codes = new Set<string>()
      for (const fault of faults) {
        const directory = await mkdtemp(join(tmpdir(), 'chartkeep-sweep-'))
        const store = await createStore({ url: `file://${directory}` })
        for (const [key, bytes] of sweep.start.objects) await store.put(key, bytes)
        codes.add((await runCase(sweep, fault, store)).code)
        expect(await readdir(join(directory, TEMPORARY))).toEqual([])
        await rm(directory, { recursive: true })
      }

      expect([...codes].sort()).toEqual(['store-full', 'store-unreachable'])
    },
    SWEEP_TIMEOUT_MS,
  )
})
