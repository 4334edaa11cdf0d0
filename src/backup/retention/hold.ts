/**
 * Holds: snapshots that no rule may remove, because somebody said why. A sealed object each, and a record in the audit;
 * a hold whose object was taken away holds on, by that record, until somebody releases it.
 */
import { z } from 'zod'
import { Failure } from '../../errors.ts'
import { type AuditEntry, forgottenIn } from '../../repository/audit.ts'
import { canonicalBytes, parseCanonical } from '../../repository/canonical-json.ts'
import { HOLD_PREFIX, holdKey, timedId } from '../../repository/layout.ts'
import { leaseName } from '../../repository/lease.ts'
import type { Repository } from '../../repository/repository.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'
import { withLease } from '../../repository/with-lease.ts'

const PLACE_ACTION = 'hold.place'
const RELEASE_ACTION = 'hold.release'
/** What forget, prune and hold do, one at a time. */
const RETENTION_LEASE = 'prune'
const WAIT_MS = 30_000

const holdSchema = z.strictObject({
  format: z.literal(1),
  holdId: z.string(),
  snapshotId: z.string(),
  reason: z.string(),
  /** ISO 8601; null for a hold without end. */
  until: z.string().nullable(),
  madeAt: z.string(),
  actor: z.string(),
})

export interface Hold {
  readonly holdId: string
  readonly snapshotId: string
  readonly reason: string
  readonly until: string | null
  readonly madeAt: string
  readonly actor: string
  /** Its object is gone, and nobody released it. */
  readonly vanished: boolean
}

export interface RetentionWorld {
  readonly repository: Repository
  /** For the audit. */
  readonly actor: string
  readonly nowMs: () => number
  readonly random: (bytes: number) => Uint8Array
  readonly signal: AbortSignal
}

/** One of forget, prune and hold at a time. @throws lease-held */
export async function alone<Result>(
  { repository, actor, nowMs, signal }: RetentionWorld,
  work: (signal: AbortSignal, assertHeld: () => void) => Promise<Result>,
): Promise<Result> {
  const name = leaseName(repository.id, RETENTION_LEASE, '')
  return await withLease(repository, { name, holder: actor, nowMs, signal, waitMs: WAIT_MS }, work)
}

/**
 * All that are in force or have ended and were not released, oldest first.
 * @param audit all of it, verified
 * @throws repository-damaged when one cannot be read; store-…
 */
export async function readHolds(repository: Repository, audit: readonly AuditEntry[]): Promise<Hold[]> {
  const holds = new Map<string, Hold>()
  for (const entry of audit) {
    if (entry.outcome !== 'done') continue
    if (entry.action === PLACE_ACTION) holds.set(entry.subject, holdOfRecord(entry))
    if (entry.action === RELEASE_ACTION) holds.delete(entry.subject)
  }
  for (const name of await repository.sealed.names(HOLD_PREFIX)) {
    const hold = await readHold(repository, name)
    holds.set(hold.holdId, hold)
  }
  // A listing may leave out what is there (F17).
  for (const { holdId, vanished } of holds.values()) {
    if (!vanished || !(await repository.store.stat(holdKey(holdId)))) continue
    holds.set(holdId, await readHold(repository, holdKey(holdId)))
  }
  return [...holds.values()].sort((a, b) => (a.holdId < b.holdId ? -1 : 1))
}

async function readHold(repository: Repository, name: string): Promise<Hold> {
  const parsed = holdSchema.safeParse(parseCanonical(await repository.sealed.read(name, OBJECT_TYPES.hold), name))
  if (!parsed.success || holdKey(parsed.data.holdId) !== name) {
    throw new Failure('repository-damaged', `object ${name} is not a hold`, { context: { object: name } })
  }
  const { format: _, ...hold } = parsed.data
  return { ...hold, vanished: false }
}

export function isInForce({ until }: Hold, nowMs: number): boolean {
  return until === null || Date.parse(until) > nowMs
}

/** @throws snapshot-not-found, lease-held, store-… */
export async function placeHold(
  world: RetentionWorld,
  request: { readonly snapshotId: string; readonly reason: string; readonly until: string | null },
): Promise<Hold> {
  const { repository, actor, nowMs, random } = world
  return await alone(world, async (_signal, assertHeld) => {
    const { manifest } = await repository.readManifest(request.snapshotId)
    if (forgottenIn(await repository.audit.read()).has(manifest.snapshotId)) throw beingForgotten(manifest.snapshotId)
    const madeMs = nowMs()
    const hold = { holdId: timedId(madeMs, random(4)), ...request, madeAt: new Date(madeMs).toISOString(), actor }
    assertHeld()
    await repository.sealed.write(holdKey(hold.holdId), OBJECT_TYPES.hold, canonicalBytes({ format: 1, ...hold }))
    await record(world, PLACE_ACTION, hold.holdId, describeHold(hold))
    return { ...hold, vanished: false }
  })
}

/** Every hold of a snapshot, or one by its own id. @returns those released. @throws bad-usage, lease-held, store-… */
export async function releaseHolds(world: RetentionWorld, subject: string, why: string): Promise<Hold[]> {
  const { repository } = world
  return await alone(world, async (_signal, assertHeld) => {
    const holds = await readHolds(repository, await repository.audit.read())
    const released = holds.filter(({ holdId, snapshotId }) => holdId === subject || snapshotId === subject)
    if (released.length === 0) {
      throw new Failure('bad-usage', `there is no hold ${subject}, and no snapshot of that name is held`, {
        hints: ['Run `chartkeep hold --list` to see which there are.'],
      })
    }
    for (const { holdId } of released) {
      assertHeld()
      await record(world, RELEASE_ACTION, holdId, why)
      await repository.store.delete(holdKey(holdId))
    }
    return released
  })
}

async function record({ repository, actor, nowMs }: RetentionWorld, action: string, subject: string, detail: string) {
  const time = new Date(nowMs()).toISOString()
  await repository.audit.append({ time, actor, action, subject, outcome: 'done', detail })
}

function describeHold({ snapshotId, until, reason }: Pick<Hold, 'snapshotId' | 'until' | 'reason'>): string {
  return `snapshot ${snapshotId} until ${until ?? 'released'}: ${reason}`
}

/** What `describeHold` wrote. */
function holdOfRecord({ subject, detail, time, actor }: AuditEntry): Hold {
  const [, snapshotId = '', until = '', reason = ''] = /^snapshot (\S+) until (\S+): (.*)$/s.exec(detail) ?? []
  return {
    holdId: subject,
    snapshotId,
    reason,
    until: until === 'released' ? null : until,
    madeAt: time,
    actor,
    vanished: true,
  }
}

function beingForgotten(snapshotId: string): Failure {
  return new Failure('snapshot-not-found', `snapshot ${snapshotId} is being forgotten: that was begun and cut off`, {
    hints: ['Hold another one: run `chartkeep snapshots` to see which there are.'],
  })
}
