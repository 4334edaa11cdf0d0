/**
 * Which change log a capture goes on with. A log goes on as long as nothing speaks against it; whatever does begins a
 * new one, whose start says what it was: from the old one's end to the first snapshot in the new one is a declared gap
 * (I4).
 */
import { Failure } from '../../errors.ts'
import { type LogStart, listLogs } from '../../repository/change-log/log-start.ts'
import { ChangeLogWriter, type LogHead } from '../../repository/change-log/writer.ts'
import { formatLsn } from '../../repository/lsn.ts'
import type { Repository } from '../../repository/repository.ts'
import type { CapturePlan, ChangeSource, SlotState } from '../../source/change-contract.ts'
import type { SourceIdentity } from '../../source/contract.ts'
import { isSameDatabase } from '../../source/identity.ts'
import { coverageOf } from './coverage.ts'

export interface LogQuestion {
  readonly repository: Repository
  readonly sourceName: string
  readonly changes: ChangeSource
  readonly identity: SourceIdentity
  readonly plan: CapturePlan
  readonly slot: string
  /** What an earlier connection of this run found to speak against the newest log, or null. */
  readonly breakReason: string | null
  readonly createSlotTimeoutMs: number
  readonly signal: AbortSignal
  readonly nowMs: () => number
  readonly random: (bytes: number) => Uint8Array
}

export interface ChosenLog {
  readonly writer: ChangeLogWriter
  /** Null when an earlier log goes on. */
  readonly begun: { readonly breakReason: string | null } | null
}

/** @throws slot-in-use, source-…, store-…, repository-format */
export async function chooseLog(question: LogQuestion): Promise<ChosenLog> {
  const { repository, sourceName, changes, slot } = question
  const { logs, unreadable } = await listLogs(repository, sourceName)
  const newest = logs.at(-1) ?? null
  const state = await changes.slotState(slot)
  const lost = unreadable.at(-1)
  if (lost && (newest === null || lost.logId > newest.logId)) {
    return await begin(question, newest, `the start of change log ${lost.logId} cannot be read`, null)
  }
  if (newest === null) return await begin(question, null, null, null)
  const writer = await resumeOr(repository, newest)
  if (writer instanceof Failure)
    return await begin(question, newest, `the newest segment is lost: ${writer.message}`, null)
  const reason = question.breakReason ?? (await reasonAgainst(question, newest, writer.head, state))
  if (reason === null) return { writer, begun: null }
  return await begin(question, newest, reason, writer.head.end)
}

async function resumeOr(repository: Repository, { logId }: LogStart): Promise<ChangeLogWriter | Failure> {
  try {
    return await ChangeLogWriter.resume(repository, logId)
  } catch (error) {
    if (error instanceof Failure && ['repository-damaged', 'object-missing'].includes(error.code)) return error
    throw error
  }
}

/** In words, what speaks against going on; null when nothing does. What the stream sends again is asked later. */
async function reasonAgainst(
  { changes, identity, slot }: LogQuestion,
  start: LogStart,
  { end, segment }: LogHead,
  state: SlotState | null,
): Promise<string | null> {
  // Of the newest segment: a log may have gone on over a change of servers before.
  const known = segment?.header.timeline ?? start.source.timeline
  if (!isSameDatabase(start.source, identity)) return 'the source is another database'
  if (state === null && identity.timeline !== known) {
    const from = `timeline ${known} to ${identity.timeline}`
    return `another server took over, or the database was put back (${from}), and slot ${slot} is gone`
  }
  if (state === null) return `slot ${slot} is gone: it was dropped, or the database was made anew`
  if (state.walStatus.startsWith('lost')) return `slot ${slot} was given up by the server (${state.walStatus})`
  if (state.confirmedLsn !== null && state.confirmedLsn > end) {
    return `slot ${slot} stands at ${formatLsn(state.confirmedLsn)}, and the log ends at ${formatLsn(end)}`
  }
  if (identity.timeline !== known) {
    const left = (await changes.timelines()).find(({ timeline }) => timeline === known)
    if (!left) return `timeline ${identity.timeline} of the source did not come out of ${known}`
    if (left.forkLsn < end) {
      return `another server took over at ${formatLsn(left.forkLsn)}, before the log's end at ${formatLsn(end)}`
    }
  }
  const { lsn } = await changes.fingerprint()
  return lsn < end ? `the source is at ${formatLsn(lsn)}, before the log's end at ${formatLsn(end)}` : null
}

/**
 * Fingerprint first, slot second: what happens in between closes a table, and is not overlooked. A slot that has no log
 * to show for itself holds back the database for nobody: it is dropped when its log cannot be begun.
 */
async function begin(
  question: LogQuestion,
  previous: LogStart | null,
  breakReason: string | null,
  previousEnd: bigint | null,
): Promise<ChosenLog> {
  const { changes, slot, plan, signal } = question
  await dropOwnSlot(changes, slot)
  const fingerprint = coverageOf(plan, await changes.fingerprint())
  const lockTimeoutMs = question.createSlotTimeoutMs
  const { startLsn, xidHorizon } = await changes.createSlot(slot, { lockTimeoutMs, signal })
  try {
    const start = {
      sourceName: question.sourceName,
      source: question.identity,
      slot,
      startLsn,
      xidHorizon,
      previousLog: previous && { logId: previous.logId, reason: breakReason ?? 'unknown', end: previousEnd },
      tables: plan.tables.map(({ table, resolution, reason }) => ({ name: table, resolution, reason })),
      fingerprint,
    }
    const writer = await ChangeLogWriter.begin(question.repository, start, question)
    return { writer, begun: { breakReason } }
  } catch (error) {
    await changes.dropSlot(slot).catch(() => {})
    throw error
  }
}

/** Its name says that it is this repository's and this source's; nobody else makes it. */
async function dropOwnSlot(changes: ChangeSource, slot: string): Promise<void> {
  const state = await changes.slotState(slot)
  if (state === null) return
  if (state.active) {
    throw new Failure('slot-in-use', `slot ${slot} is followed by another process`, {
      context: { slot },
      hints: ['One capture runs for each source: find the other one, or wait until the server has noticed its end.'],
    })
  }
  await changes.dropSlot(slot)
}
