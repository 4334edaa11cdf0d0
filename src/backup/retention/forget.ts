/**
 * Forget: which snapshots of a source are kept, and the end of the others. What a snapshot held is not touched here; that
 * is for prune, once nothing that is kept needs it.
 *
 *     rules, holds, snapshots ─→ plan: each with its reasons ─→ audit: forgotten ─→ manifest deleted
 *
 * The audit first: check tells a snapshot that was forgotten from one that was lost by it alone. A run that dies in between
 * leaves a manifest that the audit calls forgotten, and the next run deletes that.
 */
import { Failure } from '../../errors.ts'
import { FORGET_ACTION } from '../../repository/audit.ts'
import { manifestKey } from '../../repository/layout.ts'
import type { Manifest } from '../../repository/manifest.ts'
import { assertClock } from './clock.ts'
import { alone, isInForce, type RetentionWorld } from './hold.ts'
import { type KeepReason, type KeepRules, type KeptHold, keepSnapshots } from './keep-rules.ts'
import { type Survey, takeSurvey } from './survey.ts'

export interface ForgetRequest extends RetentionWorld {
  readonly sourceName: string
  readonly rules: KeepRules
}

export type StayReason =
  | KeepReason
  /** Incremental snapshots, restores and the place in the change log hang on it. */
  | { readonly kind: 'newest' }

export type GoReason = 'no rule keeps it' | 'it was to be forgotten before, and that was cut off'

export type Fate =
  | { readonly kind: 'stays'; readonly reasons: readonly StayReason[] }
  | { readonly kind: 'goes'; readonly reason: GoReason }

export interface SnapshotFate {
  readonly snapshotId: string
  /** By the source's clock, ISO 8601. */
  readonly time: string
  readonly fate: Fate
}

export interface ForgetPlan {
  readonly sourceName: string
  /** Newest first. */
  readonly snapshots: readonly SnapshotFate[]
  /** Of which nobody can say whose they are: they stay. */
  readonly unreadable: readonly string[]
}

/** Changes nothing. @throws clock-doubtful, store-lied, repository-damaged, bad-configuration, store-… */
export async function planForget(request: ForgetRequest): Promise<ForgetPlan> {
  const { repository, signal, nowMs } = request
  return decide(request, await takeSurvey(repository, signal), nowMs())
}

/** @returns what it did. @throws as `planForget`; lease-held, lease-lost */
export async function forget(request: ForgetRequest): Promise<ForgetPlan> {
  const { repository, actor, nowMs } = request
  return await alone(request, async (signal, assertHeld) => {
    const plan = decide(request, await takeSurvey(repository, signal), nowMs())
    for (const { snapshotId, fate } of plan.snapshots) {
      if (fate.kind === 'stays') continue
      signal.throwIfAborted()
      assertHeld()
      const time = new Date(nowMs()).toISOString()
      const record = {
        time,
        actor,
        action: FORGET_ACTION,
        subject: snapshotId,
        outcome: 'done',
        detail: fate.reason,
      } as const
      await repository.audit.append(record)
      await repository.store.delete(manifestKey(snapshotId))
    }
    return plan
  })
}

function decide({ sourceName, rules }: ForgetRequest, survey: Survey, nowMs: number): ForgetPlan {
  assertClock(survey, [], nowMs)
  const fates = fatesOf(survey, sourceName, rules, nowMs)
  return { sourceName, snapshots: fates, unreadable: survey.unreadable.map(({ snapshotId }) => snapshotId).sort() }
}

/** Newest first. */
export function fatesOf(survey: Survey, sourceName: string, rules: KeepRules, nowMs: number): SnapshotFate[] {
  const ours = survey.manifests.filter((manifest) => manifest.sourceName === sourceName)
  const cutOff = (id: string) => survey.forgotten.has(id)
  const standing = ours.filter(({ snapshotId }) => !cutOff(snapshotId))
  const newest = standing[0]?.snapshotId
  const kept = keepSnapshots(standing.map(dated), rules, heldSnapshots(survey, nowMs), nowMs)
  const reasons = new Map(kept.map((snapshot) => [snapshot.snapshotId, snapshot.reasons]))
  return ours.map(({ snapshotId, position: { sourceTime: time } }) => {
    if (cutOff(snapshotId)) {
      return { snapshotId, time, fate: { kind: 'goes', reason: 'it was to be forgotten before, and that was cut off' } }
    }
    const found: readonly StayReason[] = [
      ...(snapshotId === newest ? [{ kind: 'newest' } as const] : []),
      ...(reasons.get(snapshotId) ?? []),
    ]
    const fate: Fate =
      found.length > 0 ? { kind: 'stays', reasons: found } : { kind: 'goes', reason: 'no rule keeps it' }
    return { snapshotId, time, fate }
  })
}

function dated({ snapshotId, position, log }: Manifest) {
  const timeMs = Date.parse(position.sourceTime)
  if (Number.isNaN(timeMs)) {
    throw new Failure('repository-damaged', `snapshot ${snapshotId} says a time that is none`, {
      context: { object: manifestKey(snapshotId) },
    })
  }
  return { snapshotId, timeMs, carriesOn: log !== undefined && log !== null }
}

function heldSnapshots({ holds }: Survey, nowMs: number): KeptHold[] {
  return holds
    .filter((hold) => isInForce(hold, nowMs))
    .map(({ snapshotId, reason, until }) => ({
      snapshotId,
      reason,
      endsMs: until === null ? null : Date.parse(until),
    }))
}

/** For people. */
export function reasonText(reason: StayReason): string {
  switch (reason.kind) {
    case 'newest':
      return 'the newest'
    case 'last':
      return 'among the last'
    case 'window':
      return 'of the recovery window'
    case 'hold':
      return `held${reason.endsMs === null ? '' : ` until ${new Date(reason.endsMs).toISOString()}`}: ${reason.reason}`
    default:
      return `${reason.kind} ${reason.period}`
  }
}
