/**
 * Whatever is done to a log's objects is noticed before anything behind it is handed out, is called what it is, and is
 * said with the span that it costs (I4).
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Failure } from '../../../src/errors.ts'
import type { LoggedTransaction } from '../../../src/repository/change-log/change.ts'
import { type ChangeLog, openLog } from '../../../src/repository/change-log/reader.ts'
import { encodeBody, joinSegment } from '../../../src/repository/change-log/segment-codec.ts'
import type { SegmentHeader } from '../../../src/repository/change-log/segment-header.ts'
import { ChangeLogWriter } from '../../../src/repository/change-log/writer.ts'
import { logKey, segmentKey } from '../../../src/repository/layout.ts'
import type { Repository } from '../../../src/repository/repository.ts'
import { OBJECT_TYPES } from '../../../src/repository/sealed-object.ts'
import {
  cutIntoDrafts,
  draftsInARow,
  dropLogs,
  joined,
  LOG_WORLD,
  logStart,
  randomTransactions,
  segmentDraft,
  transactionAt,
  writeLog,
} from '../../support/change-log.ts'
import { FaultyStore } from '../../support/faulty-store.ts'
import { memoryRepository } from '../../support/forge.ts'
import type { MemoryStore } from '../../support/memory-store.ts'
import { overStore } from '../../support/over-store.ts'
import { propertyRuns } from '../tree/support.ts'

const SEGMENTS = 5

interface Bench {
  readonly repository: Repository
  readonly store: MemoryStore
  readonly logId: string
  /** The segment's name. */
  readonly key: (number: number) => string
}

/** Five segments of one transaction each: 1000 to 1010, 1010 to 1020 … */
async function bench(): Promise<Bench> {
  const { repository, store } = await memoryRepository()
  const drafts = draftsInARow(SEGMENTS)
  const { start } = await writeLog(repository, drafts)
  return { repository, store, logId: start.logId, key: (number) => segmentKey(start.logId, number) }
}

/** What is handed out, and how it ended. */
async function readAll(log: ChangeLog): Promise<{ readonly lsns: bigint[]; readonly failure: Failure | null }> {
  const lsns: bigint[] = []
  try {
    for await (const { commitLsn } of log.transactions()) lsns.push(commitLsn)
    return { lsns, failure: null }
  } catch (error) {
    return { lsns, failure: error as Failure }
  }
}

