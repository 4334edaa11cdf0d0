/**
 * What a segment says of itself before its transactions: its place in the chain, what it spans, and what the database's
 * catalog was when everything in it had been received. Canonical JSON; LSNs and microseconds are text there.
 */
import { z } from 'zod'
import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../canonical-json.ts'
import { formatLsn, parseLsn } from '../lsn.ts'
import type { LogTable } from './change.ts'
import { digestList, digestMap, LOG_FORMAT, LSN_PATTERN, refuseLater } from './log-start.ts'

const count = z.int().nonnegative()
const lsn = z.string().regex(LSN_PATTERN)
const microseconds = z.string().regex(/^-?\d{1,18}$/)

const headerSchema = z.looseObject({
  format: z.literal(LOG_FORMAT),
  logId: z.string(),
  number: count,
  sourceName: z.string(),
  previous: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  start: lsn,
  end: lsn,
  sealedAt: z.string(),
  leaseToken: count.nullable(),
  timeline: count.optional(),
  transactions: count,
  changes: count,
  textBytes: count,
  firstCommitTimeUs: microseconds.nullable(),
  lastCommitTimeUs: microseconds.nullable(),
  maxCommitTimeUs: microseconds.nullable(),
  continues: z.boolean(),
  unfinished: z.boolean(),
  tables: z.array(
    z
      .looseObject({ oid: z.string(), name: z.string(), columns: z.array(z.string()), key: z.array(count) })
      .refine(({ columns, key }) => key.every((field) => field < columns.length)),
  ),
  fingerprint: z
    .looseObject({
      digest: z.string(),
      lsn,
      time: microseconds.optional(),
      tables: z.array(z.looseObject({ name: z.string(), digest: z.string() })).nullable(),
    })
    .nullable(),
  fingerprintIn: count.nullable(),
  closed: z.array(z.looseObject({ table: z.string(), reason: z.string() })),
  lastClosed: count.nullable(),
})

/** From the end of the segment before, the table's past cannot be told until a snapshot reads it in full. */
export interface TableClosing {
  readonly table: string
  /** For people. */
  readonly reason: string
}

export interface SegmentFingerprint {
  readonly digest: string
  readonly lsn: bigint
  /** By the database's clock, when it stood there or before; null where nobody asked. */
  readonly timeUs: bigint | null
  /** Null when they are those of `fingerprintIn`. */
  readonly tables: ReadonlyMap<string, string> | null
}

export interface SegmentHeader {
  readonly logId: string
  /** From 0. */
  readonly number: number
  readonly sourceName: string
  /** SHA-256 of the plaintext of the segment before, hex; null in the first. */
  readonly previous: string | null
  /** Where the segment before ended; the log's own start in the first. */
  readonly start: bigint
  /** Every transaction that ends at or before it is in the log, whole. */
  readonly end: bigint
  /** ISO 8601, by the capturing machine's clock. */
  readonly sealedAt: string
  /** Of the lease under which it was written; never less than that of the segment before. */
  readonly leaseToken: number | null
  /** Of the server that sent it; null where nobody asked. */
  readonly timeline: number | null
  /** Parts of transactions count as transactions here. */
  readonly transactions: number
  readonly changes: number
  /** Of all lines, without newlines. */
  readonly textBytes: number
  readonly firstCommitTimeUs: bigint | null
  readonly lastCommitTimeUs: bigint | null
  /** The latest commit time in the *log* so far, this segment included: it never grows less from segment to segment. */
  readonly maxCommitTimeUs: bigint | null
  /** The first transaction began in the segment before. */
  readonly continues: boolean
  /** The last transaction goes on in the next segment, or is sent again from its beginning. */
  readonly unfinished: boolean
  readonly tables: readonly LogTable[]
  readonly fingerprint: SegmentFingerprint | null
  /** The newest segment up to here that lists the fingerprints of tables; null: the log's start does. */
  readonly fingerprintIn: number | null
  readonly closed: readonly TableClosing[]
  /** The newest segment up to here that closes a table; null: none did. */
  readonly lastClosed: number | null
}

export function encodeHeader({ timeline, ...header }: SegmentHeader): Uint8Array {
  const { fingerprint } = header
  return canonicalBytes({
    ...header,
    ...(timeline !== null && { timeline }),
    format: LOG_FORMAT,
    start: formatLsn(header.start),
    end: formatLsn(header.end),
    firstCommitTimeUs: header.firstCommitTimeUs?.toString() ?? null,
    lastCommitTimeUs: header.lastCommitTimeUs?.toString() ?? null,
    maxCommitTimeUs: header.maxCommitTimeUs?.toString() ?? null,
    tables: header.tables.map(({ oid, name, columns, key }) => ({ oid, name, columns, key })),
    fingerprint: fingerprint && {
      digest: fingerprint.digest,
      lsn: formatLsn(fingerprint.lsn),
      ...(fingerprint.timeUs !== null && { time: fingerprint.timeUs.toString() }),
      tables: fingerprint.tables && digestList(fingerprint.tables),
    },
    closed: header.closed.map(({ table, reason }) => ({ table, reason })),
  })
}

/** @throws repository-damaged, repository-format */
export function decodeHeader(bytes: Uint8Array, what: string): SegmentHeader {
  const value = parseCanonical(bytes, what)
  refuseLater(value, what)
  const parsed = headerSchema.safeParse(value)
  if (!parsed.success) {
    throw new Failure('repository-damaged', `${what} has a wrong head at ${parsed.error.issues[0]?.path.join('.')}`, {
      context: { object: what },
    })
  }
  const { data } = parsed
  return {
    ...data,
    timeline: data.timeline ?? null,
    start: parseLsn(data.start),
    end: parseLsn(data.end),
    firstCommitTimeUs: orNull(data.firstCommitTimeUs, BigInt),
    lastCommitTimeUs: orNull(data.lastCommitTimeUs, BigInt),
    maxCommitTimeUs: orNull(data.maxCommitTimeUs, BigInt),
    fingerprint: orNull(data.fingerprint, (found) => ({
      digest: found.digest,
      lsn: parseLsn(found.lsn),
      timeUs: orNull(found.time ?? null, BigInt),
      tables: orNull(found.tables, digestMap),
    })),
  }
}

function orNull<From, To>(value: From | null, convert: (value: From) => To): To | null {
  return value === null ? null : convert(value)
}
