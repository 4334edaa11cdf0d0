/** Change logs made by hand: random transactions, cut into segments of any sizes. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import type { LoggedChange, LoggedPart, LoggedTransaction, LogTable } from '../../src/repository/change-log/change.ts'
import type { LogStartDraft } from '../../src/repository/change-log/log-start.ts'
import { ChangeLogWriter, type SegmentDraft } from '../../src/repository/change-log/writer.ts'
import type { Repository } from '../../src/repository/repository.ts'

export const LOG_TABLES: readonly LogTable[] = [
  { oid: '1001', name: 'public.vital_sign', columns: ['id', 'patient_id', 'value'], key: [0] },
  { oid: '1002', name: 'public.note', columns: ['id', 'text'], key: [0] },
  { oid: '1003', name: 'public."病历"', columns: ['a', 'b', 'c', 'd'], key: [1, 0] },
]

export const LOG_WORLD = { nowMs: () => Date.UTC(2026, 0, 1), random: randomBytes }

export function logStart(parts: Partial<LogStartDraft> = {}): LogStartDraft {
  return {
    sourceName: 'icu',
    source: {
      engine: 'postgresql',
      systemId: '7300000000000000001',
      timeline: 1,
      databaseOid: '16384',
      databaseName: 'icu',
      serverVersion: '17.2',
      serverVersionNumber: 170002,
      encoding: 'UTF8',
    },
    slot: 'chartkeep_icu',
    startLsn: 1000n,
    xidHorizon: '742',
    previousLog: null,
    tables: LOG_TABLES.map(({ name }) => ({ name, resolution: 'transaction', reason: null })),
    fingerprint: { digest: 'start', tables: new Map(LOG_TABLES.map(({ name }) => [name, 'a'])) },
    ...parts,
  }
}

export function segmentDraft(end: bigint, parts: Partial<SegmentDraft> = {}): SegmentDraft {
  return {
    end,
    sealedAt: '2026-01-01T00:00:05.000Z',
    leaseToken: null,
    transactions: [],
    continues: false,
    unfinished: false,
    fingerprint: null,
    closed: [],
    ...parts,
  }
}

/** Segments of one transaction each: 1000 to 1010, 1010 to 1020 … */
export function draftsInARow(count: number): SegmentDraft[] {
  return Array.from({ length: count }, (_, index) => {
    const commitLsn = 1000n + BigInt(index) * 10n
    const sealedAt = `2026-01-01T00:00:0${index}.000Z`
    return segmentDraft(commitLsn + 10n, { sealedAt, transactions: [transactionAt(commitLsn)] })
  })
}

/** One insert into each of so many rows, at this LSN and ten bytes long. */
export function transactionAt(commitLsn: bigint, rows = 1, parts: Partial<LoggedTransaction> = {}): LoggedTransaction {
  return {
    xid: Number(commitLsn % 4_000_000_000n),
    commitLsn,
    endLsn: commitLsn + 10n,
    commitTimeUs: 1_767_225_600_000_000n + commitLsn,
    mark: null,
    changes: Array.from({ length: rows }, (_, row) => inserted(`${commitLsn}${row}`)),
    ...parts,
  }
}

export function inserted(id: string): LoggedChange {
  return { kind: 'insert', table: LOG_TABLES[0]!, before: null, after: Buffer.from(`${id}\tP1\t36.6`) }
}

const line = (table: LogTable) =>
  fc
    .array(fc.oneof(fc.constantFrom('\\N', '\\u', '', '0', '\\t'), fc.string({ unit: 'grapheme', maxLength: 12 })), {
      minLength: table.columns.length,
      maxLength: table.columns.length,
    })
    .map((fields) => Buffer.from(fields.map((field) => field.replace(/[\t\n]/g, ' ')).join('\t')))