describe('reading a change log of which', () => {
  test('a segment is missing says from when to when', async () => {
    const { repository, store, logId, key } = await bench()
    store.objects.delete(key(2))

    const { lsns, failure } = await readAll(await openLog(repository, logId))

    expect(lsns).toEqual([1000n, 1010n])
    expect(failure).toMatchObject({
      code: 'change-log-gap',
      message:
        `segment 2 of change log ${logId} is missing: changes from 0/3FC (2026-01-01T00:00:01.000Z) ` +
        'to 0/406 (before 2026-01-01T00:00:03.000Z) are not there',
      context: { segment: 2, problem: 'missing', from: '0/3FC', to: '0/406' },
    })
  })

  test('several segments are missing names all that they span', async () => {
    const { repository, store, logId, key } = await bench()
    for (const number of [0, 1, 2]) store.objects.delete(key(number))

    const { lsns, failure } = await readAll(await openLog(repository, logId))

    expect(lsns).toEqual([])
    expect(failure?.context).toMatchObject({ problem: 'missing', from: '0/3E8', to: '0/406' })
  })

  test('a segment is another than it was a moment ago does not take it for the one that was opened then', async () => {
    const { repository, store, logId, key } = await bench()
    const log = await openLog(repository, logId)
    expect((await readAll(log)).lsns).toHaveLength(SEGMENTS)
    for (const number of [SEGMENTS - 2, SEGMENTS - 1]) {
      const whole = store.objects.get(key(number))!
      store.objects.set(
        key(number),
        Uint8Array.from(whole, (byte, at) => (at === whole.length - 1 ? byte ^ 1 : byte)),
      )
      const { lsns, failure } = await readAll(log)
      store.objects.set(key(number), whole)
      expect([number, lsns.length, failure?.code]).toEqual([number, number, 'change-log-gap'])
    }
  })

  test('a byte was flipped, anywhere, hands out nothing from there on', async () => {
    const { repository, store, logId, key } = await bench()
    const damage = fc.record({ number: fc.nat(SEGMENTS - 1), at: fc.nat(), bit: fc.nat(7) })
    await fc.assert(
      fc.asyncProperty(damage, async ({ number, at, bit }) => {
        const whole = store.objects.get(key(number))!
        const bytes = Uint8Array.from(whole)
        bytes[at % bytes.length]! ^= 1 << bit
        store.objects.set(key(number), bytes)
        const { lsns, failure } = await readAll(await openLog(repository, logId))
        store.objects.set(key(number), whole)

        expect(['change-log-gap', 'repository-format']).toContain(failure?.code)
        // Looking for the log's end opens the newest segment before anything is handed out.
        expect(lsns).toHaveLength(number === SEGMENTS - 1 ? 0 : number)
      }),
      propertyRuns(120),
    )
  })

  test.each([
    ['cut off', (bytes: Uint8Array) => bytes.slice(0, bytes.length - 1)],
    ['emptied', () => new Uint8Array()],
    ['made longer', (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.of(0)])],
  ])('a segment was %s calls it damaged', async (_, damage) => {
    const { repository, store, logId, key } = await bench()
    store.objects.set(key(3), damage(store.objects.get(key(3))!))

    const { lsns, failure } = await readAll(await openLog(repository, logId))

    expect(lsns).toEqual([1000n, 1010n, 1020n])
    expect(failure?.context).toMatchObject({ segment: 3, problem: 'damaged' })
  })

  test('two segments were swapped calls the first of them damaged', async () => {
    const { repository, store, logId, key } = await bench()
    const [one, two] = [store.objects.get(key(1))!, store.objects.get(key(2))!]
    store.objects.set(key(1), two).set(key(2), one)

    const { lsns, failure } = await readAll(await openLog(repository, logId))

    expect(lsns).toEqual([1000n])
    expect(failure?.context).toMatchObject({ segment: 1, problem: 'damaged' })
  })

  test.each([
    ['the number of another', { number: 1 }, 'foreign'],
    ['the log of another', { logId: '20250101T000000Z-00000000' }, 'foreign'],
    ['the source of another', { sourceName: 'lab' }, 'foreign'],
    ['another predecessor', { previous: 'ab'.repeat(32) }, 'reordered'],
    ['no predecessor', { previous: null }, 'reordered'],
    ['another beginning', { start: 1019n }, 'reordered'],
    ['a transaction that nobody began', { continues: true }, 'reordered'],
    ['a lease that was over', { leaseToken: 3 }, 'reordered'],
  ] as const)('a segment was sealed anew by somebody with the keys, with %s', async (_, lie, problem) => {
    const { repository, store } = await memoryRepository()
    const drafts = [0, 1, 2, 3].map((index) => {
      const commitLsn = 1000n + BigInt(index) * 10n
      return segmentDraft(commitLsn + 10n, { leaseToken: 7, transactions: [transactionAt(commitLsn)] })
    })
    const { start } = await writeLog(repository, drafts)
    await resealed(repository, store, start.logId, 2, (header) => ({ ...header, ...lie }))

    const { lsns, failure } = await readAll(await openLog(repository, start.logId))

    expect(lsns).toEqual([1000n, 1010n])
    expect(failure).toMatchObject({ code: 'change-log-gap', context: { segment: 2, problem } })
  })

  test('a segment was sealed anew with another row is noticed where the chain goes on', async () => {
    const { repository, store, logId } = await bench()
    await resealed(repository, store, logId, 2, (header) => header, [transactionAt(1020n, 1, { xid: 9 })])

    const { failure } = await readAll(await openLog(repository, logId))

    expect(failure?.context).toMatchObject({ segment: 3, problem: 'reordered' })
  })

  test('the newest segment was sealed anew is noticed by a manifest that names it', async () => {
    const { repository, store, logId } = await bench()
    const whole = await openLog(repository, logId)
    const anchors = [{ segment: 4, sha256: (await whole.segment(4)).sha256 }]
    await expect(joined(whole.transactions({ anchors }))).resolves.toHaveLength(5)
    await resealed(repository, store, logId, 4, (header) => header, [transactionAt(1040n, 1, { xid: 9 })])

    const log = await openLog(repository, logId)
    await expect(joined(log.transactions({ anchors }))).rejects.toMatchObject({
      context: { segment: 4, problem: 'reordered' },
    })
  })

  test('the start is damaged cannot be opened', async () => {
    const { repository, store, logId } = await bench()
    const bytes = store.objects.get(logKey(logId))!
    bytes[40]! ^= 1
    await expect(openLog(repository, logId)).rejects.toMatchObject({ code: 'repository-damaged' })
  })

  test('the end lies before what was asked for says so', async () => {
    const { repository, logId } = await bench()
    const log = await openLog(repository, logId)
    await expect(joined(log.transactions({ toLsn: 1051n }))).rejects.toMatchObject({
      code: 'change-log-gap',
      message: `change log ${logId} ends at 0/41A, before 0/41B`,
    })
  })
})

