/**
 * The plaintext of a segment.
 *
 *     0   6   "CKSEGM"
 *     6   1   format version, 1
 *     7       varint bytes of the header ‖ header (segment-header.ts)
 *             for each transaction, in order of commit:
 *                 varint xid ‖ commit LSN (8) ‖ end LSN (8) ‖ commit time, microseconds (8, signed)
 *                 ‖ varint 1 + bytes of the mark, or 0 for none ‖ mark
 *                 ‖ varint changes ‖ for each: kind and flags (1) ‖ varint table ‖ for each line there is: varint bytes ‖ line
 *
 * Numbers of fixed size are little-endian. Kind: 0 insert, 1 update, 2 delete, 3 truncate; flags: 4 a line before,
 * 8 a line after. `table` is the place in the header's list.
 */
import { assert, Failure } from '../../errors.ts'
import { ByteReader, ByteWriter } from '../tree/varint.ts'
import type { LoggedChange, LoggedTransaction, LogTable, TransactionStamp } from './change.ts'
import { decodeHeader, encodeHeader, type SegmentHeader } from './segment-header.ts'

const MAGIC = Buffer.from('CKSEGM')
const VERSION = 1
const KINDS = ['insert', 'update', 'delete', 'truncate'] as const
const KIND_NUMBERS = { insert: 0, update: 1, delete: 2, truncate: 3 } as const
const KIND_BITS = 3
const HAS_BEFORE = 4
const HAS_AFTER = 8
const TAB = 0x09
const NEWLINE = 0x0a
const TRANSACTION_BYTES_GUESS = 40
const CHANGE_BYTES_GUESS = 8

/** What counting the transactions gives; the rest of a header is for the writer to say. */
export type SegmentCounts = Pick<
  SegmentHeader,
  'transactions' | 'changes' | 'textBytes' | 'firstCommitTimeUs' | 'lastCommitTimeUs' | 'tables'
>

export interface Segment {
  readonly header: SegmentHeader
  readonly transactions: readonly LoggedTransaction[]
}

export interface EncodedBody {
  readonly counts: SegmentCounts
  readonly body: Uint8Array
}

export function encodeBody(transactions: readonly LoggedTransaction[]): EncodedBody {
  const directory = new TableDirectory()
  const changes = changesIn(transactions)
  const textBytes = textBytesOf(transactions)
  const out = new ByteWriter(textBytes + changes * CHANGE_BYTES_GUESS + transactions.length * TRANSACTION_BYTES_GUESS)
  for (const transaction of transactions) encodeTransaction(out, transaction, directory)
  return {
    counts: {
      transactions: transactions.length,
      changes,
      textBytes,
      firstCommitTimeUs: transactions[0]?.commitTimeUs ?? null,
      lastCommitTimeUs: transactions.at(-1)?.commitTimeUs ?? null,
      tables: directory.tables,
    },
    body: out.done(),
  }
}

/** Bytes of all lines, without newlines. */
export function textBytesOf(transactions: readonly Pick<LoggedTransaction, 'changes'>[]): number {
  let bytes = 0
  for (const { changes } of transactions) {
    for (const { before, after } of changes) bytes += (before?.length ?? 0) + (after?.length ?? 0)
  }
  return bytes
}

function changesIn(transactions: readonly LoggedTransaction[]): number {
  return transactions.reduce((sum, { changes }) => sum + changes.length, 0)
}

export function joinSegment(header: SegmentHeader, body: Uint8Array): Uint8Array {
  const head = encodeHeader(header)
  const out = new ByteWriter(head.length + body.length + 16)
  out.bytes(MAGIC)
  out.byte(VERSION)
  out.varint(head.length)
  out.bytes(head)
  out.bytes(body)
  return out.done()
}

/** `what` names the object in errors. @throws repository-damaged, repository-format */
export function decodeSegmentHeader(bytes: Uint8Array, what: string): SegmentHeader {
  return readHeader(new ByteReader(bytes, what), what)
}

const all = () => true

/**
 * Lines are views of `bytes`. Everything that the header counts is counted again.
 * @param isWanted whose changes are: of other transactions they are counted and passed over, and `changes` is empty
 * @throws repository-damaged, repository-format
 */
