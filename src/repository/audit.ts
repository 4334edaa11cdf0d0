/**
 * What was done by whom: a hash-chained record in the repository. Each entry holds the digest of the one before, so
 * none can be changed or taken out unnoticed but the last ones: until an entry follows, nothing binds them, and the
 * ledger's checkpoints do not cover the audit. No row value and no patient but by pseudonym (I9).
 */
import { z } from 'zod'
import { Failure } from '../errors.ts'
import { canonicalBytes, parseCanonical } from './canonical-json.ts'
import { sha256 } from './crypto/provider.ts'
import { AUDIT_PREFIX, numbered } from './layout.ts'
import { OBJECT_TYPES } from './sealed-object.ts'
import type { SealedStore } from './sealed-store.ts'

const entrySchema = z.strictObject({
  sequence: z.int().nonnegative(),
  /** SHA-256 of the canonical JSON of the entry before; null in the first. */
  previous: z.string().nullable(),
  time: z.string(),
  /** The account and host that ran the command, or the service's own name. */
  actor: z.string(),
  /** For example `snapshot.take`, `key.revoke`, `pseudonym.resolve`. */
  action: z.string(),
  /** What it was done to: a snapshot, a key, a database, a pseudonym. */
  subject: z.string(),
  outcome: z.enum(['done', 'failed', 'refused']),
  /** Why, where somebody had to say so; a failure's code. */
  detail: z.string(),
})

export type AuditEntry = z.infer<typeof entrySchema>
export type AuditRecord = Pick<AuditEntry, 'time' | 'actor' | 'action' | 'subject' | 'outcome' | 'detail'>

/** That a snapshot is removed on purpose: written before its manifest goes, and what tells a loss from a decision. */
export const FORGET_ACTION = 'snapshot.forget'

/** Ids of the snapshots that somebody removed on purpose. */
export function forgottenIn(entries: readonly AuditEntry[]): ReadonlySet<string> {
  const forgettings = entries.filter(({ action, outcome }) => action === FORGET_ACTION && outcome === 'done')
  return new Set(forgettings.map(({ subject }) => subject))
}

export class AuditLog {
  readonly #sealed: SealedStore

  constructor(sealed: SealedStore) {
    this.#sealed = sealed
  }

  /** Durable on return. Two writers at once: one goes first, the other continues behind it. */
  async append(record: AuditRecord): Promise<AuditEntry> {
    for (;;) {
      const newest = (await this.#sealed.names(AUDIT_PREFIX)).at(-1)
      const last = newest === undefined ? null : await this.#readBytes(newest)
      const entry: AuditEntry = {
        ...record,
        sequence: last === null ? 0 : decode(last, newest ?? '').sequence + 1,
        previous: last === null ? null : digest(last),
      }
      try {
        await this.#sealed.write(numbered(AUDIT_PREFIX, entry.sequence), OBJECT_TYPES.audit, canonicalBytes(entry))
        return entry
      } catch (error) {
        if (!(error instanceof Failure && error.code === 'object-exists')) throw error
      }
    }
  }

  /**
   * Runs `work` and records how it ended. What could not be recorded fails the command that succeeded, and does not
   * hide the failure of one that failed.
   */
  async around<Result>(
    deed: Pick<AuditRecord, 'actor' | 'action' | 'subject' | 'detail'>,
    nowMs: () => number,
    work: () => Promise<Result>,
    subjectOf: (result: Result) => string = () => deed.subject,
  ): Promise<Result> {
    const time = () => new Date(nowMs()).toISOString()
    let result: Result
    try {
      result = await work()
    } catch (error) {
      const detail = error instanceof Failure ? error.code : 'defect'
      await this.append({ ...deed, time: time(), outcome: 'failed', detail }).catch(() => {})
      throw error
    }
    await this.append({ ...deed, time: time(), subject: subjectOf(result), outcome: 'done' })
    return result
  }

  /** One entry for each subject: who looks for one of them finds it. */
  async aroundEach<Result>(
    deed: Pick<AuditRecord, 'actor' | 'action' | 'detail'>,
    subjects: readonly string[],
    nowMs: () => number,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const [subject, ...others] = subjects
    if (subject === undefined) return await work()
    return await this.around({ ...deed, subject }, nowMs, () => this.aroundEach(deed, others, nowMs, work))
  }

  /** All of it, verified link by link. @throws repository-damaged naming the first entry that does not fit */
  async read(): Promise<AuditEntry[]> {
    return await this.readFrom(0, Number.POSITIVE_INFINITY)
  }

  /** At most `limit` entries from `sequence` on, each verified against the one before it. @throws repository-damaged */
  async readFrom(sequence: number, limit: number): Promise<AuditEntry[]> {
    const names = await this.#sealed.names(AUDIT_PREFIX)
    const before = names[sequence - 1]
    let previous = before === undefined ? null : digest(await this.#readBytes(before))
    const entries: AuditEntry[] = []
    const wanted = names.slice(sequence, sequence + limit)
    for await (const bytes of this.#sealed.readAll(wanted, OBJECT_TYPES.audit)) {
      const entry = decode(bytes, wanted[entries.length]!)
      const place = sequence + entries.length
      if (entry.sequence !== place || entry.previous !== previous) {
        throw new Failure('repository-damaged', `audit entry ${place} is missing, or was changed`, {
          context: { sequence: place },
        })
      }
      previous = digest(bytes)
      entries.push(entry)
    }
    return entries
  }

  #readBytes(name: string): Promise<Uint8Array> {
    return this.#sealed.read(name, OBJECT_TYPES.audit)
  }
}

function decode(bytes: Uint8Array, name: string): AuditEntry {
  const parsed = entrySchema.safeParse(parseCanonical(bytes, name))
  if (parsed.success) return parsed.data
  throw new Failure('repository-damaged', `object ${name} is not an audit entry`, { context: { object: name } })
}

function digest(bytes: Uint8Array): string {
  return Buffer.from(sha256(bytes)).toString('hex')
}