/** Seals a segment again, with all the keys, and with a lie in it. */
async function resealed(
  repository: Repository,
  store: MemoryStore,
  logId: string,
  number: number,
  lie: (header: SegmentHeader) => SegmentHeader,
  transactions?: readonly LoggedTransaction[],
): Promise<void> {
  const log = await openLog(repository, logId)
  const { header } = await log.segment(number)
  const name = segmentKey(logId, number)
  const { body } = encodeBody(transactions ?? [transactionAt(header.start)])
  store.objects.delete(name)
  await repository.sealed.write(name, OBJECT_TYPES.segment, joinSegment(lie(header), body))
}

describe('random damage of random logs', () => {
  test('never lets a transaction through that was not written, nor one behind the damage', async () => {
    const { repository, store } = await memoryRepository()
    const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 })
    const kind = fc.constantFrom('remove', 'swap', 'truncate', 'flip', 'repeat')
    await fc.assert(
      fc.asyncProperty(randomTransactions, sizes, kind, fc.nat(), fc.nat(), async (written, cut, how, pick, at) => {
        const drafts = cutIntoDrafts(written, cut)
        fc.pre(drafts.length > 1)
        dropLogs(store.objects)
        const { start } = await writeLog(repository, drafts)
        const key = (number: number) => segmentKey(start.logId, number)
        // The newest may be taken away unnoticed: nothing names it yet.
        const number = pick % (drafts.length - 1)
        const whole = store.objects.get(key(number))!
        const other = store.objects.get(key(number + 1))!
        if (how === 'remove') store.objects.delete(key(number))
        if (how === 'swap') store.objects.set(key(number), other).set(key(number + 1), whole)
        if (how === 'truncate') store.objects.set(key(number), whole.slice(0, at % whole.length))
        if (how === 'repeat') store.objects.set(key(number), other)
        if (how === 'flip') {
          const bytes = Uint8Array.from(whole)
          bytes[at % bytes.length]! ^= 1
          store.objects.set(key(number), bytes)
        }
        const found: { lsn: bigint; ends: boolean }[] = []
        let code: string | null = null
        try {
          const log = await openLog(repository, start.logId)
          for await (const part of log.transactions()) {
            found.push({ lsn: part.commitLsn, ends: part.ends })
            expect(part.segment).toBeLessThan(number)
          }
        } catch (error) {
          code = (error as Failure).code
        }
        expect(['change-log-gap', 'repository-format']).toContain(code)
      }),
      propertyRuns(80),
    )
  })
})

