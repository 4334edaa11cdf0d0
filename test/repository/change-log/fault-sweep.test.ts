/**
 * Every call that capturing makes of its store is made to fail in turn, in every way that a real store can. Whoever
 * writes begins again from what is there, as capture does. Claimed of each: what append returned for is in the log, the
 * log holds each transaction once and whole, and its chain holds (I5).
 *
 * Not claimed: that a store which loses, or leaves out, the same object every time it is asked can be survived.
 */
import { describe, expect, test } from 'vitest'
import { Failure } from '../../../src/errors.ts'
import { openLog } from '../../../src/repository/change-log/reader.ts'
import { ChangeLogWriter, type SegmentDraft } from '../../../src/repository/change-log/writer.ts'
import type { Repository } from '../../../src/repository/repository.ts'
import { checkRepository } from '../../../src/verify/check.ts'
import { joined, LOG_WORLD, logStart, segmentDraft, transactionAt } from '../../support/change-log.ts'
import { FaultyStore, type Outcome, type StoreMethod } from '../../support/faulty-store.ts'
import { memoryRepository } from '../../support/forge.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { overStore } from '../../support/over-store.ts'

const OUTCOMES: readonly Outcome[] = ['lost', 'applied', 'refused']
const OF_METHOD: Readonly<Partial<Record<StoreMethod, readonly Outcome[]>>> = {
  put: ['full', 'vanishes'],
  get: ['truncated'],
  list: ['partial-listing', 'broken-listing', 'stale-listing'],
}
const TRANSACTIONS = 4
const PARTS = 3
const END = 1000n + BigInt(TRANSACTIONS) * 10n

/** What a database delivers behind `lsn`: transactions of ten bytes each, the second one in parts. */
function draftsBehind(lsn: bigint): SegmentDraft[] {
  const drafts: SegmentDraft[] = []
  for (let index = 0; index < TRANSACTIONS; index += 1) {
    const at = 1000n + BigInt(index) * 10n
    if (at < lsn) continue
    if (index !== 1) drafts.push(segmentDraft(at + 10n, { transactions: [transactionAt(at)] }))
    else {
      const whole = transactionAt(at, PARTS)
      for (let part = 0; part < PARTS; part += 1) {
        const transactions = [{ ...whole, changes: whole.changes.slice(part, part + 1) }]
        const unfinished = part + 1 < PARTS
        drafts.push(segmentDraft(unfinished ? at : at + 10n, { transactions, continues: part > 0, unfinished }))
      }
    }
  }
  return drafts
}

/** As capture does: what fails begins again behind the end of what is there. @returns what it was told to be durable */
async function captureAll(repository: Repository, logId: string, failures: string[]): Promise<bigint> {
  let durable = 1000n
  for (let attempt = 0; attempt < 4; attempt += 1) {
    try {
      while (durable < END) {
        // A process that lives for a few segments only.
        const writer = await ChangeLogWriter.resume(repository, logId)
        expect(writer.head.end).toBeGreaterThanOrEqual(durable)
        durable = writer.head.end
        for (const draft of draftsBehind(durable).slice(0, PARTS)) durable = (await writer.append(draft)).header.end
      }
      return durable
    } catch (error) {
      if (!(error instanceof Failure) || error.code === 'defect') throw error
      failures.push(error.code)
    }
  }
  throw new Error(`never ended: ${failures.join(', ')}`)
}

/** A repository with an empty log, and another one of the same objects for each call. */
async function template(): Promise<{ readonly logId: string; copy(): { repository: Repository; store: MemoryStore } }> {
  const made = await memoryRepository()
  const { start } = await ChangeLogWriter.begin(made.repository, logStart(), LOG_WORLD)
  const copy = () => {
    const store = new MemoryStore()
    for (const [key, bytes] of made.store.objects) store.objects.set(key, bytes)
    return { repository: overStore(made.repository, store), store }
  }
  return { logId: start.logId, copy }
}

describe('capturing into a store that fails', () => {
  test('at any call, in any way, loses nothing that was said to be durable', async () => {
    const { logId, copy } = await template()
    const clean = copy()
    const counted = new FaultyStore(clean.store)
    await captureAll(overStore(clean.repository, counted), logId, [])
    let tried = 0
    for (const [index, { method }] of counted.calls.entries()) {
      for (const outcome of [...OUTCOMES, ...(OF_METHOD[method] ?? [])]) {
        const { repository, store } = copy()
        const faulty = new FaultyStore(store, [{ call: index + 1, outcome }])
        const failures: string[] = []
        const what = `${outcome} at call ${index + 1}, ${method}`

        const durable = await captureAll(overStore(repository, faulty), logId, failures)

        faulty.assertAllFired()
        expect(durable, what).toBe(END)
        const found = await joined((await openLog(repository, logId)).transactions())
        expect(
          found.map(({ commitLsn, changes }) => [commitLsn, changes.length]),
          what,
        ).toEqual([1000n, 1010n, 1020n, 1030n].map((lsn) => [lsn, lsn === 1010n ? PARTS : 1]))
        tried += 1
        if (tried % 4 !== 0) continue
        const { findings } = await checkRepository({
          repository,
          signal: new AbortController().signal,
          nowMs: () => 0,
        })
        expect(findings, what).toEqual([])
      }
    }
    expect(tried).toBeGreaterThan(80)
  })
})
