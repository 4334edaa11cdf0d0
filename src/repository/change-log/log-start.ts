/**
 * Where a change log begins: one unbroken chain of segments of one source's history. Whatever breaks the chain (a slot
 * that was lost, another history) begins another log, whose start says what the break was: that is how a gap is
 * declared (I4).
 */
import { z } from 'zod'
import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../canonical-json.ts'
import { isDamage } from '../damage.ts'
import { LOG_PREFIX, logKey, timedIdAfter } from '../layout.ts'
import { formatLsn, parseLsn } from '../lsn.ts'
import { type Manifest, manifestSchema } from '../manifest.ts'
import { OBJECT_TYPES } from '../sealed-object.ts'
import type { SealedStore } from '../sealed-store.ts'

export const LOG_FORMAT = 1
export const LSN_PATTERN = /^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/

const digestsSchema = z.array(z.looseObject({ name: z.string(), digest: z.string() }))

const logStartSchema = z.looseObject({
  format: z.literal(LOG_FORMAT),
  logId: z.string(),
  repositoryId: z.string(),
  sourceName: z.string(),
  source: manifestSchema.shape.source,
  slot: z.string(),
  startLsn: z.string().regex(LSN_PATTERN),
  xidHorizon: z.string().regex(/^\d+$/),
  createdAt: z.string(),
  previousLog: z.looseObject({ logId: z.string(), reason: z.string(), end: z.string().nullable() }).nullable(),
  tables: z.array(
    z.looseObject({ name: z.string(), resolution: z.enum(['transaction', 'snapshot']), reason: z.string().nullable() }),
  ),
  fingerprint: z.looseObject({ digest: z.string(), tables: digestsSchema }),
})

export interface LogStartDraft {
  readonly sourceName: string
  readonly source: Manifest['source']
  readonly slot: string
  /** Transactions that commit at or behind it are in the log. */
  readonly startLsn: bigint
  /** Decimal, 64 bits: see `SlotStart`. */
  readonly xidHorizon: string
  /** The log that this one takes the place of, why that one does not go on, and where it ended (null: nobody knows). */
  readonly previousLog: { readonly logId: string; readonly reason: string; readonly end: bigint | null } | null
  readonly tables: readonly {
    readonly name: string
    readonly resolution: 'transaction' | 'snapshot'
    readonly reason: string | null
  }[]
  readonly fingerprint: { readonly digest: string; readonly tables: ReadonlyMap<string, string> }
}

export interface LogStart extends LogStartDraft {
  readonly logId: string
  /** ISO 8601, by the capturing machine's clock. */
  readonly createdAt: string
}

export interface LogListing {
  /** Of the source asked for, oldest first. */
  readonly logs: readonly LogStart[]
  /** Of which nobody can say whose they are: whoever relies on the newest log must know of these. */
  readonly unreadable: readonly { readonly logId: string; readonly failure: Failure }[]
}

/** @throws store-… */
export async function listLogs(
  repository: { readonly id: string; readonly sealed: SealedStore },
  sourceName: string,
): Promise<LogListing> {
  const logs: LogStart[] = []
  const unreadable: { logId: string; failure: Failure }[] = []
  for (const name of await repository.sealed.names(LOG_PREFIX)) {
    const logId = name.slice(LOG_PREFIX.length)
    try {
      const start = await readLogStart(repository, logId)
      if (start.sourceName === sourceName) logs.push(start)
    } catch (error) {
      if (!isDamage(error)) throw error
      unreadable.push({ logId, failure: error })
    }
  }
  return { logs, unreadable }
}

/** @throws object-missing, repository-damaged, repository-format, store-… */
export async function readLogStart(
  repository: { readonly id: string; readonly sealed: SealedStore },
  logId: string,
): Promise<LogStart> {
  const name = logKey(logId)
  const start = parseLogStart(await repository.sealed.read(name, OBJECT_TYPES.logStart), name)
  if (start.logId === logId && start.repositoryId === repository.id) return start
  throw damaged(name, `is the start of ${start.logId} of repository ${start.repositoryId}`)
}

/** Durable on return. @returns what was written */
export async function writeLogStart(
  repository: { readonly id: string; readonly sealed: SealedStore },
  draft: LogStartDraft,
  world: { readonly nowMs: () => number; readonly random: (bytes: number) => Uint8Array },
): Promise<LogStart> {
  const { sealed, id } = repository
  const latest = (await sealed.names(LOG_PREFIX)).at(-1)?.slice(LOG_PREFIX.length) ?? null
  const nowMs = world.nowMs()
  const logId = timedIdAfter(latest, nowMs, world.random(4))
  const start: LogStart = { ...draft, logId, createdAt: new Date(nowMs).toISOString() }
  const bytes = encodeLogStart(start, id)
  parseLogStart(bytes, 'a new change log')
  await sealed.write(logKey(logId), OBJECT_TYPES.logStart, bytes)
  return start
}

function encodeLogStart(start: LogStart, repositoryId: string): Uint8Array {
  const { previousLog, fingerprint } = start
  return canonicalBytes({
    format: LOG_FORMAT,
    logId: start.logId,
    repositoryId,
    sourceName: start.sourceName,
    source: start.source,
    slot: start.slot,
    startLsn: formatLsn(start.startLsn),
    xidHorizon: start.xidHorizon,
    createdAt: start.createdAt,
    previousLog: previousLog && {
      logId: previousLog.logId,
      reason: previousLog.reason,
      end: previousLog.end === null ? null : formatLsn(previousLog.end),
    },
    tables: start.tables.map(({ name, resolution, reason }) => ({ name, resolution, reason })),
    fingerprint: { digest: fingerprint.digest, tables: digestList(fingerprint.tables) },
  })
}

/** @throws repository-damaged, repository-format */
export function parseLogStart(bytes: Uint8Array, name: string): LogStart & { readonly repositoryId: string } {
  const value = parseCanonical(bytes, name)
  refuseLater(value, name)
  const parsed = logStartSchema.safeParse(value)
  if (!parsed.success) throw damaged(name, `is not a log's start: wrong at ${parsed.error.issues[0]?.path.join('.')}`)
  const { previousLog, fingerprint, ...rest } = parsed.data
  return {
    ...rest,
    startLsn: parseLsn(rest.startLsn),
    previousLog: previousLog && {
      logId: previousLog.logId,
      reason: previousLog.reason,
      end: previousLog.end === null ? null : parseLsn(previousLog.end),
    },
    fingerprint: { digest: fingerprint.digest, tables: digestMap(fingerprint.tables) },
  }
}

/** Pairs, because a name may be one that an object cannot have as a member. Sorted by name. */
export function digestList(tables: ReadonlyMap<string, string>): { name: string; digest: string }[] {
  return [...tables].map(([name, digest]) => ({ name, digest })).sort((a, b) => (a.name < b.name ? -1 : 1))
}

export function digestMap(list: readonly { readonly name: string; readonly digest: string }[]): Map<string, string> {
  return new Map(list.map(({ name, digest }) => [name, digest]))
}

/** @throws repository-format */
export function refuseLater(value: unknown, name: string): void {
  const format = typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined
  if (typeof format !== 'number' || format <= LOG_FORMAT) return
  throw new Failure('repository-format', `object ${name} has format ${format}, this version reads ${LOG_FORMAT}`, {
    context: { object: name },
    hints: ['Use the version of chartkeep that wrote this change log, or a later one.'],
  })
}

function damaged(name: string, what: string): Failure {
  return new Failure('repository-damaged', `object ${name} ${what}`, { context: { object: name } })
}