describe('writing a change log', () => {
  test('fails before anything is sent when the encoder errs (F27)', async () => {
    const { repository, store } = await memoryRepository()
    const writer = await writeLog(repository, [])
    const before = store.objects.size
    const table = { oid: '1', name: 'public.t', columns: ['a', 'b'], key: [0] }
    const wrong = (after: string) => [
      transactionAt(1000n, 0, { changes: [{ kind: 'insert', table, before: null, after: Buffer.from(after) }] }),
    ]

    for (const line of ['1', '1\t2\t3', '1\t2\n']) {
      await expect(writer.append(segmentDraft(1010n, { transactions: wrong(line) }))).rejects.toThrow(/fields|newline/)
    }
    expect(store.objects.size).toBe(before)
    await writer.append(segmentDraft(1010n, { transactions: wrong('1\t2') }))
  })

  test.each([
    ['an end before its beginning', segmentDraft(999n)],
    ['a transaction that ends behind it', segmentDraft(1009n, { transactions: [transactionAt(1000n)] })],
    ['a transaction of an earlier segment', segmentDraft(1010n, { transactions: [transactionAt(990n)] })],
    ['transactions out of order', segmentDraft(1040n, { transactions: [transactionAt(1020n), transactionAt(1010n)] })],
    ['a continuation of nothing', segmentDraft(1010n, { transactions: [transactionAt(1000n)], continues: true })],
    [
      'an unfinished transaction within it',
      segmentDraft(1010n, { transactions: [transactionAt(1000n)], unfinished: true }),
    ],
  ])('refuses a segment with %s', async (_, draft) => {
    const { repository, store } = await memoryRepository()
    const writer = await writeLog(repository, [])
    const before = store.objects.size
    await expect(writer.append(draft)).rejects.toMatchObject({ code: 'defect' })
    expect(store.objects.size).toBe(before)
  })

  test('refuses a row too large to be kept, naming its table and not the row', async () => {
    const { repository, store } = await memoryRepository()
    const writer = await writeLog(repository, [])
    const before = store.objects.size
    const table = { oid: '1', name: 'public.scan', columns: ['a'], key: [0] }
    // As long as it says, and never looked into.
    const after = Object.defineProperty(Buffer.from('1'), 'length', { value: 500 * 1024 * 1024 })
    const transactions = [transactionAt(1000n, 0, { changes: [{ kind: 'insert', table, before: null, after }] })]
    await expect(writer.append(segmentDraft(1010n, { transactions }))).rejects.toMatchObject({
      code: 'cannot-capture',
      message: 'a change of public.scan has 524288000 bytes of text',
    })
    expect(store.objects.size).toBe(before)
  })

  test('by two at once: one of them is told, whatever it believes of its lease (F18)', async () => {
    const { repository } = await memoryRepository()
    const one = await writeLog(repository, [segmentDraft(1010n)])
    const two = await ChangeLogWriter.resume(repository, one.start.logId)
    await one.append(segmentDraft(1020n, { transactions: [transactionAt(1010n)] }))

    const late = two.append(segmentDraft(1030n, { transactions: [transactionAt(1010n)] }))

    await expect(late).rejects.toMatchObject({ code: 'lease-lost' })
    const log = await openLog(repository, one.start.logId)
    expect(await log.end()).toBe(1020n)
  })

  test('under a lease that was taken over is refused by its token', async () => {
    const { repository } = await memoryRepository()
    const writer = await writeLog(repository, [segmentDraft(1010n, { leaseToken: 5 })])
    for (const leaseToken of [4, null]) {
      await expect(writer.append(segmentDraft(1020n, { leaseToken }))).rejects.toMatchObject({ code: 'lease-lost' })
    }
    await writer.append(segmentDraft(1020n, { leaseToken: 6 }))
  })

  test('goes on with the same segment when the answer to its put got lost', async () => {
    for (const outcome of ['lost', 'applied'] as const) {
      const { repository, store } = await memoryRepository()
      const { start } = await writeLog(repository, [segmentDraft(1010n)])
      const faulty = new FaultyStore(store, [{ call: 5, outcome }])
      const writer = await ChangeLogWriter.resume(overStore(repository, faulty), start.logId)
      const draft = segmentDraft(1020n, { transactions: [transactionAt(1010n)] })
      expect(faulty.calls).toHaveLength(4)
      await expect(writer.append(draft)).rejects.toMatchObject({ code: 'store-unreachable' })
      await writer.append(draft)
      expect((await ChangeLogWriter.resume(repository, start.logId)).head.end).toBe(1020n)
      faulty.assertAllFired()
    }
  })

  test('notices that the store lost what it confirmed', async () => {
    const { repository, store } = await memoryRepository()
    const { start } = await writeLog(repository, [])
    const faulty = new FaultyStore(store, [{ call: 1, outcome: 'vanishes', onward: true }])
    const writer = await ChangeLogWriter.resume(overStore(repository, faulty), start.logId)
    await expect(writer.append(segmentDraft(1010n))).rejects.toMatchObject({ code: 'store-lied' })
  })

  test('does not believe a listing that leaves the newest out (F17)', async () => {
    const { repository, store } = await memoryRepository()
    const { start } = await writeLog(
      repository,
      [1010n, 1020n, 1030n, 1040n].map((end) => segmentDraft(end)),
    )
    const stale = new FaultyStore(store, [{ call: 1, outcome: 'partial-listing', onward: true }])
    const writer = await ChangeLogWriter.resume(overStore(repository, stale), start.logId)
    expect(writer.head.end).toBe(1040n)
    expect(await (await openLog(overStore(repository, stale), start.logId)).end()).toBe(1040n)
  })

  test('where the store lets one overwrite the other: noticed before more is written (F18)', async () => {
    const { repository, store } = await memoryRepository()
    const { start } = await writeLog(repository, [segmentDraft(1010n)])
    const heedless = overStore(repository, new HeedlessStore(store))
    const one = await ChangeLogWriter.resume(heedless, start.logId)
    const two = await ChangeLogWriter.resume(heedless, start.logId)
    await one.append(segmentDraft(1020n, { transactions: [transactionAt(1010n)] }))
    await two.append(segmentDraft(1030n, { transactions: [transactionAt(1010n)] }))

    await expect(one.append(segmentDraft(1040n))).rejects.toMatchObject({ code: 'lease-lost' })
    await two.append(segmentDraft(1040n))
    expect(await (await openLog(repository, start.logId)).end()).toBe(1040n)
  })

  test('keeps a start that a reader of the same version understands', async () => {
    const { repository } = await memoryRepository()
    const previousLog = { logId: '20250101T000000Z-00000000', reason: 'the slot was lost', end: null }
    const { start } = await ChangeLogWriter.begin(repository, logStart({ previousLog }), LOG_WORLD)
    expect((await openLog(repository, start.logId)).start).toMatchObject({ ...start, fingerprint: expect.anything() })
  })
})

/** A store that ignores the condition of a put. */
class HeedlessStore extends FaultyStore {
  readonly #memory: MemoryStore

  constructor(memory: MemoryStore) {
    super(memory)
    this.#memory = memory
  }

  override get capabilities() {
    return { conditionalPut: false, durability: 'none' }
  }

  override async put(key: string, bytes: Uint8Array): Promise<void> {
    this.#memory.objects.set(key, Uint8Array.from(bytes))
  }
}