export function decodeSegment(
  bytes: Uint8Array,
  what: string,
  isWanted: (transaction: TransactionStamp) => boolean = all,
): Segment {
  const reader = new ByteReader(bytes, what)
  const header = readHeader(reader, what)
  const transactions: LoggedTransaction[] = []
  const counts = { changes: 0, textBytes: 0 }
  // A transaction takes bytes, so that a count that is too high ends with them.
  for (let index = 0; index < header.transactions; index += 1) {
    const { stamp, count } = readStamp(reader)
    if (isWanted(stamp)) {
      const changes = readChanges(reader, header, count)
      transactions.push({ ...stamp, changes })
      counts.textBytes += textBytesOf([{ changes }])
    } else {
      transactions.push({ ...stamp, changes: [] })
      counts.textBytes += passChanges(reader, count)
    }
    counts.changes += count
  }
  reader.end()
  const problem =
    countProblem(header, counts) ?? timeProblem(header, transactions) ?? orderProblem(header, transactions)
  if (problem !== null) throw reader.damaged(problem)
  return { header, transactions }
}

/** What is wrong with the order of the transactions and with where they lie, in words, or null. */
export function orderProblem(
  { start, end, unfinished, continues }: Pick<SegmentHeader, 'start' | 'end' | 'unfinished' | 'continues'>,
  transactions: readonly LoggedTransaction[],
): string | null {
  if (end < start) return 'ends before it begins'
  if ((unfinished || continues) && transactions.length === 0) return 'has no part of the transaction that it names'
  let floor = start
  for (const [index, { commitLsn, endLsn }] of transactions.entries()) {
    if (commitLsn < floor || endLsn <= commitLsn) return 'has transactions out of order'
    const isPart = unfinished && index === transactions.length - 1
    if (isPart ? commitLsn < end : endLsn > end) return 'has a transaction that is not where its span says'
    floor = endLsn
  }
  return null
}

function countProblem(
  header: SegmentHeader,
  { changes, textBytes }: Pick<SegmentHeader, 'changes' | 'textBytes'>,
): string | null {
  return changes === header.changes && textBytes === header.textBytes ? null : 'holds other counts than its head says'
}

function timeProblem(header: SegmentHeader, transactions: readonly LoggedTransaction[]): string | null {
  const times = [transactions[0]?.commitTimeUs ?? null, transactions.at(-1)?.commitTimeUs ?? null]
  if (times[0] !== header.firstCommitTimeUs || times[1] !== header.lastCommitTimeUs)
    return 'holds other commit times than its head says'
  const { maxCommitTimeUs } = header
  const isAbove = ({ commitTimeUs }: LoggedTransaction) => maxCommitTimeUs === null || commitTimeUs > maxCommitTimeUs
  return transactions.some(isAbove) ? 'holds a commit time above the latest that its head says' : null
}

/** The tables in order of their first change; two descriptions that say the same are one. */
class TableDirectory {
  readonly tables: LogTable[] = []
  readonly #numbers = new Map<LogTable, number>()
  readonly #bySpelling = new Map<string, number>()

  numberOf(table: LogTable): number {
    const known = this.#numbers.get(table)
    if (known !== undefined) return known
    const { oid, name, columns, key } = table
    const spelling = JSON.stringify([oid, name, columns, key])
    let number = this.#bySpelling.get(spelling)
    if (number === undefined) {
      number = this.tables.push({ oid, name, columns, key }) - 1
      this.#bySpelling.set(spelling, number)
    }
    this.#numbers.set(table, number)
    return number
  }
}

function encodeTransaction(out: ByteWriter, transaction: LoggedTransaction, directory: TableDirectory): void {
  const { xid, commitLsn, endLsn, commitTimeUs, mark, changes } = transaction
  out.varint(xid)
  const stamps = Buffer.alloc(24)
  stamps.writeBigUInt64LE(commitLsn, 0)
  stamps.writeBigUInt64LE(endLsn, 8)
  stamps.writeBigInt64LE(commitTimeUs, 16)
  out.bytes(stamps)
  const markBytes = mark === null ? null : Buffer.from(mark)
  out.varint(markBytes === null ? 0 : markBytes.length + 1)
  if (markBytes) out.bytes(markBytes)
  out.varint(changes.length)
  for (const { kind, table, before, after } of changes) {
    out.byte(KIND_NUMBERS[kind] | (before ? HAS_BEFORE : 0) | (after ? HAS_AFTER : 0))
    out.varint(directory.numberOf(table))
    if (before) writeLine(out, before)
    if (after) writeLine(out, after)
  }
}

function writeLine(out: ByteWriter, line: Uint8Array): void {
  out.varint(line.length)
  out.bytes(line)
}

function readHeader(reader: ByteReader, what: string): SegmentHeader {
  if (!reader.bytes(MAGIC.length).equals(MAGIC)) throw reader.damaged('is no segment')
  const version = reader.byte()
  if (version !== VERSION) {
    throw new Failure('repository-format', `${what} has segment format ${version}, this version reads ${VERSION}`, {
      context: { object: what },
      hints: ['Use the version of chartkeep that wrote this change log, or a later one.'],
    })
  }
  return decodeHeader(reader.bytes(reader.varint()), what)
}

