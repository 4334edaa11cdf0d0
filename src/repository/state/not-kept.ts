/** Why a moment cannot be had, from when to when that is so, and which moments next to it can. */
import { Failure } from '../../errors.ts'
import type { ClosedTable } from '../change-log/closed-tables.ts'
import type { ChangeLog } from '../change-log/reader.ts'
import type { ChangeId } from '../history/change-id.ts'
import { formatLsn } from '../lsn.ts'
import type { Manifest } from '../manifest.ts'
import { formatTimeUs, type Moment } from './moment.ts'

interface LogEnd {
  readonly log: ChangeLog
  readonly end: bigint
  /** Microseconds since 1970. */
  readonly completeUntil: bigint | null
}

export function noLog(sourceName: string): Failure {
  return new Failure('change-log-gap', `there is no snapshot of ${sourceName} that captured changes carry on from`, {
    hints: [
      'Name a snapshot instead: --at latest, or one that `chartkeep snapshots` lists.',
      'Run `chartkeep capture`, and `chartkeep backup` beside it: changes are kept from then on.',
    ],
    context: { source: sourceName },
  })
}

/** The log ends before the moment, and no other goes on. */
export function afterTheEnd(moment: Moment, { log, end, completeUntil }: LogEnd): Failure {
  const until = untilWords(end, completeUntil)
  return new Failure('change-log-gap', `changes are kept until ${until}, and ${momentWords(moment)} lies behind it`, {
    hints: [
      `The last change kept: --at ${formatLsn(end)}. Later snapshots, if any: \`chartkeep snapshots\`.`,
      'Run `chartkeep status` to see whether changes are being captured.',
    ],
    context: { logId: log.start.logId, end: formatLsn(end) },
  })
}

/** Between the end of one log and the first snapshot of the next. */
export function inTheGap(moment: Moment, { log, end, completeUntil }: LogEnd, next: Manifest): Failure {
  const { position, snapshotId } = next
  const message =
    `no changes are kept from ${untilWords(end, completeUntil)} to ${position.sourceTime} (${position.lsn}), ` +
    `and ${momentWords(moment)} lies in between`
  return new Failure('change-log-gap', message, {
    hints: [
      `The last moment before the gap: --at ${formatLsn(end)}. The first one behind it: --at ${snapshotId}.`,
      'Snapshots that were taken in between are listed by `chartkeep snapshots`.',
    ],
    context: { logId: log.start.logId, from: formatLsn(end), to: position.lsn },
  })
}

/** @param first the oldest snapshot that changes carry on from, or null */
export function beforeTheFirst(lsn: bigint, first: Manifest | null): Failure {
  const where = formatLsn(lsn)
  if (first === null) {
    return new Failure('change-log-gap', `position ${where} is in no change log: none has a snapshot to begin with`, {
      hints: ['Run `chartkeep capture`, then `chartkeep backup`; or name a snapshot: --at latest.'],
      context: { position: where },
    })
  }
  const { snapshotId, position } = first
  return new Failure(
    'snapshot-not-found',
    `no snapshot is as old as position ${where}: the oldest is of ${position.lsn}`,
    {
      hints: [`The first moment that can be had: --at ${snapshotId}.`, 'Run `chartkeep snapshots` to see all of them.'],
      context: { position: where, oldest: snapshotId },
    },
  )
}

/** @param why in words */
export function noSuchChange(change: Exclude<ChangeId, { readonly kind: 'snapshot' }>, why: string): Failure {
  const where = `${change.log}-${formatLsn(change.lsn)}`
  return new Failure('change-log-gap', `no change of that name is kept (${where}): ${why}`, {
    hints: ['List the changes anew: `chartkeep history`, `chartkeep changes` or `chartkeep patient timeline`.'],
    context: { change: where },
  })
}

/** @param next the snapshot that read them again, or null */
export function tablesClosed(closed: readonly ClosedTable[], next: Manifest | null): Failure {
  const first = closed.reduce((earliest, each) => (each.from < earliest.from ? each : earliest))
  const names = [...new Set(closed.map(({ table }) => table))].sort()
  const from = formatLsn(first.from)
  const until = next ? `to ${next.position.sourceTime} (${next.position.lsn})` : 'on, until the next backup reads it'
  const shown = names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')
  return new Failure(
    'change-log-gap',
    `table ${shown}: ${first.reason}; its rows are not known from ${from} ${until}`,
    {
      hints: [
        `The last moment before it: --at ${from}. The first one behind it: ${next ? `--at ${next.snapshotId}` : 'after `chartkeep backup`, --at latest'}.`,
      ],
      context: { tables: names.length, from, ...(next ? { to: next.position.lsn } : {}) },
    },
  )
}

function untilWords(end: bigint, timeUs: bigint | null): string {
  return timeUs === null ? formatLsn(end) : `${formatTimeUs(timeUs)} (${formatLsn(end)})`
}

function momentWords(moment: Moment): string {
  if (moment.kind === 'time') return formatTimeUs(moment.timeUs)
  return moment.kind === 'position' ? formatLsn(moment.lsn) : `'${moment.kind}'`
}