const change: fc.Arbitrary<LoggedChange> = fc.constantFrom(...LOG_TABLES).chain((table) =>
  fc.oneof(
    fc.record({
      kind: fc.constant('insert'),
      table: fc.constant(table),
      before: fc.constant(null),
      after: line(table),
    }),
    fc.record({
      kind: fc.constant('update'),
      table: fc.constant(table),
      before: fc.option(line(table)),
      after: line(table),
    }),
    fc.record({
      kind: fc.constant('delete'),
      table: fc.constant(table),
      before: line(table),
      after: fc.constant(null),
    }),
    fc.record({
      kind: fc.constant('truncate'),
      table: fc.constant(table),
      before: fc.constant(null),
      after: fc.constant(null),
    }),
  ),
)

/** Transactions in order of commit behind LSN 1000, with commit times that may run backwards (P17). */
export const randomTransactions: fc.Arbitrary<LoggedTransaction[]> = fc
  .array(
    fc.record({
      xid: fc.integer({ min: 0, max: 0xffff_ffff }),
      gap: fc.bigInt({ min: 0n, max: 1n << 40n }),
      length: fc.bigInt({ min: 1n, max: 5000n }),
      commitTimeUs: fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n }),
      mark: fc.option(fc.string({ unit: 'grapheme', maxLength: 20 })),
      changes: fc.array(change, { maxLength: 8 }),
    }),
    { maxLength: 12 },
  )
  .map((list) => {
    let at = 1000n
    return list.map(({ gap, length, ...rest }) => {
      const commitLsn = at + gap
      at = commitLsn + length
      return { ...rest, commitLsn, endLsn: at }
    })
  })

/**
 * Drafts that hold these transactions, cut behind so many changes each (a transaction counts one besides): inside of a
 * transaction where it comes so.
 */
export function cutIntoDrafts(transactions: readonly LoggedTransaction[], sizes: readonly number[]): SegmentDraft[] {
  const drafts: SegmentDraft[] = []
  let open: LoggedTransaction[] = []
  let end = 1000n
  let continues = false
  let room = sizes[0] ?? 4
  const seal = (unfinished: boolean): void => {
    drafts.push(segmentDraft(end, { transactions: open, continues, unfinished }))
    open = []
    continues = unfinished
    room = sizes[drafts.length % Math.max(1, sizes.length)] ?? 4
  }
  for (const transaction of transactions) {
    let rest = transaction.changes
    while (rest.length > room) {
      open.push({ ...transaction, changes: rest.slice(0, room) })
      rest = rest.slice(room)
      seal(true)
    }
    open.push({ ...transaction, changes: rest })
    end = transaction.endLsn
    room -= rest.length + 1
    if (room <= 0) seal(false)
  }
  if (open.length > 0) seal(false)
  return drafts
}

export async function writeLog(repository: Repository, drafts: readonly SegmentDraft[]): Promise<ChangeLogWriter> {
  const writer = await ChangeLogWriter.begin(repository, logStart(), LOG_WORLD)
  for (const draft of drafts) await writer.append(draft)
  return writer
}

/** So that a repository in which logs are made by the hundred does not grow. */
export function dropLogs(objects: Map<string, Uint8Array>): void {
  for (const key of objects.keys()) if (/^(logs|segments)\//.test(key)) objects.delete(key)
}

/** Whole transactions out of parts. */
export async function joined(parts: AsyncIterable<LoggedPart>): Promise<LoggedTransaction[]> {
  const whole: LoggedTransaction[] = []
  for await (const { segment: _, begins, ends: __, ...part } of parts) {
    const last = whole.at(-1)
    if (begins || !last) whole.push({ ...part, changes: part.changes.map(plainChange) })
    else whole[whole.length - 1] = { ...last, changes: [...last.changes, ...part.changes.map(plainChange)] }
  }
  return whole
}

/** Comparable: lines as copies, tables by what they say. */
export function plainChange({ kind, table, before, after }: LoggedChange): LoggedChange {
  return { kind, table, before: before && Buffer.from(before), after: after && Buffer.from(after) }
}