function readStamp(reader: ByteReader): { readonly stamp: TransactionStamp; readonly count: number } {
  const xid = reader.varint()
  if (xid > 0xffff_ffff) throw reader.damaged('names a transaction beyond 32 bits')
  const stamps = reader.bytes(24)
  const markBytes = reader.varint()
  const mark = markBytes === 0 ? null : reader.bytes(markBytes - 1).toString('utf8')
  const stamp = {
    xid,
    commitLsn: stamps.readBigUInt64LE(0),
    endLsn: stamps.readBigUInt64LE(8),
    commitTimeUs: stamps.readBigInt64LE(16),
    mark,
  }
  return { stamp, count: reader.varint() }
}

function readChanges(reader: ByteReader, { tables }: SegmentHeader, count: number): LoggedChange[] {
  const changes: LoggedChange[] = []
  for (let index = 0; index < count; index += 1) changes.push(readChange(reader, tables))
  return changes
}

/** @returns bytes of their lines. What they say is not looked at: whoever wants it reads them. */
function passChanges(reader: ByteReader, count: number): number {
  let textBytes = 0
  for (let index = 0; index < count; index += 1) {
    const flags = reader.byte()
    reader.varint()
    for (const has of [HAS_BEFORE, HAS_AFTER]) {
      if ((flags & has) === 0) continue
      const bytes = reader.varint()
      reader.pass(bytes)
      textBytes += bytes
    }
  }
  return textBytes
}

function readChange(reader: ByteReader, tables: readonly LogTable[]): LoggedChange {
  const flags = reader.byte()
  const kind = KINDS[flags & KIND_BITS]!
  const table = tables[reader.varint()]
  if (flags > (KIND_BITS | HAS_BEFORE | HAS_AFTER) || !table) throw reader.damaged('has a change that cannot be')
  const before = flags & HAS_BEFORE ? readLine(reader, table) : null
  const after = flags & HAS_AFTER ? readLine(reader, table) : null
  if (!hasItsLines(kind, before, after)) throw reader.damaged(`has ${kind} without its rows, or with too many`)
  return { kind, table, before, after }
}

function hasItsLines(kind: LoggedChange['kind'], before: Uint8Array | null, after: Uint8Array | null): boolean {
  if (kind === 'update') return after !== null
  return (before !== null) === (kind === 'delete') && (after !== null) === (kind === 'insert')
}

function readLine(reader: ByteReader, { columns }: LogTable): Uint8Array {
  const line = reader.bytes(reader.varint())
  let fields = 1
  for (let at = 0; at < line.length; at += 1) {
    const byte = line[at]
    if (byte === TAB) fields += 1
    else if (byte === NEWLINE) throw reader.damaged('has a row with a newline in it')
  }
  // A table without columns has rows without fields.
  const expected = Math.max(1, columns.length)
  if (fields !== expected) throw reader.damaged(`has a row of ${fields} fields in a table of ${columns.length}`)
  return line
}

/** What was decoded is what was to be encoded, field by field (F27). */
export function assertDecodesTo(bytes: Uint8Array, transactions: readonly LoggedTransaction[]): void {
  const decoded = decodeSegment(bytes, 'a new segment').transactions
  assert(decoded.length === transactions.length, 'a new segment decodes to as many transactions')
  for (const [index, wanted] of transactions.entries()) {
    const found = decoded[index]!
    const isSame =
      found.xid === wanted.xid &&
      found.commitLsn === wanted.commitLsn &&
      found.endLsn === wanted.endLsn &&
      found.commitTimeUs === wanted.commitTimeUs &&
      found.mark === wanted.mark &&
      found.changes.length === wanted.changes.length
    assert(isSame, 'a new segment decodes to the transactions that were to be kept')
    for (const [place, change] of wanted.changes.entries()) assertSameChange(found.changes[place]!, change)
  }
}

function assertSameChange(found: LoggedChange, wanted: LoggedChange): void {
  const isSame =
    found.kind === wanted.kind &&
    found.table.oid === wanted.table.oid &&
    found.table.name === wanted.table.name &&
    found.table.columns.length === wanted.table.columns.length &&
    isSameLine(found.before, wanted.before) &&
    isSameLine(found.after, wanted.after)
  assert(isSame, 'a new segment decodes to the changes that were to be kept')
}

function isSameLine(a: Uint8Array | null, b: Uint8Array | null): boolean {
  if (a === null || b === null) return a === b
  return a.length === b.length && Buffer.compare(a, b) === 0
}
