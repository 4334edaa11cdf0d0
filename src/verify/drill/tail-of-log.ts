/**
 * Whether the newest changes are there that a drill of this moment must have: segments that vanished from the end of a
 * log leave a chain that holds. The source's slot tells, where the source may be asked.
 */
import { findLostTail } from '../../repository/change-log/lost-tail.ts'
import { listLogs } from '../../repository/change-log/reader.ts'
import { formatLsn } from '../../repository/lsn.ts'
import { openSource } from '../../source/open.ts'
import { type Finding, finding } from '../finding.ts'
import { fill } from '../report/words.ts'
import type { DrillRequest } from './drill-request.ts'
import { DRILL_SENTENCES } from './sentences.ts'

/** What the log must have; asked before anything of it is read. */
export interface StandingSlot {
  readonly name: string
  readonly confirmedLsn: bigint | null
}

/** Null where nothing is captured, or nobody may be asked. @throws source-…, store-… */
export async function askSlot({ repository, sourceName, source }: DrillRequest): Promise<StandingSlot | null> {
  const newest = (await listLogs(repository, sourceName)).logs.at(-1)
  if (source === null || newest === undefined) return null
  await using opened = await openSource(source)
  const state = (await opened.changes?.slotState(newest.slot)) ?? null
  return { name: newest.slot, confirmedLsn: state?.confirmedLsn ?? null }
}

/** @throws change-log-gap, store-… */
export async function lookAtTail({ repository, sourceName }: DrillRequest, slot: StandingSlot): Promise<Finding[]> {
  const lost = await findLostTail(repository, sourceName, slot)
  if (lost === null) return []
  const { logId, from, to } = lost
  const facts = { log: logId, end: formatLsn(from), told: formatLsn(to) }
  const message = fill(DRILL_SENTENCES.tailGone.en, facts)
  const hint = 'Bring the objects back from a copy of the store; run `chartkeep backup` to be protected again.'
  return [finding({ kind: 'segment-missing', message, patientsComplete: false, hint })]
}
