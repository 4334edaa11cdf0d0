/**
 * The newest segments of a log leave no hole behind when they vanish: the chain simply ends earlier. What tells is the
 * slot. A position is confirmed to the database only when what holds it is durable (I5), so that a slot never stands
 * behind the end of its log, unless something of the log is gone.
 */
import type { Repository } from '../repository.ts'
import { listLogs } from './log-start.ts'
import { openLog } from './reader.ts'

/** Changes between the two were kept, are not there any more, and will not be sent again. */
export interface LostTail {
  readonly logId: string
  readonly slot: string
  /** Where the log ends. */
  readonly from: bigint
  /** Where the slot stands. */
  readonly to: bigint
}

/**
 * @param slot as the database answered *before* this is called: a segment is confirmed only after it was stored, and
 * read the other way round a log that goes on would seem to lack its newest one
 * @throws change-log-gap, store-…
 */
export async function findLostTail(
  repository: Repository,
  sourceName: string,
  slot: { readonly name: string; readonly confirmedLsn: bigint | null },
): Promise<LostTail | null> {
  if (slot.confirmedLsn === null) return null
  const start = (await listLogs(repository, sourceName)).logs.at(-1)
  if (start?.slot !== slot.name) return null
  const end = await (await openLog(repository, start.logId)).end()
  if (slot.confirmedLsn <= end) return null
  return { logId: start.logId, slot: slot.name, from: end, to: slot.confirmedLsn }
}
