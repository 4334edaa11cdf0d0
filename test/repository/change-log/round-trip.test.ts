/** Whatever is appended comes back, however it was cut into segments, and whatever part of it is asked for. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { listLogs, openLog } from '../../../src/repository/change-log/reader.ts'
import { ChangeLogWriter } from '../../../src/repository/change-log/writer.ts'
import {
  cutIntoDrafts,
  dropLogs,
  joined,
  LOG_TABLES,
  LOG_WORLD,
  logStart,
  plainChange,
  randomTransactions,
  segmentDraft,
  transactionAt,
  writeLog,
} from '../../support/change-log.ts'
import { memoryRepository } from '../../support/forge.ts'
import { propertyRuns } from '../tree/support.ts'

const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 })

describe('a change log gives back', () => {
  test('every transaction, in order, whatever segments it was cut into', async () => {
    const { repository, store } = await memoryRepository()
    await fc.assert(
      fc.asyncProperty(randomTransactions, sizes, async (transactions, cut) => {
        dropLogs(store.objects)
        const { start } = await writeLog(repository, cutIntoDrafts(transactions, cut))
        const log = await openLog(repository, start.logId)

        expect(await joined(log.transactions())).toEqual(
          transactions.map((each) => ({ ...each, changes: each.changes.map(plainChange) })),
        )
      }),
      propertyRuns(60),
    )
  })

  test('those of a range, each whole, from the segment that locate names', async () => {
    const { repository, store } = await memoryRepository()
    await fc.assert(
      fc.asyncProperty(randomTransactions, sizes, fc.nat(), fc.nat(), async (transactions, cut, a, b) => {
        dropLogs(store.objects)
        const { start } = await writeLog(repository, cutIntoDrafts(transactions, cut))
        const log = await openLog(repository, start.logId)
        const marks = [1000n, ...transactions.flatMap(({ commitLsn, endLsn }) => [commitLsn, commitLsn + 1n, endLsn])]
        const end = transactions.at(-1)?.endLsn ?? 1000n
        const from = marks[a % marks.length]!
        const to = [marks[b % marks.length]!, end].reduce((least, each) => (each < least ? each : least))
        const fromSegment = await log.locate(from)

        const range = { fromSegment, fromLsn: from, toLsn: to }
        const found = await joined(log.transactions(range))
        const parts = await Array.fromAsync(log.transactions(range), (part) => ({ ...part, changes: [] }))
        expect(await Array.fromAsync(log.stamps(range))).toEqual(parts)

        const wanted = transactions.filter(({ commitLsn, endLsn }) => commitLsn >= from && endLsn <= to)
        expect(found.map(({ commitLsn }) => commitLsn)).toEqual(wanted.map(({ commitLsn }) => commitLsn))
        expect(found.map(({ changes }) => changes.length)).toEqual(wanted.map(({ changes }) => changes.length))
      }),
      propertyRuns(60),
    )
  })

  test('the first segment above a moment, although commit times run backwards (P17)', async () => {
    const { repository, store } = await memoryRepository()
    await fc.assert(
      fc.asyncProperty(randomTransactions, sizes, fc.nat(), async (transactions, cut, pick) => {
        const drafts = cutIntoDrafts(transactions, cut)
        dropLogs(store.objects)
        const { start } = await writeLog(repository, drafts)
        const log = await openLog(repository, start.logId)
        const timeUs = transactions[pick % Math.max(1, transactions.length)]?.commitTimeUs ?? 0n
        const first = drafts.findIndex((draft) => draft.transactions.some((each) => each.commitTimeUs > timeUs))

        expect(await log.locateTime(timeUs)).toBe(first < 0 ? drafts.length : first)
      }),
      propertyRuns(60),
    )
  })
})

describe('a change log that is carried on', () => {
  test('by another process continues behind the newest segment', async () => {
    const { repository } = await memoryRepository()
    const first = await writeLog(repository, [segmentDraft(1010n, { transactions: [transactionAt(1000n)] })])

    const second = await ChangeLogWriter.resume(repository, first.start.logId)
    expect(second.head).toMatchObject({ ...first.head, fingerprint: expect.anything() })
    await second.append(segmentDraft(1020n, { transactions: [transactionAt(1010n)] }))

    const log = await openLog(repository, first.start.logId)
    expect((await joined(log.transactions())).map(({ commitLsn }) => commitLsn)).toEqual([1000n, 1010n])
    expect(await log.end()).toBe(1020n)
  })

  test('after a transaction that was broken off hands it out once, as it was sent again', async () => {
    const { repository } = await memoryRepository()
    const giant = transactionAt(1010n, 6)
    const part = (from: number, to: number) => ({ ...giant, changes: giant.changes.slice(from, to) })
    const writer = await writeLog(repository, [
      segmentDraft(1010n, { transactions: [transactionAt(1000n), part(0, 2)], unfinished: true }),
      segmentDraft(1010n, { transactions: [part(2, 4)], continues: true, unfinished: true }),
    ])
    const log = await openLog(repository, writer.start.logId)
    expect((await joined(log.transactions())).map(({ commitLsn }) => commitLsn)).toEqual([1000n])

    const next = await ChangeLogWriter.resume(repository, writer.start.logId)
    await next.append(segmentDraft(1010n, { transactions: [part(0, 3)], unfinished: true }))
    await next.append(segmentDraft(1020n, { transactions: [part(3, 6)], continues: true }))

    const found = await joined(log.transactions())
    expect(found.map(({ commitLsn, changes }) => [commitLsn, changes.length])).toEqual([
      [1000n, 1],
      [1010n, 6],
    ])
    const kept = await log.findTransaction(1010n)
    expect(kept).toMatchObject({ changes: 6, stamp: { xid: giant.xid } })
    expect(await log.findTransaction(1011n)).toBeNull()
  })

  test('tells where tables were closed, and by what', async () => {
    const { repository } = await memoryRepository()
    const tables = new Map(LOG_TABLES.map(({ name }) => [name, 'a']))
    const changed = new Map([...tables, ['public.note', 'b']])
    const fingerprint = (digest: string, of: ReadonlyMap<string, string>, lsn: bigint) => ({ digest, lsn, tables: of })
    const writer = await writeLog(repository, [
      segmentDraft(1010n, { transactions: [transactionAt(1000n)], fingerprint: fingerprint('start', tables, 1010n) }),
      segmentDraft(1020n, { transactions: [transactionAt(1010n)], fingerprint: fingerprint('next', changed, 1025n) }),
      segmentDraft(1030n, { fingerprint: null, closed: [{ table: 'public.vital_sign', reason: 'is told wrong' }] }),
      segmentDraft(1040n, { fingerprint: fingerprint('next', changed, 1040n) }),
    ])

    const log = await openLog(repository, writer.start.logId)
    const reason = 'its definition or publication changed'
    const note = { table: 'public.note', reason, segment: 1, from: 1010n, noticedAt: 1025n }
    const sign = { table: 'public.vital_sign', reason: 'is told wrong', segment: 2, from: 1020n, noticedAt: 1030n }
    expect(await log.closedTables()).toEqual([note, sign])
    expect(await log.closedTables(0, 2)).toEqual([note])
    expect(await log.closedTables(2)).toEqual([sign])
    expect(await log.closedTables(3)).toEqual([])
    expect(await log.fingerprint()).toEqual(changed)
    expect((await ChangeLogWriter.resume(repository, writer.start.logId)).head.fingerprint).toEqual(changed)
  })
})

describe('the logs of a source', () => {
  test('are listed in order of beginning, whatever the clock did, and say what each one takes the place of (F28)', async () => {
    const { repository } = await memoryRepository()
    const at = (nowMs: number) => ({ nowMs: () => nowMs, random: randomBytes })
    const first = await ChangeLogWriter.begin(repository, logStart(), at(Date.UTC(2026, 0, 2)))
    await ChangeLogWriter.begin(repository, logStart({ sourceName: 'lab' }), LOG_WORLD)
    const previousLog = { logId: first.start.logId, reason: 'the slot was lost', end: 1000n }
    const second = await ChangeLogWriter.begin(repository, logStart({ previousLog }), at(Date.UTC(2026, 0, 1)))

    const { logs, unreadable } = await listLogs(repository, 'icu')

    expect(logs).toMatchObject([first.start, second.start])
    expect(logs[1]).toMatchObject({ previousLog })
    expect(unreadable).toEqual([])
  })
})
