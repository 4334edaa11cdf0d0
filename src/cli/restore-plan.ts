/** What a restore is about to give back, in words and for programs. */
import { redactUrl } from '../database-url.ts'
import { formatLsn } from '../repository/lsn.ts'
import type { Repository } from '../repository/repository.ts'
import { formatTimeUs } from '../repository/state/moment.ts'
import { storedBytes } from '../repository/state/stretch-bytes.ts'
import type { StateTarget } from '../repository/state/target.ts'
import { formatBytes, formatCount, formatSeconds } from './terminal.ts'

export interface RestorePlan {
  readonly target: StateTarget
  /** As it was asked for. */
  readonly at: string
  readonly into: string
  /** Of the segments to be read. */
  readonly logBytes: number
}

/** @throws store-… */
export async function restorePlan(
  repository: Repository,
  target: StateTarget,
  { at, into }: { readonly at: string; readonly into: string },
): Promise<RestorePlan> {
  const logBytes = target.along ? await storedBytes(repository.store, target.along) : 0
  return { target, at, into, logBytes }
}

/** For programs. */
export function planRecord({ target, at, logBytes }: RestorePlan) {
  const { base, along, transaction, clock } = target
  return {
    at,
    snapshot: base.snapshotId,
    snapshotTime: base.position.sourceTime,
    log: along && {
      logId: along.log.start.logId,
      segments: segmentsOf(target),
      storedBytes: logBytes,
      end: formatLsn(along.bound),
    },
    transaction: transaction && {
      xid: transaction.xid,
      commitLsn: formatLsn(transaction.commitLsn),
      end: formatLsn(transaction.endLsn),
      time: formatTimeUs(transaction.commitTimeUs),
      mark: transaction.mark,
    },
    secondsBefore: target.secondsBefore,
    stampedEarlierBehind: clock?.stampedEarlier ?? 0,
    clockBackSeconds: Number(clock?.backwardUs ?? 0n) / 1e6,
    tablesAsOfSnapshot: target.coarse,
    tablesAdded: target.added,
    passedOver: target.passedOver?.code ?? null,
    remark: target.remark,
    rowsOfSnapshot: sum(target, (root) => root.rows),
    textBytesOfSnapshot: sum(target, (root) => root.textBytes),
  }
}

export function planLines(plan: RestorePlan): string[] {
  const { target, logBytes, into } = plan
  const { base, along } = target
  const lines = [
    `source    ${base.sourceName} (${base.source.engine} ${base.source.serverVersion})`,
    `snapshot  ${base.snapshotId}, as of ${base.position.sourceTime}${along ? '' : distance(plan)}`,
  ]
  if (along) {
    const segments = `${formatCount(segmentsOf(target))} segments, ${formatBytes(logBytes)} stored`
    lines.push(`changes   up to ${formatLsn(along.bound)}: ${segments}`, `moment    ${momentWords(plan)}`)
  }
  if (target.remark !== null) lines.push(`note      ${target.remark}`)
  lines.push(...warnings(target))
  const rows = `${formatCount(sum(target, (root) => root.rows))} in ${base.tables.length} tables`
  const bytes = formatBytes(sum(target, (root) => root.textBytes))
  lines.push(`rows      ${along ? 'of the snapshot: ' : ''}${rows}, ${bytes} of text`)
  lines.push(`into      ${redactUrl(into)}`)
  return lines
}

function momentWords(plan: RestorePlan): string {
  const { transaction } = plan.target
  if (transaction === null) return `no transaction since the snapshot${distance(plan)}`
  const { xid, commitLsn, commitTimeUs } = transaction
  const where = `transaction ${xid}, committed ${formatTimeUs(commitTimeUs)} at ${formatLsn(commitLsn)}`
  return `just behind ${where}${distance(plan)}`
}

function distance({ target: { secondsBefore }, at }: RestorePlan): string {
  return secondsBefore === null ? '' : `, ${formatSeconds(secondsBefore)} before ${at}`
}

function warnings({ clock, coarse, added, passedOver, base, along }: StateTarget): string[] {
  const lines: string[] = []
  if (clock?.latestStampedEarlier) {
    const latest = formatTimeUs(clock.latestStampedEarlier.commitTimeUs)
    lines.push(
      `clock     ${clock.stampedEarlier} transactions that come later are stamped earlier, up to ${latest}: not in it`,
    )
  }
  if (clock && clock.backwardUs > 0n) {
    lines.push(`clock     commit times go back by up to ${formatSeconds(Number(clock.backwardUs) / 1e6)} there`)
  }
  if (passedOver) lines.push(`passed    a newer snapshot that cannot be read (${passedOver.code}); it was not needed`)
  for (const { table, reason } of coarse) lines.push(`older     ${table}: as of the snapshot (${reason})`)
  for (const table of added) lines.push(`missing   ${table}: it appeared after the snapshot`)
  if (along) lines.push(`schema    as of ${base.position.sourceTime}; sequences as of then, and above every row`)
  return lines
}

function segmentsOf({ along }: StateTarget): number {
  return along === null ? 0 : Math.max(0, along.toSegment - along.fromSegment + 1)
}

function sum({ base }: StateTarget, of: (root: StateTarget['base']['tables'][number]['rows']) => number): number {
  return base.tables.reduce((total, table) => total + of(table.rows), 0)
}
